package zookeeper

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// exported is one service of an application's revision: Dubbo's ServiceInfo.
type exported struct {
	iface, group, version string
	protocol, path        string
	port                  int // 0: the protocol's port of the instance
	params                map[string]string
}

// serviceInfo is the JSON of it.
type serviceInfo struct {
	Name     text            `json:"name"`
	Group    text            `json:"group"`
	Version  text            `json:"version"`
	Protocol text            `json:"protocol"`
	Port     number          `json:"port"`
	Path     text            `json:"path"`
	Params   map[string]text `json:"params"`
}

// parseMetadataInfo reads Dubbo's MetadataInfo: what a revision of an application exports. A service that makes no sense
// is left out.
func parseMetadataInfo(data []byte) ([]exported, error) {
	var info struct {
		Services map[string]json.RawMessage `json:"services"`
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("not a MetadataInfo: %w", err)
	}
	all := make([]exported, 0, len(info.Services))
	for _, key := range slices.Sorted(maps.Keys(info.Services)) {
		var s serviceInfo
		if json.Unmarshal(info.Services[key], &s) != nil {
			continue
		}
		e := fromKey(key)
		if s.Name != "" {
			e.iface, e.group, e.version = string(s.Name), string(s.Group), string(s.Version)
		}
		if s.Protocol != "" {
			e.protocol = string(s.Protocol)
		}
		if s.Port > 0 {
			e.port = int(s.Port)
		}
		e.path = string(s.Path)
		e.params = make(map[string]string, len(s.Params))
		for k, v := range s.Params {
			e.params[k] = string(v)
		}
		if e.iface != "" {
			all = append(all, e)
		}
	}
	return all, nil
}

// fromKey reads [group/]interface[:version]:protocol.
func fromKey(key string) exported {
	var e exported
	if colon := strings.LastIndexByte(key, ':'); colon >= 0 {
		key, e.protocol = key[:colon], key[colon+1:]
	}
	n := registry.ParseServiceName(registry.Dubbo, key)
	e.iface, e.group, e.version = n.Name, n.Group, n.Version
	return e
}

// endpoint is where an instance serves what its revision exports: the instance's host, and the service's own port.
func (e *exported) endpoint(app string, n *instanceNode) (registry.Instance, error) {
	port := e.port
	if port == 0 {
		port = n.dubbo.ports[e.protocol]
	}
	if port == 0 {
		port = n.port
	}
	if err := checkProvider(e.protocol, n.host, port); err != nil {
		return registry.Instance{}, err
	}
	i := registry.Instance{
		Host: n.host, Port: port, Protocol: e.protocol, Group: e.group, Version: e.version,
		Disabled: !n.enabled || isTrue(e.params["disabled"]) || isFalse(e.params["enabled"]) || isFalse(n.metadata["enabled"]),
		Zone:     n.metadata["zone"],
	}
	weight := n.metadata["weight"]
	if weight == "" {
		weight = e.params["weight"]
	}
	i.Weight = dubboWeight(weight, e.params["release"])
	if e.path != "" && e.path != e.iface {
		i.Path = e.path
	}
	i.Metadata = make(map[string]string, len(e.params)+len(n.metadata)+1)
	maps.Copy(i.Metadata, e.params)
	for k, v := range n.metadata {
		switch k {
		case endpointsKey, paramsKey, urlsKey: // said already, and long
		default:
			i.Metadata[k] = v
		}
	}
	i.Metadata["application"] = app
	err := i.Validate()
	return i, err
}
