package zookeeper

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// dubboWatch computes the instances of one Dubbo service from both ways in which providers register.
type dubboWatch struct {
	z       *zooKeeper
	service registry.ServiceName
	push    func(registry.Snapshot)
	pushed  bool

	providers map[string]*parsedProvider // by node name, so that only new ones are parsed
	round     uint64
	endpoints map[endpointKey]*parsedProvider
}

// parsedProvider is an instance, or why there is none.
type parsedProvider struct {
	instance registry.Instance
	err      error
	round    uint64
}

// endpointKey is one service of one application's instance.
type endpointKey struct {
	node    *instanceNode
	service *exported
}

func newDubboWatch(z *zooKeeper, service registry.ServiceName, push func(registry.Snapshot)) *dubboWatch {
	return &dubboWatch{
		z: z, service: service, push: push,
		providers: make(map[string]*parsedProvider), endpoints: make(map[endpointKey]*parsedProvider),
	}
}

func (w *dubboWatch) build(v *view) error {
	w.round++
	base := w.z.config.DubboRoot + "/" + w.service.Name
	// Asked for together, read together.
	lists, err := v.get(children, base+"/providers", base+"/configurators")
	if err != nil {
		return err
	}
	providers, err := lists[0].list(base + "/providers")
	if err != nil {
		return err
	}
	rules := v.optional(w.z, lists[1], base+"/configurators").names
	apps, err := w.z.appsOf(v, w.service.Name)
	if err != nil {
		return err
	}
	b := &snapshotBuilder{
		snapshot: registry.Snapshot{Service: w.service, Instances: make([]registry.Instance, 0, len(providers))},
		rules:    parseOverrides(rules),
		seen:     make(map[identity]int, len(providers)),
	}
	w.addProviders(b, providers)
	if err := w.addApps(v, b, apps); err != nil {
		return err
	}
	w.forget()
	w.pushed = true
	w.push(b.snapshot)
	return nil
}

// addProviders adds what is registered by interface.
func (w *dubboWatch) addProviders(b *snapshotBuilder, names []string) {
	for _, name := range names {
		p := w.providers[name]
		if p == nil {
			p = &parsedProvider{}
			var u *dubboURL
			if u, p.err = parseURL(name); p.err == nil {
				p.instance, p.err = u.provider(w.service.Name)
			}
			w.providers[name] = p
		}
		p.round = w.round
		if p.err != nil {
			b.snapshot.Skip(readable(name), p.err.Error())
			continue
		}
		if w.service.Matches(p.instance.Group, p.instance.Version) {
			b.add(p.instance)
		}
	}
}

// addApps adds what is registered by application.
func (w *dubboWatch) addApps(v *view, b *snapshotBuilder, apps []string) error {
	if len(apps) == 0 {
		return nil
	}
	nodes, err := v.instances(w.z.config.ServicesRoot, apps)
	if err != nil {
		return err
	}
	wait := patience
	if !w.pushed && len(b.snapshot.Instances) == 0 {
		wait = firstPatience
	}
	known, err := w.z.learn(v, nodes, wait)
	if err != nil {
		return err
	}
	for _, r := range nodes {
		if r.err != nil {
			b.snapshot.Skip(r.entry(), r.err.Error())
			continue
		}
		if !r.node.exports() {
			continue
		}
		found := known[r.revision()]
		if found.err != nil {
			b.snapshot.Skip(r.entry(), "metadata: "+found.err.Error())
			continue
		}
		w.addInstance(b, r, found.services)
	}
	return nil
}

func (w *dubboWatch) addInstance(b *snapshotBuilder, r registered, services []exported) {
	for i := range services {
		e := &services[i]
		if e.iface != w.service.Name || !w.service.Matches(e.group, e.version) {
			continue
		}
		k := endpointKey{r.node, e}
		p := w.endpoints[k]
		if p == nil {
			p = &parsedProvider{}
			p.instance, p.err = e.endpoint(r.app, r.node)
			w.endpoints[k] = p
		}
		p.round = w.round
		if p.err != nil {
			b.snapshot.Skip(r.entry(), p.err.Error())
			continue
		}
		b.add(p.instance)
	}
}

// forget drops what was parsed for nodes that are gone.
func (w *dubboWatch) forget() {
	for k, p := range w.providers {
		if p.round != w.round {
			delete(w.providers, k)
		}
	}
	for k, p := range w.endpoints {
		if p.round != w.round {
			delete(w.endpoints, k)
		}
	}
}

// snapshotBuilder adds each instance once: a provider usually registers both by interface and by application, and one that
// was restarted stands there twice until its old session ends.
type snapshotBuilder struct {
	snapshot registry.Snapshot
	rules    overrides
	seen     map[identity]int // places in the snapshot
}

type identity struct {
	protocol, host string
	port           int
	group, version string
}

func (b *snapshotBuilder) add(i registry.Instance) {
	id := identity{i.Protocol, i.Host, i.Port, i.Group, i.Version}
	b.rules.apply(&i)
	if at, twice := b.seen[id]; twice {
		// The newer start counts: instances are warmed up by it. What was said by interface is more, and comes first.
		if started(&i) > started(&b.snapshot.Instances[at]) && i.Metadata[revisionKey] == "" {
			i.Host = b.snapshot.Instances[at].Host // as Add has left it
			b.snapshot.Instances[at] = i
		}
		return
	}
	b.seen[id] = len(b.snapshot.Instances)
	b.snapshot.Add(i.Address(), i)
}

// started is when an instance was started, in milliseconds; 0 if it does not say.
func started(i *registry.Instance) int64 {
	ms, err := strconv.ParseInt(i.Metadata["timestamp"], 10, 64)
	if err != nil {
		return 0
	}
	return ms
}

// appsOf returns the applications that export an interface: the content of one node (3.x), or the names below another
// (2.7).
func (z *zooKeeper) appsOf(v *view, iface string) ([]string, error) {
	mapping, old := z.config.DubboRoot+"/mapping/"+iface, z.config.DubboRoot+"/config/mapping/"+iface
	contents, err := v.get(content, mapping)
	if err != nil {
		return nil, err
	}
	lists, err := v.get(children, old)
	if err != nil {
		return nil, err
	}
	apps := parseMapping(v.optional(z, contents[0], mapping).data)
	apps = append(apps, v.optional(z, lists[0], old).names...)
	slices.Sort(apps)
	return slices.Compact(apps), nil
}

// parseMapping reads comma-separated names of applications.
func parseMapping(data []byte) []string {
	var apps []string
	for app := range strings.SplitSeq(string(data), ",") {
		if app = strings.TrimSpace(app); app != "" && checkPart(app) == nil {
			apps = append(apps, app)
		}
	}
	return apps
}

// readable is a node's name as a person would write it.
func readable(name string) string {
	if u, err := parseURL(name); err == nil {
		i := registry.Instance{Host: u.host, Port: u.port}
		return u.protocol + "://" + i.Address()
	}
	return name
}
