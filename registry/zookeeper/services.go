package zookeeper

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// servicesWatch computes the list of services. It reads every instance of every application: only an instance says
// whether it is Spring Cloud's or Dubbo's, and which revision it runs.
type servicesWatch struct {
	z    *zooKeeper
	push func(registry.ServiceSet)

	pushed uint64 // the session in which last was pushed
	last   []registry.ServiceName
}

func newServicesWatch(z *zooKeeper, push func(registry.ServiceSet)) *servicesWatch {
	return &servicesWatch{z: z, push: push}
}

func (w *servicesWatch) build(v *view) error {
	found := make(map[registry.ServiceName]struct{})
	roots := []string{w.z.config.DubboRoot, w.z.config.ServicesRoot}
	lists, err := v.get(all(children, roots)...)
	if err != nil {
		return err
	}
	if lists[0].err != nil && lists[1].err != nil {
		_, err := lists[0].list(roots[0])
		return err
	}
	if err := w.addInterfaces(v, v.optional(w.z, lists[0], roots[0]).names, found); err != nil {
		return err
	}
	if err := w.addApps(v, v.optional(w.z, lists[1], roots[1]).names, found); err != nil {
		return err
	}
	names := slices.SortedFunc(maps.Keys(found), func(a, b registry.ServiceName) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version))
	})
	if w.pushed == v.epoch && slices.Equal(names, w.last) {
		return nil
	}
	w.pushed, w.last = v.epoch, names
	w.push(registry.ServiceSet{Services: slices.Clone(names)})
	return nil
}

// addInterfaces adds the Dubbo services that are registered by interface.
func (w *servicesWatch) addInterfaces(v *view, ifaces []string, found map[registry.ServiceName]struct{}) error {
	root := w.z.config.DubboRoot
	ifaces = slices.DeleteFunc(slices.Clone(ifaces), func(name string) bool {
		return name == "metadata" || name == "mapping" || name == "config"
	})
	dirs := make([]string, len(ifaces))
	for i, iface := range ifaces {
		dirs[i] = root + "/" + iface + "/providers"
	}
	lists, err := v.get(all(providers, dirs)...)
	if err != nil {
		return err
	}
	for i, l := range lists {
		if list := v.optional(w.z, l, dirs[i]).providers; list != nil {
			for _, s := range list.services {
				found[s] = struct{}{}
			}
		}
	}
	return nil
}

// addApps adds the applications of Spring Cloud, and what Dubbo's applications export.
func (w *servicesWatch) addApps(v *view, apps []string, found map[registry.ServiceName]struct{}) error {
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
	for _, r := range nodes {
		if r.node != nil && r.node.dubbo == nil {
			found[registry.App(r.app)] = struct{}{}
		}
	}
	for _, e := range known {
		for _, s := range e.services {
			// 2.7 lists its own MetadataService among the application's.
			if (s.protocol == "dubbo" || s.protocol == "tri") && !strings.HasPrefix(s.iface, "org.apache.dubbo.metadata.") {
				found[registry.DubboService(s.iface, s.group, s.version)] = struct{}{}
			}
		}
	}
	return nil
}
