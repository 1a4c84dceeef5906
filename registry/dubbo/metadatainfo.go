package dubbo

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// Exported is one service of an application's revision: Dubbo's ServiceInfo.
type Exported struct {
	Service        registry.ServiceName
	Protocol, Path string
	Port           int // 0: the protocol's port of the instance
	Params         map[string]string
}

// Serves reports whether a service that is asked for is this one, in a protocol that is spoken: a rest port beside the
// Dubbo one is nothing wrong.
func (e *Exported) Serves(asked registry.ServiceName) bool {
	return e.Service.Name == asked.Name && asked.Matches(e.Service.Group, e.Service.Version) && Spoken(e.Protocol)
}

// Listed reports whether it belongs in a list of services: 2.7 names its own MetadataService among the application's.
func (e *Exported) Listed() bool {
	return Spoken(e.Protocol) && !strings.HasPrefix(e.Service.Name, "org.apache.dubbo.metadata.")
}

// ParseMetadataInfo reads Dubbo's MetadataInfo: what a revision of an application exports. A service that makes no sense
// is left out.
func ParseMetadataInfo(data []byte) ([]Exported, error) {
	var info struct {
		Services map[string]json.RawMessage `json:"services"`
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("not a MetadataInfo: %w", err)
	}
	all := make([]Exported, 0, len(info.Services))
	for _, key := range slices.Sorted(maps.Keys(info.Services)) {
		var s struct {
			Name     Text   `json:"name"`
			Group    Text   `json:"group"`
			Version  Text   `json:"version"`
			Protocol Text   `json:"protocol"`
			Port     Number `json:"port"`
			Path     Text   `json:"path"`
			Params   Texts  `json:"params"`
		}
		if json.Unmarshal(info.Services[key], &s) != nil {
			continue
		}
		e := fromKey(key)
		if s.Name != "" {
			e.Service = registry.DubboService(string(s.Name), string(s.Group), string(s.Version))
		}
		if s.Protocol != "" {
			e.Protocol = string(s.Protocol)
		}
		e.Port, e.Path, e.Params = s.Port.Port(), strings.TrimPrefix(string(s.Path), "/"), s.Params
		if e.Service.Name != "" {
			all = append(all, e)
		}
	}
	return all, nil
}

// fromKey reads [group/]interface[:version]:protocol.
func fromKey(key string) Exported {
	var e Exported
	if colon := strings.LastIndexByte(key, ':'); colon >= 0 {
		key, e.Protocol = key[:colon], key[colon+1:]
	}
	e.Service = registry.ParseServiceName(registry.Dubbo, key)
	return e
}
