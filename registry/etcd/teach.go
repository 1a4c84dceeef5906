package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry/dubbo"
)

const (
	// fetchTimeout bounds one question to one instance.
	fetchTimeout = 3 * time.Second
	// teachers bounds the questions under way.
	teachers = 16
	// candidatesTried bounds the instances asked in one attempt.
	candidatesTried = 2
	// How long to wait between two attempts to learn a revision.
	firstAttempt = time.Second
	lastAttempt  = 30 * time.Second
)

var errNoSource = errors.New("not in etcd, and no instance says where to ask")

// lesson is what a revision exports, once somebody knows. Its fields belong to the index's lock.
type lesson struct {
	rev      revision
	nodes    map[string]*appNode // that run it
	services []dubbo.Exported    // never changes once known
	known    bool

	asking bool
	tries  int
	due    time.Time // of the next attempt
}

// learned notes what a revision exports.
func (st *state) learned(l *lesson, services []dubbo.Exported) {
	l.services, l.known = services, true
	for i := range services {
		add(st.export, services[i].Service.Name, l.rev.app, struct{}{})
	}
	st.nodeChanged(l)
}

// stored notes that what a revision exports has been written to etcd: whoever waits for it need not wait any more.
func (st *state) stored(rev revision) {
	if l := st.learn[rev]; l != nil && !l.known {
		l.due = time.Time{}
		st.changes.ask = true
	}
}

// inherit takes over what was learned before.
func (st *state) inherit(old *state) {
	for rev, l := range st.learn {
		if before := old.learn[rev]; before != nil && !l.known && before.known {
			st.learned(l, before.services)
		}
	}
}

// untried reports whether there is a revision that nobody has been asked for yet. The lock is held.
func (st *state) untried() bool {
	for _, l := range st.learn {
		if !l.known && l.tries == 0 {
			return true
		}
	}
	return false
}

// teach learns what the revisions of dubbo's applications export that their instances do not say, until ctx ends.
func (s *session) teach(ctx context.Context) {
	x := s.client.index
	var tasks sync.WaitGroup
	defer tasks.Wait()
	slots := make(chan struct{}, teachers)
	for ctx.Err() == nil {
		work, next := x.homework(time.Now())
		for _, l := range work {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			tasks.Go(func() {
				defer func() { <-slots }()
				s.learn(ctx, l)
			})
		}
		timer := time.NewTimer(next)
		select {
		case <-x.ask:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// homework takes the lessons that are due, and says how long there is nothing to do.
func (x *index) homework(now time.Time) (due []*lesson, next time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	next = lastAttempt
	if x.now == nil {
		return nil, next
	}
	for _, l := range x.now.learn {
		if l.known || l.asking {
			continue
		}
		if wait := l.due.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		l.asking = true
		due = append(due, l)
	}
	return due, next
}

// learn makes one attempt.
func (s *session) learn(ctx context.Context, l *lesson) {
	services, err := s.lookUp(ctx, l)
	x := s.client.index
	x.mu.Lock()
	l.asking = false
	l.tries++
	pause := min(firstAttempt<<min(l.tries-1, 10), lastAttempt)
	l.due = time.Now().Add(pause)
	if x.now != nil && x.now.learn[l.rev] == l {
		if err == nil {
			x.now.learned(l, services)
		}
		c := x.now.takeChanges()
		c.tried = true
		x.wake(c)
	}
	x.mu.Unlock()
	x.poke() // it is due again some time
	if err != nil && ctx.Err() == nil {
		s.client.complain(fmt.Errorf("metadata of %s, revision %s: %w", clip(l.rev.app), clip(l.rev.id), err))
	}
}

// lookUp reads where dubbo-go's providers store a revision, or asks an instance.
func (s *session) lookUp(ctx context.Context, l *lesson) ([]dubbo.Exported, error) {
	c := s.client
	if c.config.DubboRoot != "" && l.rev.id != "" {
		data, err := s.get(ctx, base(c.config.DubboRoot)+l.rev.app+"/"+l.rev.id)
		if err == nil && len(data) > 0 {
			return dubbo.ParseMetadataInfo(data)
		}
		if err != nil && !says(err, "permission denied") {
			return nil, err
		}
	}
	err := errNoSource
	if c.opts.Dubbo == nil {
		return nil, err
	}
	for _, at := range c.index.candidates(l) {
		var data []byte
		short, cancel := context.WithTimeout(ctx, fetchTimeout)
		data, err = c.opts.Dubbo.FetchMetadata(short, at.Protocol, at.Address, l.rev.app, l.rev.id)
		cancel()
		if err != nil {
			err = fmt.Errorf("ask %s://%s: %w", at.Protocol, at.Address, err)
			continue
		}
		var services []dubbo.Exported
		if services, err = dubbo.ParseMetadataInfo(data); err == nil {
			return services, nil
		}
	}
	return nil, err
}

// candidates are instances of a revision to ask; maps begin anywhere, so others are asked each time.
func (x *index) candidates(l *lesson) []dubbo.Source {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []dubbo.Source
	for _, n := range l.nodes {
		if n.Source.Address != "" {
			if all = append(all, n.Source); len(all) == candidatesTried {
				break
			}
		}
	}
	return all
}
