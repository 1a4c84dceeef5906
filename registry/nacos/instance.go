package nacos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unique"

	"github.com/sluice-gateway/sluice/registry"
)

// host is one instance as the server describes it. Many services have thousands of them that say the same, so equal
// strings, and the metadata of neighbours, are kept once.
type host struct {
	InstanceID  string            `json:"instanceId"` // kept only of hosts that cannot be used, to name them
	IP          string            `json:"ip"`
	Port        int               `json:"port"`
	Weight      float64           `json:"weight"`
	Healthy     bool              `json:"healthy"`
	Enabled     bool              `json:"enabled"`
	ClusterName string            `json:"clusterName"`
	Metadata    map[string]string `json:"metadata"`
}

// hosts are a service's instances, and the entries among them that could not be read. They never change once made.
type hosts struct {
	list []host
	bad  []registry.Skipped
}

func (h *hosts) empty() bool { return len(h.list) == 0 && len(h.bad) == 0 }

// decodeHosts reads the instances one by one, so that one that is broken does not hide the others.
func decodeHosts(raw []json.RawMessage) hosts {
	out := hosts{list: make([]host, 0, len(raw))}
	for n, r := range raw {
		h := host{Weight: 1, Healthy: true, Enabled: true} // what Nacos itself takes when a field is missing
		if err := json.Unmarshal(r, &h); err != nil {
			out.bad = append(out.bad, registry.Skipped{Entry: fmt.Sprintf("hosts[%d]", n), Reason: err.Error()})
			continue
		}
		if probe := h.plain(); probe.Validate() == nil {
			h.InstanceID = ""
		}
		h.share(out.list)
		out.list = append(out.list, h)
	}
	// Nacos keeps no order; ours makes equal states equal.
	slices.SortFunc(out.list, func(a, b host) int {
		return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.Port, b.Port), cmp.Compare(a.ClusterName, b.ClusterName))
	})
	return out
}

// share replaces what the host says by what others have said before it: those of its own service that were read before,
// and all that are known.
func (h *host) share(before []host) {
	h.IP, h.ClusterName = intern(h.IP), intern(h.ClusterName)
	if n := len(before); n > 0 && maps.Equal(before[n-1].Metadata, h.Metadata) {
		h.Metadata = before[n-1].Metadata
		return
	}
	if len(h.Metadata) == 0 {
		h.Metadata = nil
		return
	}
	own := make(map[string]string, len(h.Metadata))
	for k, v := range h.Metadata {
		own[intern(k)] = intern(v)
	}
	h.Metadata = own
}

// intern gives the one copy of a string. Long ones are hardly ever said twice. What nobody holds any more is forgotten.
func intern(s string) string {
	if len(s) > maxInterned {
		return s
	}
	return unique.Make(s).Value()
}

const maxInterned = 256

// name is how a host is called in a Snapshot's Skipped.
func (h *host) name() string {
	if h.InstanceID != "" {
		return h.InstanceID
	}
	return fmt.Sprintf("%s:%d", h.IP, h.Port)
}

// in reports whether the host is in one of the clusters; no clusters are all.
func (h *host) in(clusters []string) bool {
	return len(clusters) == 0 || slices.Contains(clusters, cmp.Or(h.ClusterName, defaultCluster))
}

const defaultCluster = "DEFAULT"

// plain is the host as an instance of an ordinary service.
func (h *host) plain() registry.Instance {
	return registry.Instance{
		Host:      strings.Trim(h.IP, "[]"), // IPv6, with brackets from some clients
		Port:      h.Port,
		Protocol:  protocolOf(h),
		Weight:    h.Weight,
		Disabled:  !h.Enabled,
		Unhealthy: !h.Healthy,
		Zone:      zoneOf(h),
		Metadata:  h.Metadata,
	}
}

// protocolOf is what the metadata says the instance speaks: "protocol" (Dubbo, and the convention of most), "kind"
// (Kratos), "secure" (Spring Cloud), or the gRPC port of Spring's gRPC starters when it is the one that is registered.
func protocolOf(h *host) string {
	if p := cmp.Or(h.Metadata["protocol"], h.Metadata["kind"]); p != "" {
		return strings.ToLower(p)
	}
	if strings.EqualFold(h.Metadata["secure"], "true") {
		return "https"
	}
	port := cmp.Or(h.Metadata["gRPC_port"], h.Metadata["gRPC.port"])
	if port != "" && port == fmt.Sprint(h.Port) {
		return "grpc"
	}
	return ""
}

// zoneOf is the metadata's zone, or the cluster if it is not the one that everybody is in.
func zoneOf(h *host) string {
	if z := h.Metadata["zone"]; z != "" {
		return z
	}
	if h.ClusterName == defaultCluster {
		return ""
	}
	return h.ClusterName
}
