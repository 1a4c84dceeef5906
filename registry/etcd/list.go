package etcd

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// listRest is how long the list of services rests after a push: it looks at all of them.
const listRest = 100 * time.Millisecond

// WatchServices reports the plain services that have a key, the interfaces that have a provider, and what the applications
// export.
func (c *client) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	w := &listWatch{index: c.index, push: push, began: time.Now()}
	c.follow(ctx, nil, w.build)
	return nil
}

// listWatch pushes the list when it has changed, or was read anew.
type listWatch struct {
	index  *index
	push   func(registry.ServiceSet)
	began  time.Time
	last   []registry.ServiceName
	of     *state // that last was taken from; nil before the first push
	pushed time.Time
}

func (w *listWatch) build(f *follower) time.Duration {
	if left := listRest - time.Since(w.pushed); left > 0 {
		return left
	}
	x := w.index
	x.mu.Lock()
	if !x.live || len(x.now.refused) > 0 { // half a list would say that the rest is gone
		x.mu.Unlock()
		return 0
	}
	if f.held = w.of == nil && x.now.untried(); f.held {
		if left := patience - time.Since(w.began); left > 0 {
			x.mu.Unlock()
			return left
		}
		f.held = false
	}
	names, st := x.now.names(), x.now
	x.mu.Unlock()
	if w.of == st && slices.Equal(names, w.last) {
		return 0
	}
	w.last, w.of, w.pushed = names, st, time.Now()
	w.push(registry.ServiceSet{Services: slices.Clone(names)})
	return 0
}

// names lists all services, in order. The index's lock is held.
func (st *state) names() []registry.ServiceName {
	found := make(map[registry.ServiceName]struct{}, len(st.plain)+len(st.ifaces))
	for name := range st.plain {
		found[registry.App(name)] = struct{}{}
	}
	for iface, providers := range st.ifaces {
		if st.named[iface] == nil {
			st.named[iface] = servicesOf(iface, providers)
		}
		for _, n := range st.named[iface] {
			found[n] = struct{}{}
		}
	}
	for _, l := range st.learn {
		for i := range l.services {
			if l.services[i].Listed() {
				found[l.services[i].Service] = struct{}{}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b registry.ServiceName) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version))
	})
}

// servicesOf are the groups and versions in which an interface has providers.
func servicesOf(iface string, providers map[string]struct{}) []registry.ServiceName {
	services := []registry.ServiceName{}
	for p := range providers {
		i, err := parseProvider(iface, p)
		if n := registry.DubboService(iface, i.Group, i.Version); err == nil && !slices.Contains(services, n) {
			services = append(services, n)
		}
	}
	return services
}
