package etcd

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// revision names one state of what an application exports; that never changes.
type revision struct{ app, id string }

// appNode is one instance of a Dubbo application.
type appNode struct {
	*dubbo.Node
	weight              int // 0: not given
	disabled, unhealthy bool
	tag                 string
	lesson              *lesson // what it exports

	rev    revision
	inline json.RawMessage // what it says itself of what it exports, until that is read
}

// parseAppNode reads the JSON that Dubbo's applications register: dubbo-go's DefaultServiceInstance, and Java's, which
// differ in the case of the names. nil: it is something else.
func parseAppNode(app string, data []byte) *appNode {
	if !isNode(data) || len(data) > maxValue*8 {
		return nil
	}
	var v struct {
		Host     dubbo.Text      `json:"host"`
		Port     dubbo.Number    `json:"port"`
		Weight   dubbo.Number    `json:"weight"`
		Enable   flag            `json:"enable"`
		Enabled  flag            `json:"enabled"`
		Healthy  flag            `json:"healthy"`
		Tag      dubbo.Text      `json:"tag"`
		Metadata dubbo.Texts     `json:"metadata"`
		Inline   json.RawMessage `json:"serviceMetadata"`
	}
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	found := false
	for key := range v.Metadata {
		found = found || strings.HasPrefix(key, "dubbo.")
	}
	if !found {
		return nil
	}
	n := &appNode{
		Node:     dubbo.ReadNode(dubbo.Unbracket(string(v.Host)), v.Port.Port(), v.Metadata),
		disabled: v.Enable.no() || v.Enabled.no(), unhealthy: v.Healthy.no(), tag: string(v.Tag), inline: v.Inline,
	}
	n.rev = revision{app, n.Revision}
	for _, long := range []string{dubbo.EndpointsKey, dubbo.ParamsKey, dubbo.URLsKey} { // read, and never asked for again
		delete(n.Metadata, long)
	}
	if v.Weight.Value > 0 && v.Weight.Value <= 1e9 {
		n.weight = int(v.Weight.Value)
	}
	return n
}

// instance is where n serves e.
func (n *appNode) instance(e *dubbo.Exported) (registry.Instance, error) {
	i := n.Instance(n.rev.app, e)
	i.Disabled, i.Unhealthy = i.Disabled || n.disabled, n.unhealthy
	if n.weight > 0 {
		i.Weight = dubbo.Weight(strconv.Itoa(n.weight), "")
	}
	if n.tag != "" {
		i.Metadata["dubbo.tag"] = n.tag
	}
	return i, dubbo.Callable(&i)
}

// addNode takes an application's instance.
func (st *state) addNode(app, rest string, n *appNode) {
	add(st.apps, app, rest, n)
	l := st.learn[n.rev]
	if l == nil {
		l = &lesson{rev: n.rev, nodes: map[string]*appNode{}}
		if n.rev.id == dubbo.NoRevision {
			l.known = true
		}
		st.learn[n.rev] = l
	}
	l.nodes[rest], n.lesson = n, l
	if !l.known {
		if services, err := dubbo.ParseMetadataInfo(n.inline); err == nil && len(services) > 0 {
			st.learned(l, services)
		} else {
			st.changes.ask = true // somebody must ask
		}
	}
	n.inline = nil
	st.nodeChanged(l)
}

func (st *state) removeNode(app, rest string) {
	n := st.apps[app][rest]
	if n == nil {
		return
	}
	drop(st.apps, app, rest)
	delete(n.lesson.nodes, rest)
	if len(n.lesson.nodes) == 0 {
		delete(st.learn, n.lesson.rev)
	}
	st.nodeChanged(n.lesson)
}

func (st *state) nodeChanged(l *lesson) {
	st.changes.list = true
	for i := range l.services {
		st.touched(registry.Dubbo, l.services[i].Service.Name)
	}
}
