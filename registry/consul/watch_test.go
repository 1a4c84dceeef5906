package consul

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

func TestInstancesComeChangeAndGo(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	name := uniqueName(t)
	w := r.Watch(registry.App(name))
	w.Until("nothing at first", has())
	one := a.register(name, "192.0.2.1", 80, func(r *api.AgentServiceRegistration) {
		r.Meta = map[string]string{"version": "1"}
		r.Weights = &api.AgentWeights{Passing: 3, Warning: 1}
	})
	s := w.Until("one", has("192.0.2.1:80"))
	if i := s.Instances[0]; i.Weight != 3 || i.Metadata["version"] != "1" || i.Protocol != "" || s.Service != registry.App(name) {
		t.Errorf("%+v", s)
	}
	two := a.register(name, "2001:db8::1", 81)
	w.Until("two", has("192.0.2.1:80", "[2001:db8::1]:81"))
	a.register(name, "192.0.2.1", 80, func(r *api.AgentServiceRegistration) { r.Meta = map[string]string{"version": "2"} })
	w.Until("a change", func(s registry.Snapshot) bool {
		return slices.ContainsFunc(s.Instances, func(i registry.Instance) bool { return i.Metadata["version"] == "2" && i.Weight == 1 })
	})
	a.deregister(one)
	w.Until("one of two", has("[2001:db8::1]:81"))
	a.deregister(two)
	w.Until("none", has())
}

func TestServicesComeAndGo(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	list := r.WatchServices()
	list.Last()
	name := uniqueName(t)
	holds := func(want bool) func(registry.ServiceSet) bool {
		return func(s registry.ServiceSet) bool { return slices.Contains(s.Services, registry.App(name)) == want }
	}
	began := time.Now()
	id := a.register(name, "192.0.2.1", 80)
	s := list.Until("the name", holds(true))
	t.Logf("a new name after %v", time.Since(began))
	if slices.Contains(s.Services, registry.App("consul")) {
		t.Error("Consul itself is listed")
	}
	a.deregister(id)
	list.Until("no name", holds(false))
}
