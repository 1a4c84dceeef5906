package etcd

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

func (e *exported) name() registry.ServiceName {
	return registry.DubboService(e.iface, e.group, e.version)
}

// routable reports whether a gateway can call it: 2.7 lists its own MetadataService among the application's services.
func (e *exported) routable() bool {
	return (e.protocol == "dubbo" || e.protocol == "tri") && !strings.HasPrefix(e.iface, "org.apache.dubbo.metadata.")
}

// parseMetadataInfo reads Dubbo's MetadataInfo: what a revision of an application exports. A service that makes no sense is
// left out.
func parseMetadataInfo(data []byte) ([]exported, error) {
	var info struct {
		Services map[string]json.RawMessage `json:"services"`
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("not a MetadataInfo: %w", err)
	}
	all := make([]exported, 0, len(info.Services))
	for _, key := range slices.Sorted(maps.Keys(info.Services)) {
		var s struct {
			Name     text   `json:"name"`
			Group    text   `json:"group"`
			Version  text   `json:"version"`
			Protocol text   `json:"protocol"`
			Port     number `json:"port"`
			Path     text   `json:"path"`
			Params   texts  `json:"params"`
		}
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
		e.port, e.path, e.params = s.Port.port(), string(s.Path), s.Params
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
