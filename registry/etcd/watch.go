package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

const (
	// patience is how long a first push waits for metadata that is being asked for: an empty answer would say that there is
	// nobody.
	patience = 4 * time.Second
	// listRest is how long the list of services rests after a push: it looks at all of them.
	listRest = 100 * time.Millisecond
)

// Watch reports every instance of one service; see registry.Registry. A plain service's Group means nothing here.
func (c *client) Watch(ctx context.Context, name registry.ServiceName, push func(registry.Snapshot)) error {
	if err := checkName(name.Name); err != nil {
		return fmt.Errorf("watch %s: %w", clip(name.String()), err)
	}
	if name.Kind == registry.Dubbo {
		if c.config.DubboRoot == "" && c.config.ServicesRoot == "" {
			return fmt.Errorf("watch %s: dubboRoot and servicesRoot are both turned off", name)
		}
		w := &dubboWatch{client: c, name: name, push: push, began: time.Now()}
		c.follow(ctx, &subject{registry.Dubbo, name.Name}, w.build)
		return nil
	}
	w := &plainWatch{client: c, name: name, push: push}
	c.follow(ctx, &subject{registry.Plain, name.Name}, w.build)
	return nil
}

func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("name is empty")
	case strings.Contains(s, "/"):
		return errors.New("name holds a slash, which separates the parts of a key")
	}
	return nil
}

// follow runs build each time there may be something new, until ctx ends. build returns how long to wait before it runs
// again in any case; 0 is for ever.
func (c *client) follow(ctx context.Context, about *subject, build func(*follower) time.Duration) {
	f := c.index.join(about)
	defer c.index.leave(about, f)
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-again:
		}
		if ctx.Err() != nil {
			return
		}
		again = nil
		if wait := build(f); wait > 0 {
			again = time.After(wait)
		}
	}
}

// known is the state, if it is live and the root asked for may be read. The lock is held.
func (x *index) known(field string) *state {
	if !x.live || x.now.refused[field] != nil {
		return nil
	}
	return x.now
}

// plainWatch turns a service's keys into instances. What was read of a value is kept as long as the value stays.
type plainWatch struct {
	client *client
	name   registry.ServiceName
	push   func(registry.Snapshot)
	read   map[string]plainRead // by key
}

type plainRead struct {
	value    value
	instance registry.Instance
	err      error
}

func (w *plainWatch) build(*follower) time.Duration {
	x := w.client.index
	x.mu.Lock()
	st := x.known("prefix")
	if st == nil {
		x.mu.Unlock()
		return 0
	}
	values := maps.Clone(st.plain[w.name.Name])
	x.mu.Unlock()

	read := make(map[string]plainRead, len(values))
	s := registry.Snapshot{Service: w.name, Instances: make([]registry.Instance, 0, len(values))}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		r, again := w.read[key]
		if !again || r.value != values[key] {
			r = plainRead{value: values[key]}
			r.instance, r.err = parsePlain(r.value)
		}
		read[key] = r
		if r.err != nil {
			s.Skip(key, r.err.Error())
			continue
		}
		s.Add(key, r.instance)
	}
	w.read = read
	w.push(s)
	return 0
}

// dubboWatch computes the instances of one Dubbo service from both ways in which providers register.
type dubboWatch struct {
	client *client
	name   registry.ServiceName
	push   func(registry.Snapshot)
	began  time.Time
	pushed bool
	read   map[string]dubboRead // by escaped URL
}

type dubboRead struct {
	instance registry.Instance
	err      error
}

// exporter is one service that one application's instance exports.
type exporter struct {
	key  string
	node *appNode
	e    *exported
}

func (w *dubboWatch) build(f *follower) time.Duration {
	x := w.client.index
	x.mu.Lock()
	st, field := x.known("dubboRoot"), w.client.nodesField()
	nodes := x.known(field)
	if (st == nil && w.client.config.DubboRoot != "") || (nodes == nil && w.client.config.ServicesRoot != "") {
		x.mu.Unlock()
		return 0
	}
	st = cmp.Or(st, nodes)
	if f.held = !w.pushed && st.untried(); f.held {
		if left := patience - time.Since(w.began); left > 0 {
			x.mu.Unlock()
			return left
		}
		f.held = false
	}
	providers := slices.Sorted(maps.Keys(st.ifaces[w.name.Name]))
	var exporters []exporter
	for app := range st.export[w.name.Name] {
		for rest, n := range st.apps[app] {
			for i := range n.lesson.services {
				if e := &n.lesson.services[i]; e.iface == w.name.Name && e.routable() && w.name.Matches(e.group, e.version) {
					exporters = append(exporters, exporter{app + "/" + rest, n, e})
				}
			}
		}
	}
	x.mu.Unlock()

	slices.SortFunc(exporters, func(a, b exporter) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.e.protocol, b.e.protocol))
	})
	w.push(w.snapshot(providers, exporters))
	w.pushed = true
	return 0
}

func (w *dubboWatch) snapshot(providers []string, exporters []exporter) registry.Snapshot {
	s := registry.Snapshot{Service: w.name, Instances: make([]registry.Instance, 0, len(providers)+len(exporters))}
	seen := make(map[registry.ServiceName]struct{})
	read := make(map[string]dubboRead, len(providers))
	// By default providers register both ways; what stands in the interface's list says more, and comes first.
	take := func(entry string, i registry.Instance) {
		key := registry.DubboService(i.Protocol+"://"+i.Address(), i.Group, i.Version)
		if _, again := seen[key]; !again {
			seen[key] = struct{}{}
			s.Add(entry, i)
		}
	}
	for _, provider := range providers {
		r, again := w.read[provider]
		if !again {
			r.instance, r.err = parseProvider(w.name.Name, provider)
		}
		read[provider] = r
		if r.err != nil {
			s.Skip(provider, r.err.Error())
		} else if w.name.Matches(r.instance.Group, r.instance.Version) {
			take(r.instance.Address(), r.instance)
		}
	}
	w.read = read
	for _, at := range exporters {
		i, err := at.node.instance(at.e)
		if err != nil {
			s.Skip(at.key, err.Error())
			continue
		}
		take(at.key, i)
	}
	return s
}

// nodesField is the root in which applications stand.
func (c *client) nodesField() string {
	for _, r := range c.roots {
		if r.nodes {
			return r.field
		}
	}
	return ""
}

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
			if l.services[i].routable() {
				found[l.services[i].name()] = struct{}{}
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
