package etcd

import (
	"bytes"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// maxValue bounds the value of one key that is kept; etcd itself takes 1.5 MB.
const maxValue = 128 << 10

// changes is what happened to a state since it was asked last.
type changes struct {
	subjects map[subject]struct{}
	list     bool
	ask      bool // there is a revision to ask for
	tried    bool // one has been asked for
}

// state is what the ranges hold. It belongs to whoever loads it, then to the index's lock.
type state struct {
	plain  map[string]map[string]value       // service, rest of the key
	ifaces map[string]map[string]struct{}    // interface, provider's escaped URL
	apps   map[string]map[string]*appNode    // application, rest of the key
	export map[string]map[string]struct{}    // interface, applications that have ever exported it
	learn  map[revision]*lesson              // of the nodes in apps
	named  map[string][]registry.ServiceName // interface: its services, as long as its providers have not changed

	refused map[string]error // by root, those that may not be read
	changes changes
}

// value is what stands in a plain key; text is empty if size is too long.
type value struct {
	text string
	size int
}

func newState() *state {
	return &state{
		plain: map[string]map[string]value{}, ifaces: map[string]map[string]struct{}{},
		apps: map[string]map[string]*appNode{}, export: map[string]map[string]struct{}{},
		learn: map[revision]*lesson{}, named: map[string][]registry.ServiceName{}, refused: map[string]error{},
		changes: changes{subjects: map[subject]struct{}{}},
	}
}

func (st *state) takeChanges() changes {
	c := st.changes
	st.changes = changes{subjects: map[subject]struct{}{}}
	return c
}

func (st *state) touched(kind registry.Kind, name string) {
	st.changes.subjects[subject{kind, name}] = struct{}{}
}

// put takes a key of a root; rel is the part behind the root.
func (st *state) put(r root, rel string, data []byte) {
	if r.dubbo {
		if iface, provider, ok := providerKey(rel); ok {
			add(st.ifaces, iface, provider, struct{}{})
			st.providersChanged(iface)
		} else if app, id, ok := strings.Cut(rel, "/"); ok {
			st.stored(revision{app, id})
		}
		return
	}
	first, rest, ok := strings.Cut(rel, "/")
	if !ok || first == "" || rest == "" {
		return // a folder, as Dubbo makes them
	}
	if node := parseAppNode(first, data); node != nil {
		st.removePlain(first, rest)
		st.removeNode(first, rest)
		if r.nodes {
			st.addNode(first, rest, node)
		}
		return
	}
	st.removeNode(first, rest)
	if !r.plain {
		return
	}
	v := value{size: len(data)}
	if v.size <= maxValue {
		v.text = string(data)
	}
	if add(st.plain, first, rest, v) {
		st.changes.list = true
	}
	st.touched(registry.Plain, first)
}

// remove takes a key away.
func (st *state) remove(r root, rel string) {
	if r.dubbo {
		if iface, provider, ok := providerKey(rel); ok {
			drop(st.ifaces, iface, provider)
			st.providersChanged(iface)
		}
		return
	}
	if first, rest, ok := strings.Cut(rel, "/"); ok {
		st.removePlain(first, rest)
		st.removeNode(first, rest)
	}
}

func (st *state) removePlain(service, rest string) {
	if _, there := st.plain[service][rest]; !there {
		return
	}
	if drop(st.plain, service, rest) {
		st.changes.list = true
	}
	st.touched(registry.Plain, service)
}

func (st *state) providersChanged(iface string) {
	delete(st.named, iface)
	st.changes.list = true
	st.touched(registry.Dubbo, iface)
}

// add puts an entry into a group and reports whether the group is new.
func add[E any](groups map[string]map[string]E, group, name string, e E) bool {
	all, there := groups[group]
	if !there {
		all = map[string]E{}
		groups[group] = all
	}
	all[name] = e
	return !there
}

// drop takes an entry from a group and reports whether the group is gone with it.
func drop[E any](groups map[string]map[string]E, group, name string) bool {
	all, there := groups[group]
	if delete(all, name); there && len(all) == 0 {
		delete(groups, group)
		return true
	}
	return false
}

// providerKey takes {interface}/providers/{url} apart.
func providerKey(rel string) (iface, provider string, ok bool) {
	iface, rest, ok := strings.Cut(rel, "/")
	if !ok {
		return "", "", false
	}
	provider, ok = strings.CutPrefix(rest, "providers/")
	return iface, provider, ok && iface != "" && provider != ""
}

// isNode reports whether a value looks like a Dubbo application's, before it is read.
func isNode(data []byte) bool {
	return len(data) > 0 && data[0] == '{' && bytes.Contains(data, []byte(`"dubbo.`))
}
