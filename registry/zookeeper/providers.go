package zookeeper

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// providerList is the list of an interface's providers. Its names are long and most of each is the same as in the next,
// so they are not kept: what is kept of a name is its parsed form, whose strings the list shares, and a hash by which the
// next reading knows it again.
type providerList struct {
	all []*provider // in the order of their names
	// services are the groups and versions among them.
	services []registry.ServiceName
}

// provider is one of them, or why it cannot be used.
type provider struct {
	name     [sha256.Size / 2]byte // a hash of it
	instance registry.Instance
	entry    string // the name as a person would write it, of those with an error
	err      error
}

func (l *providerList) len() int {
	if l == nil {
		return 0
	}
	return len(l.all)
}

// applications are those that have a provider in the list, and those of names.
func (l *providerList) applications(names []string) map[string]struct{} {
	apps := make(map[string]struct{}, len(names)+1)
	for _, name := range names {
		apps[name] = struct{}{}
	}
	if l != nil {
		for _, p := range l.all {
			if app := p.instance.Metadata["application"]; app != "" {
				apps[app] = struct{}{}
			}
		}
	}
	return apps
}

// byName finds what is known of a name by its hash.
func (l *providerList) byName() map[[sha256.Size / 2]byte]*provider {
	known := make(map[[sha256.Size / 2]byte]*provider, l.len())
	if l != nil {
		for _, p := range l.all {
			known[p.name] = p
		}
	}
	return known
}

// parseProviders reads the names below an interface. Those that stood in the list before are taken from there.
func parseProviders(iface string, names []string, before *providerList) *providerList {
	slices.Sort(names)
	l := &providerList{all: make([]*provider, 0, len(names))}
	known := before.byName()
	shared := make(interner)
	for _, name := range names {
		sum := sha256.Sum256([]byte(name))
		id := [sha256.Size / 2]byte(sum[:])
		p := known[id]
		if p == nil {
			if len(shared) == 0 && before.len() > 0 {
				shared.learn(&before.all[0].instance)
			}
			p = parseProvider(iface, name, shared)
			p.name = id
		}
		l.all = append(l.all, p)
		if s := registry.DubboService(iface, p.instance.Group, p.instance.Version); p.err == nil && !slices.Contains(l.services, s) {
			l.services = append(l.services, s)
		}
	}
	return l
}

func parseProvider(iface, name string, shared interner) *provider {
	p := &provider{}
	u, err := dubbo.ParseEscaped(name)
	if err == nil {
		p.instance, err = u.Provider(iface)
	}
	if err != nil {
		return &provider{err: err, entry: strings.Clone(clip(dubbo.Readable(name)))}
	}
	shared.tidy(&p.instance)
	return p
}

// interfaceAbove is the interface to whose list a path leads: /dubbo/INTERFACE/providers.
func interfaceAbove(path string) string {
	path = strings.TrimSuffix(path, "/providers")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// interner holds one copy of each string, so that what many instances say is kept once, and nothing keeps the text that
// it was cut out of.
type interner map[string]string

func (n interner) of(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := n[s]; ok {
		return known
	}
	own := strings.Clone(s)
	n[own] = own
	return own
}

// learn takes the strings of an instance that stays.
func (n interner) learn(i *registry.Instance) {
	for k, v := range i.Metadata {
		n[k], n[v] = k, v
	}
}

// tidy replaces an instance's strings by shared ones, and leaves out of its metadata what only Dubbo's own start needs.
func (n interner) tidy(i *registry.Instance) {
	i.Host, i.Protocol, i.Zone = n.of(i.Host), n.of(i.Protocol), n.of(i.Zone)
	i.Group, i.Version, i.Path = n.of(i.Group), n.of(i.Version), n.of(i.Path)
	kept := 0
	for k := range i.Metadata {
		if !dubbo.IsNoise(k) {
			kept++
		}
	}
	own := make(map[string]string, kept)
	for k, v := range i.Metadata {
		if !dubbo.IsNoise(k) {
			own[n.of(k)] = n.of(v)
		}
	}
	i.Metadata = own
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
