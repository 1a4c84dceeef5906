package consul

import (
	"slices"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// withTTL gives a registration a check that the test sets.
func withTTL(id, status string) func(*api.AgentServiceRegistration) {
	return func(r *api.AgentServiceRegistration) {
		r.Check = &api.AgentServiceCheck{CheckID: id, TTL: "10m", Status: status}
	}
}

func TestHealthFlips(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	loose := newRig(t, server.Addr(), func(c *Config) { c.PassingOnly = false })
	name := uniqueName(t)
	strict, lax := r.Watch(registry.App(name)), loose.Watch(registry.App(name))
	id := a.register(name, "192.0.2.1", 80, withTTL(name, api.HealthPassing))
	defer a.deregister(id)
	set := func(status string) { must(t, a.api.Agent().UpdateTTL(name, "because", status)) }

	strict.Until("passing", has("192.0.2.1:80"))
	set(api.HealthWarning)
	strict.Until("warning", has("192.0.2.1:80 unhealthy"))
	lax.Until("warning is good enough", has("192.0.2.1:80"))
	set(api.HealthCritical)
	strict.Until("critical", has("192.0.2.1:80 unhealthy"))
	lax.Until("critical is not", has("192.0.2.1:80 unhealthy"))
	set(api.HealthPassing)
	strict.Until("passing again", has("192.0.2.1:80"))

	must(t, a.api.Agent().EnableServiceMaintenance(id, "spring cleaning"))
	strict.Until("maintenance", has("192.0.2.1:80 disabled"))
	lax.Until("maintenance", has("192.0.2.1:80 disabled"))
	must(t, a.api.Agent().DisableServiceMaintenance(id))
	strict.Until("back", has("192.0.2.1:80"))
}

func TestOnlyInstancesWithAllTags(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr(), func(c *Config) { c.Tags = []string{"blue", "eu"} })
	name := uniqueName(t)
	w := r.Watch(registry.App(name))
	for port, tags := range map[int][]string{81: {"blue"}, 82: {"blue", "eu", "x=1"}, 83: nil} {
		defer a.deregister(a.register(name, "192.0.2.1", port, func(r *api.AgentServiceRegistration) { r.Tags = tags }))
	}
	s := w.Until("the one with both", has("192.0.2.1:82"))
	if m := s.Instances[0].Metadata; m["tags"] != "blue,eu" || m["x"] != "1" {
		t.Errorf("%v", m)
	}
}

// Names that are hard on an HTTP path, and what a hostile registrant may put beside them.
func TestStrangeNamesAndMetadata(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	list := r.WatchServices()
	base := uniqueName(t)
	for _, name := range []string{base + "%2Fb", base + " c?d#e&f", base + "-ä"} {
		id := a.register(name, "192.0.2.1", 80, func(r *api.AgentServiceRegistration) {
			r.ID = base + name[len(base):len(base)+1]
			r.Meta = map[string]string{"k": "line\nbreak\x1b[31m"}
		})
		w := r.Watch(registry.App(name))
		s := w.Until("the instance", has("192.0.2.1:80"))
		if s.Instances[0].Metadata["k"] != "line\nbreak\x1b[31m" {
			t.Errorf("%q", s.Instances[0].Metadata)
		}
		list.Until("the name", func(s registry.ServiceSet) bool { return slices.Contains(s.Services, registry.App(name)) })
		a.deregister(id)
		w.Until("gone", has())
		w.Stop()
	}
	slashed := a.register(base+"/x", "192.0.2.1", 80, func(r *api.AgentServiceRegistration) { r.ID = base })
	defer a.deregister(slashed)
	r.AwaitError("a service is left out", "slash")
	for _, s := range list.Last().Services {
		if s.Name == base+"/x" {
			t.Error("a name that cannot be asked for is listed")
		}
	}
	if err := r.reg.Watch(t.Context(), registry.App(base+"/x"), nil); err == nil {
		t.Error("it can be watched")
	}
}
