package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// patience is how long a merged registry waits for a member that neither answers nor reports an error.
const patience = 10 * time.Second

// merge makes one value of those of the members.
//
// The first value is published when every member has answered, or at least one has and the others are known not to:
// they have reported an error and never been live, or have been silent for as long as patience allows. So a reload or a
// slow member does not make the union look shrunken. After that each change of a member changes the union. A member
// that was lost later keeps its part, as any lost registry keeps its state; what was kept on disk counts as an answer.
type merge[T any] struct {
	parts   []*feed[T]
	names   []string
	combine func([]*T) *T
	out     outlet[T]
	waiting *waiting
	until   time.Time

	mu        sync.Mutex
	published bool
	failed    string
}

// merged follows the members of src until ctx ends.
func merged[K comparable, T any](ctx context.Context, b *book[K, T], src *source, out outlet[T], key func(member string) K, combine func([]*T) *T) error {
	m := &merge[T]{names: src.spec.Members, combine: combine, out: out, waiting: &b.c.waiting, until: time.Now().Add(patience)}
	for _, name := range src.spec.Members {
		m.parts = append(m.parts, b.acquire(key(name), true))
	}
	defer func() {
		for i, f := range m.parts {
			f.poke(m, nil)
			b.release(key(m.names[i]), f, true)
		}
	}()
	for _, f := range m.parts {
		f.poke(m, m.refresh)
	}
	alarm := b.c.clock.after(patience, m.refresh)
	defer b.c.clock.stop(alarm)
	defer m.waiting.remove(m)
	m.refresh()
	<-ctx.Done()
	return nil
}

// refresh makes the value anew. It loads what the members say under mu, so that whoever comes last has seen the newest.
func (m *merge[T]) refresh() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.published {
		m.waiting.add(m) // before the members are looked at: what happens after that is not missed
	}
	values := make([]*T, len(m.parts))
	answered, silent := 0, 0
	var errs []error
	for i, f := range m.parts {
		v, src, err := f.load()
		switch {
		case v != nil:
			values[i] = v
			answered++
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", m.names[i], err))
		case src == nil || !src.down():
			silent++
		}
	}
	if len(errs) == len(m.parts) {
		if err := errors.Join(errs...); err.Error() != m.failed {
			m.failed = err.Error()
			m.out.fail(err)
		}
		return
	}
	if answered == 0 || (silent > 0 && !m.published && time.Now().Before(m.until)) {
		return
	}
	m.failed, m.published = "", true
	m.waiting.remove(m)
	m.out.publish(m.combine(values))
}

// waiting are the merged subjects that have not been published, to be looked at again when a member turns out to be down.
type waiting struct {
	mu  sync.Mutex
	all map[refresher]struct{}
}

type refresher interface{ refresh() }

func (w *waiting) add(r refresher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[refresher]struct{}{}
	}
	w.all[r] = struct{}{}
}

func (w *waiting) remove(r refresher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, r)
}

func (w *waiting) refresh() {
	w.mu.Lock()
	all := make([]refresher, 0, len(w.all))
	for r := range w.all {
		all = append(all, r)
	}
	w.mu.Unlock()
	for _, r := range all {
		r.refresh()
	}
}

// sameSet compares lists as sets that registries happen to tell in a stable order.
func sameSet(old, new *registry.ServiceSet) bool {
	if len(old.Services) != len(new.Services) {
		return false
	}
	for i := range old.Services {
		if old.Services[i] != new.Services[i] {
			return false
		}
	}
	return true
}
