package eureka

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// entry is an instance as it is kept. It never changes once made.
type entry struct {
	id     string
	status string // as the hash counts it
	// names and secureNames are the virtual host names, in lower case, but for the application's own name. Who asks by a
	// secure one gets the secure port.
	names, secureNames []string
	securePort         int // 0: none
	instance           registry.Instance
	problem            string // why it cannot be used
}

// usable says that it may be picked.
func (e *entry) usable() bool {
	return e.problem == "" && !e.instance.Disabled && !e.instance.Unhealthy
}

func (e *entry) equal(o *entry) bool {
	a, b := &e.instance, &o.instance
	return e.id == o.id && e.status == o.status && e.securePort == o.securePort && e.problem == o.problem &&
		slices.Equal(e.names, o.names) && slices.Equal(e.secureNames, o.secureNames) &&
		a.Host == b.Host && a.Port == b.Port && a.Protocol == b.Protocol && a.Weight == b.Weight &&
		a.Disabled == b.Disabled && a.Unhealthy == b.Unhealthy && a.Zone == b.Zone && maps.Equal(a.Metadata, b.Metadata)
}

// asSecure is the instance for who asked by a secure name.
func (e *entry) asSecure() registry.Instance {
	i := e.instance
	if e.securePort != 0 && i.Port != e.securePort {
		i.Port, i.Protocol = e.securePort, "https"
	}
	return i
}

// Statuses of Eureka's InstanceInfo.InstanceStatus.
const (
	up           = "UP"
	outOfService = "OUT_OF_SERVICE"
	unknown      = "UNKNOWN"
)

// key is the instance's application, by which it is kept.
func (w *wire) key(in *interner) string { return in.lower(w.app) }

// identity is the instance's id as the Java server has it.
func (w *wire) identity() string { return cmp.Or(w.id, w.amazonID, w.host, w.ip) }

// entry is what is kept of the instance.
func (c *Config) entry(w *wire, in *interner) *entry {
	status := in.text([]byte(strings.ToUpper(cmp.Or(w.status, unknown))))
	if w.app == "" && w.problem == "" {
		w.problem = "no app"
	}
	override := strings.ToUpper(w.override)
	app := w.key(in)
	e := &entry{
		id: w.identity(), status: status, problem: w.problem,
		names: virtualNames(w.vip, in, app), secureNames: nil,
	}
	e.secureNames = slices.DeleteFunc(virtualNames(w.secureVIP, in, app), func(n string) bool { return slices.Contains(e.names, n) })
	if w.securePort.enabled {
		e.securePort = w.securePort.number
	}
	metadata := in.pairs(w.metadata)
	i := &e.instance
	*i = registry.Instance{
		Host:     strings.Trim(cmp.Or(w.ip, w.host), "[]"), // IPv6, with brackets from some clients
		Port:     w.port.number,
		Protocol: in.lower(cmp.Or(metadata["protocol"], metadata["kind"])),
		Weight:   weight(metadata["weight"]),
		// The server has worked the override into the status; a server or a proxy that has not is not let through.
		Disabled:  status == outOfService || override == outOfService,
		Unhealthy: status != up && status != outOfService || override != "" && override != unknown && override != up && override != outOfService,
		Zone:      cmp.Or(metadata["zone"], w.amazonZone, metadata["availability-zone"]),
		Metadata:  metadata,
	}
	if c.UseHostName {
		i.Host = strings.Trim(cmp.Or(w.host, w.ip), "[]")
	}
	if e.securePort != 0 && (c.PreferSecure || !w.port.enabled) {
		i.Port = e.securePort
		i.Protocol = cmp.Or(i.Protocol, "https")
		if i.Protocol == "http" {
			i.Protocol = "https"
		}
	}
	if i.Protocol == "" {
		i.Protocol = grpcOf(metadata, i.Port)
	}
	return e
}

// grpcOf knows the gRPC port of Spring's gRPC starters when it is the one that is registered.
func grpcOf(metadata map[string]string, port int) string {
	p := cmp.Or(metadata["gRPC_port"], metadata["gRPC.port"])
	if p != "" && p == strconv.Itoa(port) {
		return "grpc"
	}
	return ""
}

// weight reads the metadata's weight. Nothing but a convention says what stands there, so what is no weight is none.
func weight(s string) float64 {
	w, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(w) || w < 0 || w > 1e9 {
		return 1
	}
	return w
}

// virtualNames are the names of a list with commas, in lower case; without the one that is the application's anyway.
func virtualNames(list string, in *interner, app string) []string {
	if list == "" {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(in.lower(list), ",") {
		if name = strings.TrimSpace(name); name != "" && name != app && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
