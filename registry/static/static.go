// Package static is the registry that a document writes down itself: services whose instances are listed in the
// configuration, for what no registry knows. It never changes until the document does.
package static

import (
	"cmp"
	"context"
	"slices"

	"github.com/sluice-gateway/sluice/registry"
)

// group holds one service's instances under the exact name that they were written with.
type group struct {
	name      registry.ServiceName
	instances []registry.Instance
}

type static struct {
	groups []group // sorted by name
	report func(registry.State, error)
}

// Run reports the registry as live, which it always is.
func (s *static) Run(ctx context.Context) error {
	s.report(registry.Live, nil)
	<-ctx.Done()
	return nil
}

// WatchServices pushes the services of the document, once.
func (s *static) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	names := make([]registry.ServiceName, 0, len(s.groups))
	for _, g := range s.groups {
		names = append(names, g.name)
	}
	push(registry.ServiceSet{Services: names})
	<-ctx.Done()
	return nil
}

// Watch pushes the instances of one service, once. A Dubbo service's group and version may be "*".
func (s *static) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	snapshot := registry.Snapshot{Service: service}
	for _, g := range s.groups {
		if g.name.Kind != service.Kind || g.name.Name != service.Name {
			continue
		}
		if service.Kind == registry.Dubbo && !service.Matches(g.name.Group, g.name.Version) {
			continue
		}
		for _, i := range g.instances {
			snapshot.Add(i.Address(), i)
		}
	}
	push(snapshot)
	<-ctx.Done()
	return nil
}

// groups turns the section into what is pushed; the section is valid by then.
func (c *Config) groups() []group {
	var all []group
	for name, entries := range c.Services {
		g := group{name: registry.App(name)}
		for _, e := range entries {
			g.instances = append(g.instances, e.instance())
		}
		all = append(all, g)
	}
	for _, d := range c.Dubbo {
		g := group{name: d.name()}
		for _, e := range d.Instances {
			i := e.instance()
			i.Group, i.Version, i.Path = d.Group, d.Version, d.Path
			if i.Protocol == "" {
				i.Protocol = cmp.Or(d.Protocol, "dubbo")
			}
			g.instances = append(g.instances, i)
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.name.Kind, b.name.Kind), cmp.Compare(a.name.Name, b.name.Name),
			cmp.Compare(a.name.Group, b.name.Group), cmp.Compare(a.name.Version, b.name.Version))
	})
	return all
}
