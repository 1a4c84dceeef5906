package consul

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

func entry(change ...func(*api.ServiceEntry)) *api.ServiceEntry {
	e := &api.ServiceEntry{
		Node:    &api.Node{Node: "n1", Address: "192.0.2.9"},
		Service: &api.AgentService{ID: "web-1", Service: "web", Address: "192.0.2.1", Port: 80, Weights: api.AgentWeights{Passing: 1, Warning: 1}},
	}
	for _, c := range change {
		c(e)
	}
	return e
}

func checks(statuses ...string) func(*api.ServiceEntry) {
	return func(e *api.ServiceEntry) {
		for _, s := range statuses {
			id := "c"
			if rest, ok := strings.CutPrefix(s, "maint:"); ok {
				id, s = rest, api.HealthCritical
			}
			e.Checks = append(e.Checks, &api.HealthCheck{CheckID: id, Status: s})
		}
	}
}

func tags(t ...string) func(*api.ServiceEntry) {
	return func(e *api.ServiceEntry) { e.Service.Tags = t }
}

func meta(pairs ...string) func(*api.ServiceEntry) {
	return func(e *api.ServiceEntry) {
		e.Service.Meta = map[string]string{}
		for n := 0; n < len(pairs); n += 2 {
			e.Service.Meta[pairs[n]] = pairs[n+1]
		}
	}
}

func TestPlainInstance(t *testing.T) {
	for name, c := range map[string]struct {
		entry *api.ServiceEntry
		loose bool // passingOnly: false
		want  registry.Instance
	}{
		"plain":          {entry: entry(), want: registry.Instance{Weight: 1}},
		"node's address": {entry: entry(func(e *api.ServiceEntry) { e.Service.Address = "" }), want: registry.Instance{Host: "192.0.2.9", Weight: 1}},
		"IPv6":           {entry: entry(func(e *api.ServiceEntry) { e.Service.Address = "[2001:db8::1]" }), want: registry.Instance{Host: "2001:db8::1", Weight: 1}},
		"named ports": {entry: entry(func(e *api.ServiceEntry) {
			e.Service.Port, e.Service.Ports = 0, api.ServicePorts{{Name: "a", Port: 7}, {Name: "b", Port: 8, Default: true}}
		}), want: registry.Instance{Port: 8, Weight: 1}},
		"passing":            {entry: entry(checks("passing", "passing")), want: registry.Instance{Weight: 1}},
		"warning":            {entry: entry(checks("passing", "warning")), want: registry.Instance{Weight: 1, Unhealthy: true}},
		"warning, loose":     {entry: entry(checks("warning"), func(e *api.ServiceEntry) { e.Service.Weights = api.AgentWeights{Passing: 10, Warning: 2} }), loose: true, want: registry.Instance{Weight: 2}},
		"critical":           {entry: entry(checks("critical", "passing")), want: registry.Instance{Weight: 1, Unhealthy: true}},
		"critical, loose":    {entry: entry(checks("critical")), loose: true, want: registry.Instance{Weight: 1, Unhealthy: true}},
		"unknown status":     {entry: entry(checks("sleepy")), want: registry.Instance{Weight: 1, Unhealthy: true}},
		"maintenance":        {entry: entry(checks("maint:_service_maintenance:web-1")), want: registry.Instance{Weight: 1, Disabled: true}},
		"node maintenance":   {entry: entry(checks("maint:_node_maintenance", "passing")), want: registry.Instance{Weight: 1, Disabled: true}},
		"weight":             {entry: entry(func(e *api.ServiceEntry) { e.Service.Weights.Passing = 7 }), want: registry.Instance{Weight: 7}},
		"no weights":         {entry: entry(func(e *api.ServiceEntry) { e.Service.Weights = api.AgentWeights{} }), want: registry.Instance{Weight: 1}},
		"weight of meta":     {entry: entry(meta("weight", "0.5")), want: registry.Instance{Weight: 0.5, Metadata: map[string]string{"weight": "0.5"}}},
		"weight nonsense":    {entry: entry(meta("weight", "NaN")), want: registry.Instance{Weight: 1, Metadata: map[string]string{"weight": "NaN"}}},
		"weight of both":     {entry: entry(meta("weight", "5"), func(e *api.ServiceEntry) { e.Service.Weights.Passing = 7 }), want: registry.Instance{Weight: 7, Metadata: map[string]string{"weight": "5"}}},
		"tags":               {entry: entry(tags("zone=a", "blue", "", "k=v=w", "=x", "green")), want: registry.Instance{Weight: 1, Zone: "a", Metadata: map[string]string{"zone": "a", "k": "v=w", "tags": "blue,=x,green"}}},
		"meta before tags":   {entry: entry(tags("zone=a", "t"), meta("zone", "b", "tags", "mine")), want: registry.Instance{Weight: 1, Zone: "b", Metadata: map[string]string{"zone": "b", "tags": "mine"}}},
		"locality":           {entry: entry(func(e *api.ServiceEntry) { e.Service.Locality = &api.Locality{Zone: "z1"} }), want: registry.Instance{Weight: 1, Zone: "z1"}},
		"node's locality":    {entry: entry(func(e *api.ServiceEntry) { e.Node.Locality = &api.Locality{Zone: "z2"} }), want: registry.Instance{Weight: 1, Zone: "z2"}},
		"secure tag":         {entry: entry(tags("secure=true")), want: registry.Instance{Weight: 1, Protocol: "https", Metadata: map[string]string{"secure": "true"}}},
		"not secure":         {entry: entry(tags("secure=false")), want: registry.Instance{Weight: 1, Metadata: map[string]string{"secure": "false"}}},
		"protocol":           {entry: entry(meta("protocol", "GRPC", "secure", "true")), want: registry.Instance{Weight: 1, Protocol: "grpc", Metadata: map[string]string{"protocol": "GRPC", "secure": "true"}}},
		"gRPC port":          {entry: entry(meta("gRPC_port", "80")), want: registry.Instance{Weight: 1, Protocol: "grpc", Metadata: map[string]string{"gRPC_port": "80"}}},
		"another gRPC port":  {entry: entry(meta("gRPC_port", "81")), want: registry.Instance{Weight: 1, Metadata: map[string]string{"gRPC_port": "81"}}},
		"no node, nil check": {entry: entry(func(e *api.ServiceEntry) { e.Node, e.Checks = nil, api.HealthChecks{nil} }), want: registry.Instance{Weight: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if want.Host == "" {
				want.Host = "192.0.2.1"
			}
			if want.Port == 0 {
				want.Port = 80
			}
			config := Default()
			config.PassingOnly = !c.loose
			r := &consul{config: config}
			s := snapshot(registry.App("web"), []*api.ServiceEntry{c.entry}, r.plain)
			if len(s.Instances) != 1 {
				t.Fatalf("%+v", s)
			}
			got := s.Instances[0]
			if !maps.Equal(got.Metadata, want.Metadata) {
				t.Errorf("metadata %v, want %v", got.Metadata, want.Metadata)
			}
			got.Metadata, want.Metadata = nil, nil
			if g, w := describe(got), describe(want); g != w {
				t.Errorf("%s, want %s", g, w)
			}
		})
	}
}

func TestBadEntriesAreSkippedByName(t *testing.T) {
	r := &consul{config: Default()}
	s := snapshot(registry.App("web"), []*api.ServiceEntry{
		nil, {}, entry(func(e *api.ServiceEntry) { e.Service.ID, e.Service.Port = "zero\x1b[2J", 0 }),
		entry(func(e *api.ServiceEntry) { e.Service.ID, e.Service.Address = "spaces", "a b" }),
		entry(func(e *api.ServiceEntry) { e.Service.ID, e.Service.Address, e.Node = "nowhere", "", nil }),
		entry(),
	}, r.plain)
	if s.SkippedCount != 5 || !has("192.0.2.1:80")(s) {
		t.Fatalf("%+v", s)
	}
	var names []string
	for _, k := range s.Skipped {
		names = append(names, k.Entry)
	}
	if want := []string{"?", "?", "zero [2J on n1", "spaces on n1", "nowhere"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// Two agents may know one address: whoever moved from one to the other, or was registered twice.
func TestOneAddressIsOneInstance(t *testing.T) {
	r := &consul{config: Default()}
	bad, good := entry(checks("critical")), entry(checks("passing"))
	for _, entries := range [][]*api.ServiceEntry{{bad, good}, {good, bad}, {bad, bad, good, good}} {
		if s := snapshot(registry.App("web"), entries, r.plain); !has("192.0.2.1:80")(s) {
			t.Errorf("%v", addresses(s))
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../kv", "a\nb", "\x7f", strings.Repeat("x", 513)} {
		if checkName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range []string{"web", "a%2Fb", "a b", "ä", "a?b#c", "com.example.Foo"} {
		if err := checkName(name); err != nil {
			t.Error(err)
		}
	}
}

func describe(i registry.Instance) string {
	flags := ""
	if i.Unhealthy {
		flags += " unhealthy"
	}
	if i.Disabled {
		flags += " disabled"
	}
	return strings.Join([]string{i.Protocol, i.Address(), i.Zone, i.Group, i.Version, i.Path, flagged(i.Weight), flags}, "|")
}

func flagged(w float64) string { return strings.TrimRight(strings.TrimRight(formatFloat(w), "0"), ".") }
