package zookeeper

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// servicesWatch computes the list of services. It reads every instance of every application: only an instance says
// whether it is Spring Cloud's or Dubbo's, and which revision it runs. After the first run only what has changed is looked
// at: each interface and each application is a part by itself.
type servicesWatch struct {
	z    *zooKeeper
	push func(registry.ServiceSet)

	whole  bool      // the parts are complete
	roots  [2]*value // the lists of interfaces and of applications
	ifaces map[string]*servicePart
	apps   map[string]*servicePart
	counts map[registry.ServiceName]int // parts that have it

	pushed  uint64 // the session of the newest push
	changed bool   // there is something to push
}

// servicePart is what one interface or one application adds.
type servicePart struct {
	services []registry.ServiceName
	keys     []key // what it was made of
	again    bool  // something was refused or is not known yet: it is looked at in every run
}

func newServicesWatch(z *zooKeeper, push func(registry.ServiceSet)) *servicesWatch {
	return &servicesWatch{z: z, push: push}
}

func (w *servicesWatch) build(v *view) error {
	marked, all := v.tree.news(v.follower)
	if all || !w.whole {
		w.roots = [2]*value{}
		w.ifaces, w.apps = make(map[string]*servicePart), make(map[string]*servicePart)
		w.counts = make(map[registry.ServiceName]int)
		w.changed, marked = true, nil
	} else {
		v.partial = true
	}
	w.whole = false
	dubboRoot, servicesRoot := w.z.config.DubboRoot, w.z.config.ServicesRoot
	lists, err := v.get(key{children, dubboRoot}, key{children, servicesRoot})
	if err != nil {
		return err
	}
	if lists[0].err != nil && lists[1].err != nil {
		_, err := lists[0].list(dubboRoot)
		return err
	}
	lists[0], lists[1] = v.optional(w.z, lists[0], dubboRoot), v.optional(w.z, lists[1], servicesRoot)
	dirtyIfaces, dirtyApps := w.dirty(marked)
	w.compare(v, w.ifaces, w.roots[0], lists[0], dirtyIfaces)
	w.compare(v, w.apps, w.roots[1], lists[1], dirtyApps)
	if err := w.readInterfaces(v, slices.Sorted(maps.Keys(dirtyIfaces))); err != nil {
		return err
	}
	if err := w.readApps(v, slices.Sorted(maps.Keys(dirtyApps))); err != nil {
		return err
	}
	w.roots = [2]*value(lists)
	w.whole = true
	w.tell(v)
	return nil
}

// dirty finds the parts that must be looked at again.
func (w *servicesWatch) dirty(marked map[*node]struct{}) (ifaces, apps map[string]bool) {
	ifaces, apps = make(map[string]bool), make(map[string]bool)
	for n := range marked {
		below, ok := strings.CutPrefix(n.key.path, w.z.config.ServicesRoot+"/")
		app, _, _ := strings.Cut(below, "/")
		switch {
		case n.key.kind == providers:
			ifaces[interfaceAbove(n.key.path)] = true
		case ok:
			apps[app] = true
		}
	}
	for parts, dirty := range map[*map[string]*servicePart]map[string]bool{&w.ifaces: ifaces, &w.apps: apps} {
		for name := range dirty {
			if (*parts)[name] == nil {
				delete(dirty, name) // not one of ours any more
			}
		}
		for name, p := range *parts {
			if p.again {
				dirty[name] = true
			}
		}
	}
	return ifaces, apps
}

// compare adds the names that are new to dirty and drops the parts whose names are gone.
func (w *servicesWatch) compare(v *view, parts map[string]*servicePart, before, now *value, dirty map[string]bool) {
	if before == now {
		return
	}
	there := make(map[string]struct{}, len(now.names))
	for _, name := range now.names {
		if there[name] = struct{}{}; parts[name] == nil {
			dirty[name] = true
		}
	}
	for name, p := range parts {
		if _, ok := there[name]; !ok {
			w.replace(v, p, nil, nil)
			delete(parts, name)
			delete(dirty, name)
		}
	}
}

// replace changes what a part adds, and lets go of the nodes that it is not made of any more.
func (w *servicesWatch) replace(v *view, p *servicePart, services []registry.ServiceName, keys []key) {
	for _, s := range services {
		if w.counts[s]++; w.counts[s] == 1 {
			w.changed = true
		}
	}
	for _, s := range p.services {
		if w.counts[s]--; w.counts[s] == 0 {
			delete(w.counts, s)
			w.changed = true
		}
	}
	if len(p.keys) > 0 {
		kept := make(map[key]struct{}, len(keys))
		for _, k := range keys {
			kept[k] = struct{}{}
		}
		v.tree.forget(v.follower, slices.DeleteFunc(p.keys, func(k key) bool { _, ok := kept[k]; return ok }))
	}
	p.services, p.keys = services, keys
}

// tell pushes the list if it has changed, and once in every session.
func (w *servicesWatch) tell(v *view) {
	if !w.changed && w.pushed == v.epoch {
		return
	}
	w.changed, w.pushed = false, v.epoch
	w.push(registry.ServiceSet{Services: slices.SortedFunc(maps.Keys(w.counts), func(a, b registry.ServiceName) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version))
	})})
}

// part finds or makes the part of a name.
func part(parts map[string]*servicePart, name string) *servicePart {
	p := parts[name]
	if p == nil {
		p = &servicePart{}
		parts[name] = p
	}
	return p
}

// readInterfaces looks at the Dubbo services that are registered by interface.
func (w *servicesWatch) readInterfaces(v *view, ifaces []string) error {
	dirs := make([]string, len(ifaces))
	for i, iface := range ifaces {
		dirs[i] = w.z.config.DubboRoot + "/" + iface + "/providers"
	}
	keys := all(providers, dirs)
	lists, err := v.get(keys...)
	if err != nil {
		return err
	}
	for i, l := range lists {
		p := part(w.ifaces, ifaces[i])
		var services []registry.ServiceName
		p.again = l.err != nil
		if list := v.optional(w.z, l, dirs[i]).providers; list != nil && !isDubbosOwn(ifaces[i]) {
			services = list.services
		}
		w.replace(v, p, services, keys[i:i+1:i+1])
	}
	return nil
}

// isDubbosOwn names the folders that stand among the interfaces.
func isDubbosOwn(name string) bool {
	return name == "metadata" || name == "mapping" || name == "config"
}

// readApps looks at the applications of Spring Cloud, and at what Dubbo's applications export.
func (w *servicesWatch) readApps(v *view, apps []string) error {
	if v.partial { // what others want stays wanted
		for rev, i := range v.wanted {
			if _, found := slices.BinarySearch(apps, rev.app); !found {
				v.follower.want(rev, i)
			}
		}
	}
	nodes, err := v.instances(w.z.config.ServicesRoot, apps)
	if err != nil {
		return err
	}
	wait := patience
	if w.pushed == 0 {
		wait = firstPatience
	}
	known, err := w.z.learn(v, nodes, wait)
	if err != nil {
		return err
	}
	byApp := make(map[string][]registered, len(apps))
	for _, r := range nodes {
		byApp[r.app] = append(byApp[r.app], r)
	}
	for _, app := range apps {
		w.replaceApp(v, app, byApp[app], known)
	}
	return nil
}

func (w *servicesWatch) replaceApp(v *view, app string, nodes []registered, known map[revision]exports) {
	p := part(w.apps, app)
	dir := w.z.config.ServicesRoot + "/" + app
	keys, found := []key{{children, dir}}, make(map[registry.ServiceName]struct{})
	p.again = false
	for _, r := range nodes {
		if r.name != "" {
			keys = append(keys, key{instance, dir + "/" + r.name})
		}
		if r.node == nil {
			p.again = p.again || isRefusal(r.err)
			continue
		}
		if r.node.dubbo == nil {
			found[registry.App(app)] = struct{}{}
		}
		if !r.node.exports() {
			continue
		}
		e := known[r.revision()]
		p.again = p.again || e.err != nil
		for i := range e.services {
			if s := &e.services[i]; s.Listed() {
				found[s.Service] = struct{}{}
			}
		}
	}
	w.replace(v, p, slices.Collect(maps.Keys(found)), keys)
}
