package nacos

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestInstanceComesChangesAndGoes(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	name := uniq(t, "svc")
	p := r.Watch(registry.App(name))
	p.Until("an unknown service to be empty", registrytest.Has())

	i := testbed.Instance{Service: name, IP: "10.0.0.1", Port: 8080, Weight: 3, Cluster: "east",
		Metadata: map[string]string{"version": "v1", "secure": "true"}}
	if err := shared(t).Register(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	got := p.Until("the instance", registrytest.Has("https://10.0.0.1:8080"))
	if d := time.Since(began); d > time.Second {
		t.Errorf("seen after %v, want 1s at most", d)
	}
	want := []registry.Instance{{Host: "10.0.0.1", Port: 8080, Protocol: "https", Weight: 3, Zone: "east", Metadata: i.Metadata}}
	if d := cmp.Diff(want, got.Instances); d != "" {
		t.Error(d)
	}

	i.Weight, i.Metadata = testbed.NoWeight, map[string]string{"version": "v2", "zone": "a"}
	if err := shared(t).Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	got = p.Until("the change", func(s registry.Snapshot) bool {
		return len(s.Instances) == 1 && s.Instances[0].Metadata["version"] == "v2"
	})
	if g := got.Instances[0]; g.Weight != 0 || g.Zone != "a" || g.Protocol != "" {
		t.Errorf("after the change: %+v", g)
	}

	i.Disabled = true
	if err := shared(t).Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	p.Until("the disabled one to be out of service", func(s registry.Snapshot) bool {
		return len(s.Instances) == 0 || s.Instances[0].Disabled
	})
	i.Disabled = false
	if err := shared(t).Update(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	p.Until("it to be back", registrytest.Has("10.0.0.1:8080"))
	if err := shared(t).Deregister(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	p.Until("it to be gone", registrytest.Has())
	r.NoErrors()
}

func TestUnhealthyIsReported(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	name := uniq(t, "svc")
	for n, ip := range []string{"10.0.0.1", "10.0.0.2"} {
		i := testbed.Instance{Service: name, IP: ip, Port: 80, Unhealthy: n == 1}
		if err := shared(t).Register(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	p := r.Watch(registry.App(name))
	p.Until("one of two to be unhealthy", func(s registry.Snapshot) bool {
		return len(s.Instances) == 2 && !s.Instances[0].Unhealthy && s.Instances[1].Unhealthy
	})
}

func TestEphemeralInstanceLivesWithItsConnection(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	name := uniq(t, "svc")
	p := r.Watch(registry.App(name))
	t.Run("provider", func(t *testing.T) {
		newProvider(t, shared(t).Addr()).register(name, "10.1.0.1", 80, nil)
		p.Until("the instance", registrytest.Has("10.1.0.1:80"))
	})
	p.Until("it to be gone with its provider", registrytest.Has())
}

func TestGroupsAreMerged(t *testing.T) {
	r := newRig(t, shared(t).Addr(), func(c *Config, _ *registry.Options) { c.Groups = []string{"DEFAULT_GROUP", "blue"} })
	name := uniq(t, "svc")
	all, blue := r.Watch(registry.App(name)), r.Watch(registry.ServiceName{Name: name, Group: "blue"})
	other := r.Watch(registry.ServiceName{Name: name, Group: "red"}) // not one of the configured groups, but asked for by name
	for group, ip := range map[string]string{"": "10.0.0.1", "blue": "10.0.0.2", "red": "10.0.0.3"} {
		if err := shared(t).Register(t.Context(), testbed.Instance{Group: group, Service: name, IP: ip, Port: 80}); err != nil {
			t.Fatal(err)
		}
	}
	all.Until("both groups", registrytest.Has("10.0.0.1:80", "10.0.0.2:80"))
	blue.Until("one group", registrytest.Has("10.0.0.2:80"))
	other.Until("the other group", registrytest.Has("10.0.0.3:80"))
	set := r.WatchServices()
	set.Until("both in the list", lists(
		registry.ServiceName{Name: name, Group: "DEFAULT_GROUP"}, registry.ServiceName{Name: name, Group: "blue"}))
}

func TestClustersAreFiltered(t *testing.T) {
	r := newRig(t, shared(t).Addr(), func(c *Config, _ *registry.Options) { c.Clusters = []string{"east"} })
	name := uniq(t, "svc")
	for cluster, ip := range map[string]string{"east": "10.0.0.1", "west": "10.0.0.2", "": "10.0.0.3"} {
		if err := shared(t).Register(t.Context(), testbed.Instance{Cluster: cluster, Service: name, IP: ip, Port: 80}); err != nil {
			t.Fatal(err)
		}
	}
	r.Watch(registry.App(name)).Until("one cluster", registrytest.Has("10.0.0.1:80"))
}

func TestNamespaces(t *testing.T) {
	space := uniq(t, "ns")
	if err := shared(t).CreateNamespace(t.Context(), space); err != nil {
		t.Fatal(err)
	}
	dev := newRig(t, shared(t).Addr(), func(c *Config, _ *registry.Options) { c.Namespace = space })
	public := newRig(t, shared(t).Addr())
	name := uniq(t, "svc")
	a, b := dev.Watch(registry.App(name)), public.Watch(registry.App(name))
	b.Until("an answer", registrytest.Has())
	if err := shared(t).Register(t.Context(), testbed.Instance{Namespace: space, Service: name, IP: "10.0.0.1", Port: 80}); err != nil {
		t.Fatal(err)
	}
	a.Until("the instance in its namespace", registrytest.Has("10.0.0.1:80"))
	set := dev.WatchServices()
	set.Until("the list of the namespace", lists(registry.ServiceName{Name: name, Group: "DEFAULT_GROUP"}))
	for _, s := range b.All() {
		if len(s.Instances) > 0 {
			t.Errorf("namespace public has %+v", s.Instances)
		}
	}

	definition := dev.WatchDefinition(registry.DubboService("dev.I", "", ""))
	definition.Until("no definition", func(d string) bool { return d == "" })
	for id, content := range map[string]string{"dev.I": "app", "dev.I:::provider:app": "{}"} {
		group := map[bool]string{true: mappingGroup, false: definitionGroup}[id == "dev.I"]
		if err := shared(t).PublishConfig(t.Context(), space, group, id, content); err != nil {
			t.Fatal(err)
		}
	}
	definition.Until("the definition", func(d string) bool { return d == "{}" })
}

func TestServiceListIsPushed(t *testing.T) {
	// An interval that never comes: what arrives was pushed.
	r := newRig(t, shared(t).Addr(), func(c *Config, _ *registry.Options) { c.ListInterval, c.Settle = time.Hour, 0 })
	set := r.WatchServices()
	set.Until("a first list", func(registry.ServiceSet) bool { return true })
	registrytest.Within(t, "the fuzzy watch", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		l := r.reg.lists["DEFAULT_GROUP"]
		return l != nil && l.watched != nil && l.watched == r.reg.session
	})
	p := newProvider(t, shared(t).Addr())
	best := time.Hour // of a few: what else the machine has to do is none of our delay
	for n := range 5 {
		name := uniq(t, fmt.Sprint("svc", n))
		p.register(name, "10.0.0.1", 80, nil)
		began := time.Now()
		set.Until("the new service", lists(inDefault(name)))
		best = min(best, time.Since(began))
	}
	t.Logf("listed after %v", best)
	if best > time.Second {
		t.Errorf("listed after %v, want 1s at most", best)
	}
	p.register("providers:"+uniq(t, "I")+":1.0:g", "10.0.0.1", 20880, nil)
	p.register("consumers:"+uniq(t, "I")+":1.0:g", "10.0.0.1", 0, nil)
	got := set.Until("the interface", lists(registry.DubboService(uniq(t, "I"), "g", "1.0")))
	for _, s := range got.Services {
		if s.Name == "consumers:"+uniq(t, "I")+":1.0:g" {
			t.Error("a consumer is listed")
		}
	}
	r.NoErrors()
}
