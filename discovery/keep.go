package discovery

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Keep says where the last good state of each registry is kept, so that a gateway that starts while a registry does not
// answer knows what was true last.
type Keep struct {
	// Path is a folder, made when it is not there. Each registry has a file of its own in it. "" keeps nothing.
	Path string
	// MaxAge is the age beyond which a state is not used; 0 is no limit.
	MaxAge time.Duration
}

const (
	// grace is how long a registry may take to answer at a start before what was kept of it is used. One that reports
	// an error before has used it up.
	grace = 2 * time.Second
	// writeEvery is the least time between two writes.
	writeEvery = 5 * time.Second
	// refreshEvery is how often a state that has not changed is written again, so that its age is that of the last proof; a
	// quarter of MaxAge if that is less.
	refreshEvery = 10 * time.Minute
	// syncLimit is how long after its first answer a registry that has not told all services yet keeps its old file.
	syncLimit = time.Minute
	// writeShare: writing takes at most this part of the time of one core.
	writeShare = 20
)

// disk is a source's part in keeping, guarded by its lock.
type disk struct {
	kept    *kept // what was read, until the registry has told everything
	patient bool  // grace has not passed
	serving bool  // kept is given to those that ask
	status  KeptStatus
	cost    time.Duration // of the last write
	told    string        // the last error that was logged
}

// KeptStatus is what is on disk of a registry.
type KeptStatus struct {
	// File is where it is; "" when nothing is kept.
	File string
	// Serving is true while services are served by what was read from it.
	Serving bool
	// LoadedFrom is when what was read from it was known to be true; zero when nothing was read.
	LoadedFrom time.Time
	// Written is when it was written last by this process, Size how many bytes that were.
	Written time.Time
	Size    int64
	// Error is why it could not be read or written; "" when the last attempt succeeded.
	Error string
}

// keeper writes what registries say to disk, in a goroutine of its own.
type keeper struct {
	c     *Catalogue
	begin func(*source)

	mu     sync.Mutex
	keep   Keep
	cancel context.CancelFunc // nil while it does not run
	closed bool
	tasks  sync.WaitGroup
}

func (k *keeper) init(c *Catalogue) { k.c, k.begin = c, k.read }

// Keep takes k into force. What is on disk is read when a registry starts, so the first Keep must come before Apply.
func (c *Catalogue) Keep(k Keep) {
	if !c.keeper.set(k) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, src := range c.sources {
		src.changed() // the new folder holds nothing of it
	}
}

// set reports whether the folder is another one.
func (k *keeper) set(keep Keep) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	moved := k.keep.Path != keep.Path
	k.keep = keep
	if keep.Path != "" && k.cancel == nil && !k.closed {
		ctx, cancel := context.WithCancel(context.Background())
		k.cancel = cancel
		k.tasks.Go(func() { k.run(ctx, keep.Path) })
	}
	return moved
}

func (k *keeper) rules() Keep {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keep
}

// read reads what was kept of a source that begins, beside everything else.
func (k *keeper) read(src *source) {
	keep := k.rules()
	if keep.Path == "" {
		return
	}
	file := filepath.Join(keep.Path, fileName(src.name))
	src.mu.Lock()
	src.disk.patient = true
	src.disk.status.File = file
	src.mu.Unlock()
	src.tasks.Go(func() {
		state, err := readKept(file, src.name, src.identity, keep.MaxAge, time.Now())
		src.mu.Lock()
		if err == nil {
			src.disk.kept, src.disk.status.LoadedFrom = state, state.at
		} else if !errors.Is(err, fs.ErrNotExist) {
			src.disk.status.Error = err.Error()
			k.c.logger.Warn("cannot use what was kept of a registry", "registry", src.name, "file", file, "error", err)
		}
		src.mu.Unlock()
		k.c.serveKept(src) // in case that the registry has said by now that it cannot be reached
	})
	k.c.clock.after(grace, func() {
		src.mu.Lock()
		src.disk.patient = false
		src.mu.Unlock()
		k.c.serveKept(src)
	})
}

// serveKept gives what was kept to the services of a registry that does not answer.
func (c *Catalogue) serveKept(src *source) {
	src.mu.Lock()
	serve := src.disk.kept != nil && !src.disk.patient && !src.disk.serving && src.answered.IsZero()
	if serve {
		src.disk.serving = true
		c.logger.Warn("registry does not answer: served by what was kept of it",
			"registry", src.name, "file", src.disk.status.File, "from", src.disk.status.LoadedFrom)
	}
	src.mu.Unlock()
	if serve {
		c.services.offerKept(src)
		c.lists.offerKept(src)
		c.definitions.offerKept(src)
	}
}

// servedKept is what may be given now to who knows nothing.
func (s *source) servedKept() *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.disk.serving || s.state == registry.Live {
		return nil
	}
	return s.disk.kept
}

func (s *source) keptService(name registry.ServiceName) (registry.Snapshot, time.Time, bool) {
	k := s.servedKept()
	if k == nil {
		return registry.Snapshot{}, time.Time{}, false
	}
	v, ok := k.services[name]
	return registry.Snapshot{Service: name, Instances: v.instances}, v.at, ok
}

func (s *source) keptList() *registry.ServiceSet {
	if k := s.servedKept(); k != nil {
		return k.list
	}
	return nil
}

func (s *source) keptDefinition(name registry.ServiceName) *Definition {
	k := s.servedKept()
	if k == nil {
		return nil
	}
	json, ok := k.definitions[name]
	if !ok {
		return nil
	}
	return &Definition{JSON: json}
}

func (k *keeper) run(ctx context.Context, folder string) {
	sweepTemporary(folder)
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.writeAll(false)
		}
	}
}

// writeAll writes what has changed; at the end also what has not, so that its age is right.
func (k *keeper) writeAll(last bool) {
	keep := k.rules()
	if keep.Path == "" {
		return
	}
	k.c.mu.Lock()
	sources := make([]*source, 0, len(k.c.sources))
	for _, src := range k.c.sources {
		if !src.merged() {
			sources = append(sources, src)
		}
	}
	k.c.mu.Unlock()
	refresh := refreshEvery
	if keep.MaxAge > 0 {
		refresh = min(refresh, keep.MaxAge/4)
	}
	for _, src := range sources {
		if src.worthWriting(refresh, last) {
			k.write(src, keep)
		}
	}
}

func (s *source) worthWriting(refresh time.Duration, last bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Since(s.disk.status.Written)
	switch {
	case s.answered.IsZero():
		return false // it has told us nothing that is not on disk
	case s.dirty.Load():
		return last || since > writeShare*s.disk.cost
	}
	return s.state == registry.Live && (last || since > refresh)
}

// write writes one source's state, unless that would lose more than it saves.
func (k *keeper) write(src *source, keep Keep) {
	src.dirty.Store(false) // before it is gathered: what changes from now on is written the next time
	state, complete := k.gather(src)
	src.mu.Lock()
	waited := time.Since(src.answered) > syncLimit
	src.mu.Unlock()
	if state.empty() || (!complete && !waited) {
		src.dirty.Store(!state.empty())
		return
	}
	began := time.Now()
	file := filepath.Join(keep.Path, fileName(src.name))
	err := os.MkdirAll(keep.Path, 0o700)
	var size int64
	if err == nil {
		size, err = writeKept(file, state)
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	d := &src.disk
	d.cost = time.Since(began)
	d.kept, d.serving = nil, false // what nobody has asked for since is gone from the registry, or from the document
	d.status.File = file
	if err == nil {
		d.status.Written, d.status.Size, d.status.Error, d.told = time.Now(), size, "", ""
		return
	}
	src.dirty.Store(true)
	d.status.Error = err.Error()
	if d.told != err.Error() {
		d.told = err.Error()
		k.c.logger.Error("cannot keep the state of a registry on disk", "registry", src.name, "file", file, "error", err)
	}
}

// gather collects what is known of src, by reference: published states never change. It reports whether every subject has
// been answered.
func (k *keeper) gather(src *source) (*keeping, bool) {
	src.mu.Lock()
	out := &keeping{name: src.name, identity: src.identity, at: time.Now()}
	if src.state != registry.Live {
		out.at = src.since // after that nothing was certain
	}
	src.mu.Unlock()
	complete := true
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.services.feeds {
		if f.registry != src.name {
			continue
		}
		v, _, err := f.load()
		complete = complete && (err != nil || (v != nil && !v.Stale))
		if v != nil {
			out.services = append(out.services, v)
		}
	}
	if f := c.lists.feeds[src.name]; f != nil {
		v, _, err := f.load()
		complete = complete && (v != nil || err != nil)
		out.list = v
	}
	for key, f := range c.definitions.feeds {
		if f.registry != src.name {
			continue
		}
		v, _, err := f.load()
		complete = complete && (v != nil || err != nil)
		if v != nil && len(v.JSON) > 0 {
			out.definitions = append(out.definitions, keptDefinition{key.Service, v.JSON})
		}
	}
	return out, complete
}

// close writes what has not been written, and ends.
func (k *keeper) close() {
	k.mu.Lock()
	closed := k.closed
	k.closed = true
	if k.cancel != nil {
		k.cancel()
	}
	k.mu.Unlock()
	k.tasks.Wait()
	if !closed {
		k.writeAll(true)
	}
}
