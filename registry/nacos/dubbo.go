package nacos

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// Dubbo's layout in Nacos (Dubbo 2.7, 3.x and dubbo-go): each interface, version and group is a service of its own named
// providers:{interface}:{version}:{group}, holding the instances of all protocols and applications; each application is a
// service named by itself, whose instances tell a revision; configuration entries map an interface to its applications
// (group mapping), an application's revision to what it exports, and hold the definitions (group dubbo).
const (
	mappingGroup    = "mapping"
	definitionGroup = "dubbo"
	providersPrefix = "providers:"
)

// providersOf is the name of an interface's service; empty parts are kept.
func providersOf(iface, version, group string) string {
	return providersPrefix + iface + ":" + version + ":" + group
}

// serviceName tells what a name in Nacos's list is. The services that Dubbo's consumers and rules register are nothing
// that can be called.
func serviceName(group, name string) (registry.ServiceName, bool) {
	for _, prefix := range []string{"consumers:", "configurators:", "routers:"} {
		if strings.HasPrefix(name, prefix) {
			return registry.ServiceName{}, false
		}
	}
	if rest, ok := strings.CutPrefix(name, providersPrefix); ok {
		parts := strings.Split(rest, ":")
		if len(parts) > 3 || parts[0] == "" {
			return registry.ServiceName{}, false
		}
		for len(parts) < 3 { // the compatible form leaves empty parts out
			parts = append(parts, "")
		}
		return registry.DubboService(parts[0], parts[2], parts[1]), true
	}
	return registry.ServiceName{Name: name, Group: group}, true
}

// dubbo is the state of a Dubbo service: what is registered for the interface, and what applications export.
func (c *client) dubbo(sc *scope, name registry.ServiceName) (registry.Snapshot, bool) {
	b := dubboBuilder{client: c, scope: sc, snapshot: registry.Snapshot{Service: name}, ready: true, seen: map[dubbo.Identity]struct{}{}}
	for _, group := range c.config.Groups {
		for _, service := range b.registered(group) {
			b.byInterface(group, service)
		}
	}
	for _, app := range b.applications() {
		b.byApplication(app)
	}
	return b.snapshot, b.ready
}

type dubboBuilder struct {
	client   *client
	scope    *scope
	snapshot registry.Snapshot
	ready    bool
	seen     map[dubbo.Identity]struct{}
}

// registered are the names of the interface's services in one of Nacos's groups.
func (b *dubboBuilder) registered(group string) []string {
	name := b.snapshot.Service
	if name.Group != "*" && name.Version != "*" {
		return []string{providersOf(name.Name, name.Version, name.Group)}
	}
	all, known := b.scope.list(group)
	b.ready = b.ready && known
	var found []string
	for _, n := range all {
		if s, ok := serviceName(group, n); ok && s.Kind == registry.Dubbo && s.Name == name.Name && name.Matches(s.Group, s.Version) {
			found = append(found, n)
		}
	}
	return found
}

func (b *dubboBuilder) hosts(group, service string) []host {
	h, known := b.scope.service(group, service)
	b.ready = b.ready && known
	skipBad(&b.snapshot, h)
	if clusters := b.client.config.Clusters; len(clusters) > 0 {
		return slices.DeleteFunc(slices.Clone(h.list), func(h host) bool { return !h.in(clusters) })
	}
	return h.list
}

// byInterface adds the instances that are registered for the interface itself.
func (b *dubboBuilder) byInterface(group, service string) {
	named, _ := serviceName(group, service)
	list := b.hosts(group, service)
	for n := range list {
		h := &list[n]
		m := h.Metadata
		i := h.plain()
		i.Protocol = cmp.Or(strings.ToLower(m["protocol"]), "dubbo")
		i.Group, i.Version = named.Group, named.Version
		if path := strings.TrimPrefix(m["path"], "/"); path != named.Name {
			i.Path = path
		}
		i.Weight = dubboWeight(h, m["weight"])
		i.Disabled = i.Disabled || dubbo.Disabled(dubbo.In(m))
		b.add(h.name(), i)
	}
}

// applications are those that export the interface, as the configuration centre maps it.
func (b *dubboBuilder) applications() []string {
	apps, known := b.scope.mapping(b.snapshot.Service.Name)
	b.ready = b.ready && known
	return apps
}

// mapping are the applications that say they export an interface. It is no sign of life: nobody ever takes it back.
func (sc *scope) mapping(iface string) ([]string, bool) {
	content, known := sc.config(mappingGroup, iface)
	return dubbo.Applications(content, nil, checkName), known
}

// byApplication adds what the instances of one application export.
func (b *dubboBuilder) byApplication(app string) {
	var all []host
	for _, group := range b.client.config.Groups {
		all = append(all, b.hosts(group, app)...)
	}
	nodes := make([]appNode, 0, len(all))
	sources := map[revisionKey][]dubbo.Source{}
	for n := range all {
		node, err := readAppNode(app, &all[n])
		if err != nil {
			b.snapshot.Skip(all[n].name(), err.Error())
			continue
		}
		if node.Revision == dubbo.NoRevision {
			continue // it exports nothing
		}
		nodes = append(nodes, node)
		if node.Source.Address != "" {
			sources[node.revision] = append(sources[node.revision], node.Source)
		} else if sources[node.revision] == nil {
			sources[node.revision] = []dubbo.Source{}
		}
	}
	for n := range nodes {
		node := &nodes[n]
		exports, known, err := b.scope.metadata(node.revision, sources[node.revision])
		b.ready = b.ready && known
		if err != nil {
			b.snapshot.Skip(node.host.name(), err.Error())
			continue
		}
		for e := range exports {
			if exports[e].Serves(b.snapshot.Service) {
				b.add(node.host.name(), node.instance(&exports[e]))
			}
		}
	}
}

// add takes an instance unless it is there already: by default providers register both ways.
func (b *dubboBuilder) add(entry string, i registry.Instance) {
	if err := dubbo.Callable(&i); err != nil {
		b.snapshot.Skip(entry, err.Error())
		return
	}
	key := dubbo.IdentityOf(&i)
	if _, again := b.seen[key]; again {
		return
	}
	b.seen[key] = struct{}{}
	b.snapshot.Add(entry, i)
}

// dubboWeight brings Nacos's weight (1 is ordinary) and Dubbo's (100 is ordinary) together: they multiply, but for
// dubbo-go, which copies the one into the other, and writes 0 when it was given none.
func dubboWeight(h *host, text string) float64 {
	d, err := strconv.ParseFloat(text, 64)
	if err != nil || !(d >= 0 && d <= 1e9) {
		return h.Weight
	}
	golang := dubbo.IsGo(h.Metadata["release"])
	copied := golang && h.Weight == d
	switch {
	case golang && d == 0:
		if copied {
			return 1
		}
		return h.Weight
	case copied:
		return d / 100
	}
	return h.Weight * d / 100
}

// definition is the definition of a service; nil if there is none, false if not all has been answered yet.
func (c *client) definition(sc *scope, name registry.ServiceName) ([]byte, bool) {
	names, ready := sc.mapping(name.Name)
	apps := map[string]struct{}{}
	for _, a := range names {
		apps[a] = struct{}{}
	}
	// Dubbo before 3 writes no mapping, but its providers name their application.
	for _, group := range c.config.Groups {
		h, known := sc.service(group, providersOf(name.Name, name.Version, name.Group))
		ready = ready && known
		for i := range h.list {
			if app := h.list[i].Metadata["application"]; checkName(app) == nil {
				apps[app] = struct{}{}
			}
		}
	}
	var found []byte
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		content, known := sc.config(definitionGroup, name.Name+":"+name.Version+":"+name.Group+":provider:"+app)
		ready = ready && known
		if found == nil && strings.TrimSpace(content) != "" {
			found = []byte(content)
		}
	}
	return found, ready
}
