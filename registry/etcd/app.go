package etcd

import (
	"cmp"
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// Keys of the metadata of a Dubbo application's instance.
const (
	revisionKey  = "dubbo.metadata.revision"
	oldRevision  = "dubbo.exported-services.revision"
	endpointsKey = "dubbo.endpoints"
	paramsKey    = "dubbo.metadata-service.url-params"
)

// nothing is the revision of an application that exports nothing.
const nothing = "0"

// revision names one state of what an application exports; that never changes.
type revision struct{ app, id string }

// appNode is one instance of a Dubbo application.
type appNode struct {
	host                string
	port                int
	weight              int // 0: not given
	disabled, unhealthy bool
	tag                 string
	metadata            map[string]string
	ports               map[string]int // by protocol
	lesson              *lesson        // what it exports
	source              candidate      // of its own metadata; without address if it does not say

	rev    revision
	inline json.RawMessage // what it says itself of what it exports, until that is read
}

// candidate is where an instance's MetadataService answers.
type candidate struct{ protocol, address string }

// parseAppNode reads the JSON that Dubbo's applications register: dubbo-go's DefaultServiceInstance, and Java's, which
// differ in the case of the names. nil: it is something else.
func parseAppNode(app, _ string, data []byte) *appNode {
	if !isNode(data) || len(data) > maxValue*8 {
		return nil
	}
	var v struct {
		Host     text            `json:"host"`
		Port     number          `json:"port"`
		Weight   number          `json:"weight"`
		Enable   flag            `json:"enable"`
		Enabled  flag            `json:"enabled"`
		Healthy  flag            `json:"healthy"`
		Tag      text            `json:"tag"`
		Metadata texts           `json:"metadata"`
		Inline   json.RawMessage `json:"serviceMetadata"`
	}
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	id, found := "", false
	for key, value := range v.Metadata {
		found = found || strings.HasPrefix(key, "dubbo.")
		switch {
		case key == revisionKey, key == oldRevision && id == "":
			id = value
		}
	}
	if !found {
		return nil
	}
	n := &appNode{
		host: strings.TrimSuffix(strings.TrimPrefix(string(v.Host), "["), "]"), port: v.Port.port(),
		disabled: v.Enable.no() || v.Enabled.no(), unhealthy: v.Healthy.no(), tag: string(v.Tag),
		metadata: v.Metadata, rev: revision{app, id}, inline: v.Inline, ports: map[string]int{},
	}
	if v.Weight.value > 0 && v.Weight.value <= 1e9 {
		n.weight = int(v.Weight.value)
	}
	var endpoints []struct {
		Port     number `json:"port"`
		Protocol text   `json:"protocol"`
	}
	if json.Unmarshal([]byte(v.Metadata[endpointsKey]), &endpoints) == nil {
		for _, e := range endpoints {
			n.ports[string(e.Protocol)] = e.Port.port()
		}
	}
	n.findSource()
	for _, long := range []string{endpointsKey, paramsKey} { // said already
		delete(n.metadata, long)
	}
	return n
}

// findSource reads where the instance's MetadataService is; what serves the application serves it too.
func (n *appNode) findSource() {
	var params struct {
		Protocol text   `json:"protocol"`
		Port     number `json:"port"`
	}
	_ = json.Unmarshal([]byte(n.metadata[paramsKey]), &params)
	protocol, port := string(cmp.Or(params.Protocol, "dubbo")), params.Port.port()
	for _, p := range []string{"dubbo", "tri"} {
		if port == 0 && n.ports[p] != 0 {
			protocol, port = p, n.ports[p]
		}
	}
	if port == 0 {
		port = n.port
	}
	at := registry.Instance{Host: n.host, Port: port, Protocol: protocol}
	if callable(&at) == nil {
		n.source = candidate{protocol, at.Address()}
	}
}

// instance is where n serves e: the instance's host, and the service's own port.
func (n *appNode) instance(e *exported) (registry.Instance, error) {
	i := registry.Instance{
		Host: n.host, Port: cmp.Or(e.port, n.ports[e.protocol], n.port), Protocol: e.protocol, Group: e.group, Version: e.version,
		Disabled:  n.disabled || strings.EqualFold(e.params["disabled"], "true") || strings.EqualFold(e.params["enabled"], "false"),
		Unhealthy: n.unhealthy, Zone: n.metadata["zone"],
	}
	weight := cmp.Or(n.metadata["weight"], e.params["weight"])
	if n.weight > 0 {
		weight = strconv.Itoa(n.weight)
	}
	i.Weight = dubboWeight(weight, e.params["release"])
	if e.path != "" && e.path != e.iface {
		i.Path = e.path
	}
	i.Metadata = make(map[string]string, len(e.params)+len(n.metadata)+2)
	maps.Copy(i.Metadata, e.params)
	maps.Copy(i.Metadata, n.metadata)
	i.Metadata["application"] = n.rev.app
	if n.tag != "" {
		i.Metadata["dubbo.tag"] = n.tag
	}
	return i, callable(&i)
}

// addNode takes an application's instance.
func (st *state) addNode(app, rest string, n *appNode) {
	add(st.apps, app, rest, n)
	l := st.learn[n.rev]
	if l == nil {
		l = &lesson{rev: n.rev, nodes: map[string]*appNode{}}
		if n.rev.id == nothing {
			l.known = true
		}
		st.learn[n.rev] = l
	}
	l.nodes[rest], n.lesson = n, l
	if !l.known {
		if services, err := parseMetadataInfo(n.inline); err == nil && len(services) > 0 {
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
		st.touched(registry.Dubbo, l.services[i].iface)
	}
}
