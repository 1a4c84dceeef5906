package registrytest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

// Pushes keeps what a watch pushed. With T set alone it takes what a test gives to Push.
type Pushes[V any] struct {
	T testing.TB
	// Stop ends the watch before the test does.
	Stop func()

	mu  sync.Mutex
	all []V
}

// Collect runs a watch until the test ends.
func Collect[V any](r *Rig, watch func(ctx context.Context, push func(V)) error) *Pushes[V] {
	p := &Pushes[V]{T: r.T}
	p.Stop = r.Background(func(ctx context.Context) error { return watch(ctx, p.Push) })
	return p
}

// Push takes a value.
func (p *Pushes[V]) Push(v V) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, v)
}

// All is everything pushed so far.
func (p *Pushes[V]) All() []V {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// Count is how often was pushed so far.
func (p *Pushes[V]) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// Last is the newest push; it waits for the first one.
func (p *Pushes[V]) Last() V {
	p.T.Helper()
	return p.Until("a push", func(V) bool { return true })
}

// More waits for another push than those before.
func (p *Pushes[V]) More(before int) {
	p.T.Helper()
	Within(p.T, "another push", func() bool { return p.Count() > before })
}

// Until waits until the newest push satisfies a condition, and returns it.
func (p *Pushes[V]) Until(what string, ok func(V) bool) V {
	p.T.Helper()
	var newest V
	if !poll(func() bool {
		p.mu.Lock()
		n := len(p.all)
		if n > 0 {
			newest = p.all[n-1]
		}
		p.mu.Unlock()
		return n > 0 && ok(newest)
	}) {
		p.T.Fatalf("not within %v: %s; the newest of %d pushes is %+v", Deadline, what, p.Count(), newest)
	}
	return newest
}

// Addresses are the instances of a snapshot, sorted: protocol://host:port, or host:port of those that tell no protocol.
func Addresses(s registry.Snapshot) []string {
	all := make([]string, 0, len(s.Instances))
	for i := range s.Instances {
		text := s.Instances[i].Address()
		if p := s.Instances[i].Protocol; p != "" {
			text = p + "://" + text
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// Has is the condition that a snapshot's instances are exactly these.
func Has(want ...string) func(registry.Snapshot) bool {
	want = slices.Sorted(slices.Values(want))
	return func(s registry.Snapshot) bool { return slices.Equal(Addresses(s), want) }
}
