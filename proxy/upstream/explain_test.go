package upstream

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/static"
)

func plain(fields ...string) *protocol.Request {
	req := &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	return req
}

// chances maps addresses to their chance, and leaves out those without.
func chances(d *Destination) map[string]float64 {
	out := map[string]float64{}
	for i := range d.Instances {
		if c := d.Instances[i].Chance; c > 0 {
			out[d.Instances[i].Endpoint.ID] = c
		}
	}
	return out
}

func reasons(d *Destination) string {
	var out []string
	for _, x := range d.Excluded {
		out = append(out, x.ID+" "+x.Reason)
	}
	return strings.Join(out, ", ")
}

func TestExplainTellsOfInstances(t *testing.T) {
	b := newBed(t)
	settings := defaults()
	settings.Balance.Policy = "roundRobin"
	settings.Limits = config.RequestLimits{Service: 10, Instance: 4, Queue: 3}
	heavy := static.Instance{Address: "10.0.0.2:80", Weight: 3, Zone: "z2"}
	b.set(map[string][]static.Instance{"s": append(at("10.0.0.1:80", "10.0.0.4:80"), heavy, static.Instance{Address: "10.0.0.3:80"})})
	svc := b.acquire(key("s"), settings)
	defer b.Release(svc)
	target := NewTarget(svc, tries(0, 2))
	until(t, svc, 3)
	svc.state.Load().instances[0].load.Observe(protocol.Now(), int64(time.Second))
	svc.state.Load().instances[2].load.SetDraining(true)
	d := target.Explain(plain())
	if d.Key != key("s") || d.Policy != "roundRobin" || !d.Answered || d.At.IsZero() || d.Refused != nil || d.Total != 3 || d.Tries.Attempts != 2 {
		t.Errorf("%+v", d)
	}
	got := chances(&d)
	if len(got) != 2 || math.Abs(got["10.0.0.1:80"]-0.25) > 1e-9 || math.Abs(got["10.0.0.2:80"]-0.75) > 1e-9 {
		t.Errorf("chances %v", got)
	}
	one, leaving := d.Instances[0], d.Instances[2]
	if one.InstanceStatus.Latency < 900*time.Millisecond || one.Limit != 4 || one.Warm != 1 || d.Instances[1].Endpoint.Zone != "z2" ||
		!leaving.Draining || leaving.Flags != balance.Draining || !leaving.Avoided() {
		t.Errorf("%+v", d.Instances)
	}
	if reasons(&d) != "10.0.0.3:80 weight 0" || d.ExcludedTotal != 1 {
		t.Errorf("excluded %s", reasons(&d))
	}
	if d.Limits == nil || d.Limits.Rule != settings.Limits || d.Limits.InFlight != 0 || d.Limits.Waiting != 0 {
		t.Errorf("limits %+v", d.Limits)
	}
	if d.Budget.Left != 3 || d.Budget.Rule != settings.RetryBudget || d.Budget.Granted != 0 {
		t.Errorf("budget %+v", d.Budget)
	}
	for _, i := range svc.state.Load().instances {
		if i.load.Requests() != 0 || i.load.InFlight() != 0 {
			t.Errorf("%s was asked", i.endpoint.ID)
		}
	}
}

// TestExplainAgreesWithServe: who answers is who has a chance, and nobody else.
func TestExplainAgreesWithServe(t *testing.T) {
	for _, policy := range balance.Policies() {
		b := newBed(t)
		settings := defaults()
		settings.Balance.Policy, settings.Balance.Hash = policy, []string{"{header.X-User}"}
		names := map[string]string{}
		var instances []static.Instance
		for n, version := range []string{"1", "2", "2", ""} {
			address := named(t, fmt.Sprint("i", n))
			names[address] = fmt.Sprint("i", n)
			i := static.Instance{Address: address, Weight: 1}
			if version != "" {
				i.Metadata = map[string]string{"version": version}
			}
			instances = append(instances, i)
		}
		b.set(map[string][]static.Instance{"s": instances})
		svc := b.acquire(key("s"), settings)
		until(t, svc, 4)
		for _, c := range []struct {
			subset *config.Subset
			fields []string
			most   int
		}{
			{nil, nil, 4},
			{nil, []string{"X-User", "u1"}, 4},
			{&config.Subset{Metadata: map[string]string{"version": "2"}}, nil, 2},
			{&config.Subset{Metadata: map[string]string{"version": "{header.X-V}"}}, []string{"X-V", "1"}, 1},
			{&config.Subset{Metadata: map[string]string{"version": "{header.X-V}"}}, nil, 4},
			{&config.Subset{Metadata: map[string]string{"version": "9"}}, nil, 4},
			{&config.Subset{Metadata: map[string]string{"version": "9"}, Fallback: "none"}, nil, 0},
		} {
			subset, err := SubsetOf(c.subset)
			if err != nil {
				t.Fatal(err)
			}
			h := NewTarget(svc, tries(0, 0)).Narrow(subset)
			d := h.Explain(plain(c.fields...))
			could := map[string]bool{}
			for i := range d.Instances {
				if policy != "ringHash" && policy != "maglev" || !d.Keyed || d.Instances[i].Chance > 0 {
					could["200 "+names[d.Instances[i].Endpoint.ID]] = true
				}
			}
			if len(d.Instances) != c.most || len(d.Instances)+d.ExcludedTotal != 4 || (len(d.Instances) == 0) != (d.Refused != nil) {
				t.Errorf("%s %+v: %+v", policy, c, d)
			}
			for range 20 {
				got, err := askWith(h, plain(c.fields...))
				if (err != nil) != (d.Refused != nil) || (err != nil && protocol.AsError(err).Message != d.Refused.Message) || (err == nil && !could[got]) {
					t.Fatalf("%s %+v %v: answered %q %v, explained %v %v", policy, c.subset, c.fields, got, err, could, d.Refused)
				}
			}
		}
		b.Release(svc)
	}
}

func TestExplainKeysAndCookies(t *testing.T) {
	b := newBed(t)
	settings := defaults()
	settings.Balance.Policy, settings.Balance.Hash = "ringHash", []string{"{header.X-User}"}
	settings.Balance.Sticky = &config.Sticky{Cookie: "at"}
	names := map[string]string{}
	var addresses []string
	for _, name := range []string{"a", "b", "c"} {
		addresses = append(addresses, named(t, name))
		names[addresses[len(addresses)-1]] = name
	}
	h := NewTarget(b.over(settings, addresses...), tries(0, 0))
	body, cookie := visit(t, h, "X-User", "u")
	d := h.Explain(plain("X-User", "u"))
	got := chances(&d)
	if !d.Keyed || d.Stuck != "" || len(got) != 1 {
		t.Fatalf("%+v %v", d, got)
	}
	for address := range got {
		if names[address] != body {
			t.Errorf("explained %s, answered %s", names[address], body)
		}
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	d = h.Explain(plain("X-User", "somebody else", "Cookie", cookie))
	if got = chances(&d); names[d.Stuck] != body || len(got) != 1 || got[d.Stuck] != 1 {
		t.Errorf("stuck %q, %v", d.Stuck, got)
	}
}

// TestExplainDynamic: a question about a service makes nobody watch it.
func TestExplainDynamic(t *testing.T) {
	b := newBed(t)
	tpl, _ := ParseTemplate("{service}")
	d := b.AcquireDynamic("r", "", tpl, config.Discover{}, func(registry.ServiceName) config.Service { return defaults() })
	defer d.Close()
	target := NewDynamicTarget(d, tries(time.Second, 0))
	asked := func(name string) Destination {
		req := plain()
		req.Params = []protocol.Param{{Name: "service", Value: name}}
		return target.Explain(req)
	}
	if x := asked("a"); x.Refused == nil || x.Refused.Code != protocol.CodeNoInstance || x.Key.Service.Name != "a" || x.Key.Registry != "r" {
		t.Errorf("before the registry has listed anything: %+v", x)
	}
	b.set(map[string][]static.Instance{"a": at(named(t, "A"))})
	settled(t, d)
	if x := asked("b"); x.Refused == nil || x.Refused.Status != 404 {
		t.Errorf("unknown: %+v", x)
	}
	if x := asked("a"); !x.Unwatched || x.Refused != nil || len(b.list()) != 0 {
		t.Errorf("unwatched: %+v, %d services", x, len(b.list()))
	}
	req := plain()
	req.Params = []protocol.Param{{Name: "service", Value: "a"}}
	if got, err := askWith(target, req); got != "200 A" {
		t.Fatalf("%q %v", got, err)
	}
	if x := asked("a"); x.Unwatched || x.Total != 1 || x.Instances[0].InstanceStatus.Requests != 1 || x.Key != key("a") {
		t.Errorf("watched: %+v", x)
	}
}

func TestExplainPartsOfADubboService(t *testing.T) {
	b := newBed(t)
	b.set(nil, static.DubboService{Interface: "com.x.S", Group: "g1", Version: "1", Instances: at("10.0.0.1:20880")},
		static.DubboService{Interface: "com.x.S", Group: "g2", Version: "1", Instances: at("10.0.0.2:20880", "10.0.0.3:20880")})
	k := discovery.Key{Registry: "r", Service: registry.DubboService("com.x.S", "*", "*")}
	svc := b.acquire(k, defaults())
	defer b.Release(svc)
	until(t, svc, 3)
	target := NewPartTarget(svc, tries(0, 0), func(req *protocol.Request) (string, bool, string, bool) {
		g, ok := req.Header.Lookup("X-Group")
		return g, ok, "1", true
	})
	d := target.Explain(plain("X-Group", "g2"))
	if d.Group != "g2" || d.Version != "1" || d.Total != 2 || d.Refused != nil {
		t.Errorf("%+v", d)
	}
	if d = target.Explain(plain("X-Group", "g3")); d.Refused == nil || d.Refused.Code != protocol.CodeNoInstance {
		t.Errorf("%+v", d)
	}
	if d = target.Explain(plain()); d.Refused == nil || d.Refused.Status != 400 {
		t.Errorf("ambiguous: %+v", d)
	}
}

func TestExplainBeforeTheRegistryHasSpoken(t *testing.T) {
	b := newBed(t)
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	d := NewTarget(svc, tries(0, 0)).Explain(plain())
	if d.Answered || d.Refused == nil || !strings.Contains(d.Refused.Message, "not told") || d.Total != 0 {
		t.Errorf("%+v", d)
	}
}

func TestExplainIsBounded(t *testing.T) {
	b := newBed(t)
	var instances []static.Instance
	for n := range 700 {
		i := static.Instance{Address: fmt.Sprintf("10.0.%d.%d:80", n/250, n%250+1), Weight: 1}
		if n >= 400 {
			i.Weight = 0
		}
		instances = append(instances, i)
	}
	b.set(map[string][]static.Instance{"s": instances})
	svc := b.acquire(key("s"), defaults())
	defer b.Release(svc)
	until(t, svc, 400)
	d := NewTarget(svc, tries(0, 0)).Explain(plain())
	if len(d.Instances) != 100 || d.Total != 400 || len(d.Excluded) != 100 || d.ExcludedTotal != 300 {
		t.Errorf("%d of %d, %d of %d", len(d.Instances), d.Total, len(d.Excluded), d.ExcludedTotal)
	}
}

func TestEarlierTriesAreNoted(t *testing.T) {
	b := newBed(t)
	dead := refusing(t)
	bad, _ := answering(t, 503)
	settings := generous()
	settings.Balance.Policy, settings.Outlier = "random", config.Outlier{}
	svc := b.over(settings, dead, bad)
	h := NewTarget(svc, route(func(to *config.Target) { to.Retries.Attempts, to.Retries.On = 1, []string{"connect", "503"} }))
	seen := map[string]bool{}
	for range 40 {
		req := plain()
		_, err := askWith(h, req)
		first := req.Record.Earlier[0]
		want := 2
		if first.Instance == dead {
			want = 3 // what found nobody at home is no attempt
		}
		if len(req.Record.Earlier) != want-1 || req.Record.Attempts != want {
			t.Fatalf("%+v", req.Record)
		}
		switch first.Instance {
		case dead:
			if first.Code != protocol.CodeUpstreamConnect || first.Status != 0 {
				t.Errorf("%+v %v", first, err)
			}
		case bad:
			if first.Status != 503 || first.Code != "" || first.Nanos <= 0 || err == nil {
				t.Errorf("%+v %v", first, err)
			}
		}
		seen[first.Instance] = true
	}
	if !seen[dead] || !seen[bad] {
		t.Errorf("began at %v only", seen)
	}
	req := &protocol.Request{}
	i := svc.state.Load().instances[0]
	for range 100 {
		note(req, i, nil, errors.New("x"))
	}
	if n := len(req.Record.Earlier); n != keptTries {
		t.Errorf("%d tries are kept", n)
	}
	req.Reset()
	if req.Record.Earlier != nil {
		t.Error("the next exchange has them still")
	}
}

func TestHedgedTriesAreNoted(t *testing.T) {
	b := newBed(t)
	settings := generous()
	settings.Balance.Policy = "roundRobin"
	one, two := newMoody(t, "one"), newMoody(t, "two")
	svc := b.over(settings, one.address, two.address)
	h := hedged(svc, 20*time.Millisecond)
	one.slow.Store(true)
	noted := 0
	for range 4 {
		req := plain()
		if got, err := askWith(h, req); got != "200 two!" {
			t.Fatalf("%q %v", got, err)
		}
		if rec := req.Record; rec.Attempts == 2 {
			noted++
			if len(rec.Earlier) != 1 || rec.Earlier[0].Instance != one.address || rec.Earlier[0].Status != 0 || rec.Earlier[0].Code != "" || rec.Instance != two.address {
				t.Errorf("%+v", rec)
			}
		}
	}
	if noted == 0 {
		t.Error("nothing was hedged")
	}
	d := h.Explain(plain())
	if !d.Hedged || d.HedgeDelay != 20*time.Millisecond {
		t.Errorf("%+v", d)
	}
	if d = hedged(svc, 0).Explain(plain()); !d.Hedged || d.HedgeDelay != 0 {
		t.Errorf("%+v", d)
	}
	post := plain()
	post.Method = "POST"
	if d = h.Explain(post); d.Hedged {
		t.Error("a POST is said to be hedged")
	}
}
