package consul

import (
	"cmp"
	"strconv"
	"strings"
	"unique"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// tagsKey is the key of the metadata under which tags stand that are no pair.
const tagsKey = "tags"

// snapshot reads a service's entries. Two registrations of one address are one instance: the better one.
func snapshot(service registry.ServiceName, entries []*api.ServiceEntry, read func(registry.ServiceName, *api.ServiceEntry) (registry.Instance, bool, error)) registry.Snapshot {
	s := registry.Snapshot{Service: service, Instances: make([]registry.Instance, 0, len(entries))}
	seen := make(map[string]int, len(entries))
	for _, e := range entries {
		if e == nil || e.Service == nil {
			s.Skip("?", "the entry holds no service")
			continue
		}
		i, wanted, err := read(service, e)
		if err != nil {
			s.Skip(entryName(e), err.Error())
			continue
		}
		if !wanted {
			continue
		}
		key := i.Protocol + " " + i.Address() + " " + i.Group + "/" + i.Version
		if at, again := seen[key]; again {
			if usable(&i) && !usable(&s.Instances[at]) {
				s.Instances[at] = i
			}
			continue
		}
		before := len(s.Instances)
		s.Add(entryName(e), i)
		if len(s.Instances) > before {
			seen[key] = before
		}
	}
	return s
}

func usable(i *registry.Instance) bool { return !i.Disabled && !i.Unhealthy && i.Weight > 0 }

// entryName is how an entry is called in a Snapshot's Skipped.
func entryName(e *api.ServiceEntry) string {
	name := clean(cmp.Or(e.Service.ID, e.Service.Service))
	if e.Node != nil && e.Node.Node != "" {
		name += " on " + clean(e.Node.Node)
	}
	return name
}

// plain is an entry as an instance of an ordinary service.
func (c *consul) plain(_ registry.ServiceName, e *api.ServiceEntry) (registry.Instance, bool, error) {
	m := metadata(e.Service.Meta, e.Service.Tags)
	i := registry.Instance{
		Host:     hostOf(e),
		Port:     e.Service.DefaultPort(),
		Protocol: protocolOf(m, e.Service.DefaultPort()),
		Zone:     zoneOf(m, e),
		Metadata: m,
	}
	c.setHealth(&i, e)
	if w, err := strconv.ParseFloat(m["weight"], 64); err == nil && i.Weight == 1 && w >= 0 && w <= 1e9 {
		i.Weight = w
	}
	return i, true, nil
}

// hostOf is the service's own address, or its node's.
func hostOf(e *api.ServiceEntry) string {
	host := e.Service.Address
	if host == "" && e.Node != nil {
		host = e.Node.Address
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return host
}

// metadata is the service's Meta, and its tags: "k=v" is a pair, as in Spring Cloud, and the others stand together under
// "tags", joined by commas. Where a key is in both, Meta is believed.
func metadata(meta map[string]string, tags []string) map[string]string {
	m := make(map[string]string, len(meta)+len(tags))
	var bare []string
	for _, tag := range tags {
		if key, value, ok := strings.Cut(tag, "="); ok && key != "" {
			m[intern(key)] = intern(value)
		} else if tag != "" {
			bare = append(bare, tag)
		}
	}
	if len(bare) > 0 {
		m[tagsKey] = intern(strings.Join(bare, ","))
	}
	for key, value := range meta {
		m[intern(key)] = intern(value)
	}
	return m
}

// intern keeps equal strings of all instances once: keys, versions, zones. Long ones are rarely equal.
func intern(s string) string {
	if len(s) > 64 {
		return s
	}
	return unique.Make(s).Value()
}

// protocolOf is what the metadata says the instance speaks: "protocol", "secure" (Spring Cloud), or the gRPC port of Spring's
// starters when it is the one that is registered; "" otherwise.
func protocolOf(m map[string]string, port int) string {
	if p := m["protocol"]; p != "" {
		return intern(strings.ToLower(p))
	}
	if strings.EqualFold(m["secure"], "true") {
		return "https"
	}
	if p := cmp.Or(m["gRPC_port"], m["gRPC.port"]); p != "" && p == strconv.Itoa(port) {
		return "grpc"
	}
	return ""
}

// zoneOf is the metadata's zone (Spring Cloud), or the locality that Consul knows.
func zoneOf(m map[string]string, e *api.ServiceEntry) string {
	if z := m["zone"]; z != "" {
		return z
	}
	if l := e.Service.Locality; l != nil && l.Zone != "" {
		return intern(l.Zone)
	}
	if e.Node != nil && e.Node.Locality != nil {
		return intern(e.Node.Locality.Zone)
	}
	return ""
}

// setHealth takes what the checks of the service and of its node say, and the weight that belongs to it.
func (c *consul) setHealth(i *registry.Instance, e *api.ServiceEntry) {
	warning, critical := false, false
	for _, check := range e.Checks {
		switch {
		case check == nil:
		case check.CheckID == api.NodeMaint || strings.HasPrefix(check.CheckID, api.ServiceMaintPrefix):
			i.Disabled = true
		case check.Status == api.HealthPassing:
		case check.Status == api.HealthWarning:
			warning = true
		default: // critical, or a word that Consul has not got yet
			critical = true
		}
	}
	i.Unhealthy = critical || warning && c.config.PassingOnly
	weights := e.Service.Weights
	switch {
	case weights == api.AgentWeights{}: // a Consul before 1.2.3 has none
		i.Weight = 1
	case warning && !critical:
		i.Weight = float64(weights.Warning)
	default:
		i.Weight = float64(weights.Passing)
	}
}
