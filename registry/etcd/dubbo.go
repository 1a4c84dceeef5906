package etcd

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// patience is how long a first push waits for metadata that is being asked for: an empty answer would say that there is
// nobody.
const patience = 4 * time.Second

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
	e    *dubbo.Exported
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
				if e := &n.lesson.services[i]; e.Serves(w.name) {
					exporters = append(exporters, exporter{app + "/" + rest, n, e})
				}
			}
		}
	}
	x.mu.Unlock()

	slices.SortFunc(exporters, func(a, b exporter) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.e.Protocol, b.e.Protocol))
	})
	w.push(w.snapshot(providers, exporters))
	w.pushed = true
	return 0
}

func (w *dubboWatch) snapshot(providers []string, exporters []exporter) registry.Snapshot {
	s := registry.Snapshot{Service: w.name, Instances: make([]registry.Instance, 0, len(providers)+len(exporters))}
	seen := make(map[dubbo.Identity]struct{})
	read := make(map[string]dubboRead, len(providers))
	// By default providers register both ways; what stands in the interface's list says more, and comes first.
	take := func(entry string, i registry.Instance) {
		key := dubbo.IdentityOf(&i)
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
			s.Skip(dubbo.Readable(provider), r.err.Error())
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

// parseProvider reads the name of a provider's key.
func parseProvider(iface, escaped string) (registry.Instance, error) {
	u, err := dubbo.ParseEscaped(escaped)
	if err != nil {
		return registry.Instance{}, err
	}
	return u.Provider(iface)
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
