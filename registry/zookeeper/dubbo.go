package zookeeper

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// dubboWatch computes the instances of one Dubbo service from both ways in which providers register.
type dubboWatch struct {
	z       *zooKeeper
	service registry.ServiceName
	push    func(registry.Snapshot)
	pushed  bool

	inputs []*value // of the newest push
	epoch  uint64   // of it

	round     uint64
	endpoints map[endpointKey]*endpoint // so that only new ones are made
}

// endpoint is an instance, or why there is none.
type endpoint struct {
	instance registry.Instance
	err      error
	round    uint64
}

// endpointKey is one service of one application's instance.
type endpointKey struct {
	node    *instanceNode
	service *dubbo.Exported
}

func newDubboWatch(z *zooKeeper, service registry.ServiceName, push func(registry.Snapshot)) *dubboWatch {
	return &dubboWatch{z: z, service: service, push: push, endpoints: make(map[endpointKey]*endpoint)}
}

func (w *dubboWatch) build(v *view) error {
	w.round++
	root := w.z.config.DubboRoot
	keys := []key{ // asked for together, read together
		{providers, root + "/" + w.service.Name + "/providers"},
		{children, root + "/" + w.service.Name + "/configurators"},
		{children, root + "/" + w.service.Name + "/routers"},
		{children, root + ruleFolder},
		{content, root + "/mapping/" + w.service.Name},
		{children, root + "/config/mapping/" + w.service.Name},
	}
	found, err := v.get(keys...)
	if err != nil {
		return err
	}
	list := found[0].providers
	if err := found[0].err; err != nil {
		return fmt.Errorf("list %s: %w", keys[0].path, err)
	}
	for i := range found[1:] {
		found[i+1] = v.optional(w.z, found[i+1], keys[i+1].path)
	}
	apps := dubbo.Applications(string(found[4].data), found[5].names, checkPart)
	b := &snapshotBuilder{
		snapshot: registry.Snapshot{Service: w.service, Instances: make([]registry.Instance, 0, list.len())},
		seen:     make(map[dubbo.Identity]int, list.len()),
	}
	var rules []*value
	if b.rules, rules, err = w.rules(v, found[1], found[2], found[3], list.applications(apps), &b.snapshot); err != nil {
		return err
	}
	// A rule for somebody else wakes everybody.
	found[3] = nil
	inputs := append(found, rules...)
	if len(apps) == 0 && w.epoch == v.epoch && slices.Equal(inputs, w.inputs) {
		return nil
	}
	w.inputs, w.epoch = inputs, v.epoch
	w.addProviders(b, list)
	if err := w.addApps(v, b, apps); err != nil {
		return err
	}
	w.forget()
	w.pushed = true
	w.push(b.snapshot)
	return nil
}

// addProviders adds what is registered by interface.
func (w *dubboWatch) addProviders(b *snapshotBuilder, l *providerList) {
	if l == nil {
		return
	}
	for _, p := range l.all {
		switch {
		case p.err != nil:
			b.snapshot.Skip(p.entry, p.err.Error())
		case w.service.Matches(p.instance.Group, p.instance.Version):
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

func (w *dubboWatch) addInstance(b *snapshotBuilder, r registered, services []dubbo.Exported) {
	for i := range services {
		e := &services[i]
		if !e.Serves(w.service) {
			continue
		}
		k := endpointKey{r.node, e}
		p := w.endpoints[k]
		if p == nil {
			p = &endpoint{}
			p.instance, p.err = r.node.endpoint(r.app, e)
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

// endpoint is where the instance serves what its revision exports.
func (n *instanceNode) endpoint(app string, e *dubbo.Exported) (registry.Instance, error) {
	i := n.dubbo.Instance(app, e)
	i.Disabled = i.Disabled || !n.enabled
	return i, dubbo.Callable(&i)
}

// forget drops what was parsed for nodes that are gone.
func (w *dubboWatch) forget() {
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
	seen     map[dubbo.Identity]int // places in the snapshot
}

func (b *snapshotBuilder) add(i registry.Instance) {
	id := dubbo.IdentityOf(&i)
	b.rules.apply(&i)
	if at, twice := b.seen[id]; twice {
		// The newer start counts: instances are warmed up by it. What was said by interface is more, and comes first.
		if started(&i) > started(&b.snapshot.Instances[at]) && i.Metadata[dubbo.RevisionKey] == "" {
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
