// Package file is the registry of a folder of YAML files, which is watched: services come, change and go as somebody
// edits, deploys or mounts the files. Each file lists services as package static does; a service may stand in several.
//
// A file that cannot be read hides nothing: its last good content stays, and the trouble is reported with its place.
// When the whole folder is gone the registry is stale, and what was pushed stays.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/sluice-gateway/sluice/filewatch"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
	"github.com/sluice-gateway/sluice/strictyaml"
)

// Run watches the folder until ctx ends.
func (f *folder) Run(ctx context.Context) error {
	r := &reader{folder: f}
	w := filewatch.Watcher{
		Check: r.check,
		Warn: func(err error) {
			f.opts.Report(r.health, fmt.Errorf("%s: %w", f.path, err))
		},
	}
	w.Run(ctx)
	return nil
}

// reader is Run's own state.
type reader struct {
	*folder
	health  registry.State
	gone    string // why the folder cannot be read
	revival int
}

// check reads the folder, publishes what has changed, and says what it depends on.
func (r *reader) check() []string {
	paths := []string{r.path}
	names, err := r.names()
	if err != nil {
		r.stale(err)
		return paths
	}
	changed := false
	files := make(map[string]*loaded, len(names))
	var troubles []error
	for _, name := range names {
		l, again := r.load(name, r.files[name])
		if l.data == nil {
			// It may have gone since the folder was listed, alone or with the folder.
			if _, err := r.names(); err != nil {
				r.stale(err)
				return paths
			}
			if _, err := os.Lstat(filepath.Join(r.path, name)); errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if again && l.problem != nil {
			troubles = append(troubles, l.problem)
		}
		changed = changed || again
		files[name] = l
		paths = append(paths, filepath.Join(r.path, name))
		for definition := range l.definitions {
			paths = append(paths, filepath.Join(r.path, definition))
		}
	}
	for name := range r.files {
		changed = changed || files[name] == nil
	}
	r.files = files
	revived := r.health != registry.Live
	if revived {
		r.health, r.gone = registry.Live, ""
		r.revival++
	}
	if changed || revived {
		r.publish(r.merge())
	}
	switch {
	case len(troubles) > 0:
		r.opts.Report(registry.Live, errors.Join(troubles...))
	case revived:
		r.opts.Report(registry.Live, nil)
	}
	return paths
}

// stale notes that the folder cannot be read, once for each reason.
func (r *reader) stale(err error) {
	if r.gone != err.Error() {
		r.gone, r.health = err.Error(), registry.Stale
		r.opts.Report(registry.Stale, err)
	}
}

func (r *reader) names() ([]string, error) {
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return nil, fmt.Errorf("read folder of services: %w", err)
	}
	var names []string
	for _, e := range entries {
		if listed(e.Name()) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// merge makes one state of all files, in the order of their names.
func (r *reader) merge() *state {
	s := &state{definitions: map[registry.ServiceName][]byte{}, revival: r.revival}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		l := r.files[name]
		if l.good != nil {
			s.entries = append(s.entries, l.good.entries...)
			for service, definition := range l.good.definitions {
				if s.definitions[service] == nil {
					s.definitions[service] = definition
				}
			}
		}
		if l.problem != nil {
			s.bad = append(s.bad, bad(name, l))
		}
	}
	static.Sort(s.entries)
	return s
}

func bad(name string, l *loaded) badFile {
	b := badFile{name: name, reason: l.problem.Error()}
	var problems strictyaml.Problems
	if errors.As(l.problem, &problems) && len(problems) > 1 {
		b.reason = fmt.Sprintf("%s (and %d more)", problems[0].Error(), len(problems)-1)
	}
	if l.good != nil {
		b.reason += "; its last good content stays"
		b.services = map[registry.ServiceName]bool{}
		for _, e := range l.good.entries {
			b.services[e.Name] = true
		}
	}
	return b
}

// WatchServices pushes the names in all files.
func (f *folder) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	follow(ctx, f, func(s *state) registry.ServiceSet { return static.Services(s.entries) }, push)
	return nil
}

// Watch pushes the instances that all files list for the service.
func (f *folder) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	follow(ctx, f, func(s *state) registry.Snapshot { return s.snapshot(service) }, push)
	return nil
}

// WatchDefinition implements registry.DefinitionWatcher.
func (f *folder) WatchDefinition(ctx context.Context, service registry.ServiceName, push func([]byte)) error {
	follow(ctx, f, func(s *state) []byte { return s.definitions[service] }, push)
	return nil
}

func (s *state) snapshot(service registry.ServiceName) registry.Snapshot {
	snapshot := static.Snapshot(s.entries, service)
	for _, b := range s.bad {
		concerned := b.services == nil
		for name := range b.services {
			concerned = concerned || static.Asks(service, name)
		}
		if concerned {
			snapshot.Skip(b.name, b.reason)
		}
	}
	return snapshot
}

// follow pushes a view of the state whenever it differs from the last one, and again when the folder is back.
func follow[T any](ctx context.Context, f *folder, view func(*state) T, push func(T)) {
	var last T
	revival := 0
	for {
		s, changed := f.now()
		if s != nil {
			if v := view(s); s.revival != revival || !reflect.DeepEqual(v, last) {
				last, revival = v, s.revival
				push(v)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
