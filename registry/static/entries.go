package static

import (
	"cmp"
	"slices"

	"github.com/sluice-gateway/sluice/registry"
)

// Entry is one service under the exact name that it was written with.
type Entry struct {
	Name      registry.ServiceName
	Instances []registry.Instance
}

// Entries are the section's services, sorted by name. The section must be valid.
func (c *Config) Entries() []Entry {
	var all []Entry
	for name, instances := range c.Services {
		e := Entry{Name: registry.App(name)}
		for _, i := range instances {
			e.Instances = append(e.Instances, i.instance())
		}
		all = append(all, e)
	}
	for _, d := range c.Dubbo {
		e := Entry{Name: d.ServiceName()}
		for _, listed := range d.Instances {
			i := listed.instance()
			i.Group, i.Version, i.Path = d.Group, d.Version, d.Path
			if i.Protocol == "" {
				i.Protocol = cmp.Or(d.Protocol, "dubbo")
			}
			e.Instances = append(e.Instances, i)
		}
		all = append(all, e)
	}
	Sort(all)
	return all
}

// Sort orders entries by kind, name, group and version.
func Sort(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Name.Kind, b.Name.Kind), cmp.Compare(a.Name.Name, b.Name.Name),
			cmp.Compare(a.Name.Group, b.Name.Group), cmp.Compare(a.Name.Version, b.Name.Version))
	})
}

// Services is what WatchServices pushes: each name once. The entries are sorted.
func Services(entries []Entry) registry.ServiceSet {
	names := make([]registry.ServiceName, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return registry.ServiceSet{Services: slices.Compact(names)}
}

// Snapshot is what Watch pushes for a service: the instances of every entry that it asks for. An instance that stands
// there twice is skipped the second time.
func Snapshot(entries []Entry, service registry.ServiceName) registry.Snapshot {
	snapshot := registry.Snapshot{Service: service}
	type identity struct{ group, version, protocol, address string }
	seen := map[identity]bool{}
	for _, e := range entries {
		if !Asks(service, e.Name) {
			continue
		}
		for _, i := range e.Instances {
			id := identity{i.Group, i.Version, i.Protocol, i.Address()}
			if seen[id] {
				snapshot.Skip(id.address, "is listed twice")
				continue
			}
			seen[id] = true
			snapshot.Add(id.address, i)
		}
	}
	return snapshot
}

// Asks reports whether a service of this exact name is one that a watch of service is about.
func Asks(service, name registry.ServiceName) bool {
	if name.Kind != service.Kind || name.Name != service.Name {
		return false
	}
	return service.Kind != registry.Dubbo || service.Matches(name.Group, name.Version)
}
