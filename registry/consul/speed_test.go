package consul

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// From the registration's call to the push, 200 times.
func TestEventToPush(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	name := uniqueName(t)
	w := r.Watch(registry.App(name))
	w.Last()
	defer a.deregister(name)
	took := make([]time.Duration, 200)
	for n := range took {
		began := time.Now()
		a.register(name, "192.0.2.1", 1000+n, func(r *api.AgentServiceRegistration) { r.ID = name })
		w.Until("the change", has(fmt.Sprintf("192.0.2.1:%d", 1000+n)))
		took[n] = time.Since(began)
	}
	slices.Sort(took)
	t.Logf("event to push: median %v, p99 %v, worst %v", took[100], took[198], took[199])
	if took[198] > 50*time.Millisecond && !raceEnabled {
		t.Errorf("p99 is %v", took[198])
	}
}

// From the registration of a new name to the push of the list, while others come and go.
func TestNewNameToPush(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	list := r.WatchServices()
	list.Last()
	base := uniqueName(t)
	took := make([]time.Duration, 40)
	for n := range took {
		name := registry.App(fmt.Sprintf("%s-%d", base, n))
		began := time.Now()
		defer a.deregister(a.register(name.Name, "192.0.2.1", 80))
		list.Until("the name", func(s registry.ServiceSet) bool { return slices.Contains(s.Services, name) })
		took[n] = time.Since(began)
	}
	slices.Sort(took)
	t.Logf("new name to push: median %v, worst %v", took[20], took[39])
	if took[39] > 300*time.Millisecond && !raceEnabled {
		t.Errorf("it took %v", took[39])
	}
}

func BenchmarkSnapshot(b *testing.B) {
	var entries []*api.ServiceEntry
	for n := range 10 {
		entries = append(entries, entry(checks("passing", "passing"), tags("blue", "zone=a"), meta("version", "1"), func(e *api.ServiceEntry) { e.Service.Port = 80 + n }))
	}
	text, err := json.Marshal(entries)
	must(b, err)
	c := &consul{config: Default()}
	b.Run("build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if s := snapshot(registry.App("web"), entries, c.plain); len(s.Instances) != 10 {
				b.Fatal(s)
			}
		}
	})
	b.Run("decode and build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got []*api.ServiceEntry
			must(b, json.Unmarshal(text, &got))
			if s := snapshot(registry.App("web"), got, c.plain); len(s.Instances) != 10 {
				b.Fatal(s)
			}
		}
	})
}
