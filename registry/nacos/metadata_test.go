package nacos

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// appHost is an instance of a Dubbo application.
func appHost(ip, revision, storage string) map[string]any {
	h := aHost(ip)
	h["port"] = 20880
	h["metadata"] = map[string]string{
		dubbo.RevisionKey: revision, dubbo.StorageKey: storage, dubbo.EndpointsKey: `[{"port":20880,"protocol":"dubbo"}]`,
		dubbo.ParamsKey: `{"port":"20880","protocol":"dubbo"}`,
	}
	return h
}

func (r *rig) knownApps() int {
	r.reg.mu.Lock()
	defer r.reg.mu.Unlock()
	return len(r.reg.apps)
}

func TestRevisionIsLearntOnceForAll(t *testing.T) {
	f := startFake(t)
	f.with(func() {
		f.configs["mapping/a.A"], f.configs["mapping/a.B"] = "app", "app"
		f.services["DEFAULT_GROUP@@app"] = []any{appHost("10.0.0.1", "r1", "local"), appHost("10.0.0.2", "r1", "local")}
	})
	answer := `{"services":{"a.A:dubbo":{"name":"a.A","protocol":"dubbo"},"a.B:dubbo":{"name":"a.B","protocol":"dubbo"}}}`
	m := &fetcher{answers: map[string]string{"dubbo://10.0.0.1:20880": answer, "dubbo://10.0.0.2:20880": answer}}
	r := f.rig(withFetcher(m))
	var all []*registrytest.Pushes[registry.Snapshot]
	for range 10 {
		all = append(all, r.Watch(registry.DubboService("a.A", "", "")), r.Watch(registry.DubboService("a.B", "", "*")))
	}
	for _, p := range all {
		p.Until("both", registrytest.Has("dubbo://10.0.0.1:20880", "dubbo://10.0.0.2:20880"))
	}
	if d := cmp.Diff([]string{"dubbo://10.0.0.1:20880 app r1"}, m.asked); d != "" {
		t.Error(d)
	}
	// A rollout: the old revision is forgotten with its last instance.
	m.set("dubbo://10.0.0.3:20880", `{"services":{"a.A:dubbo":{"name":"a.A","protocol":"dubbo"}}}`)
	f.pushService("app", appHost("10.0.0.1", "r1", "local"), appHost("10.0.0.3", "r2", "local"))
	all[0].Until("both revisions", registrytest.Has("dubbo://10.0.0.1:20880", "dubbo://10.0.0.3:20880"))
	all[1].Until("the old revision's", registrytest.Has("dubbo://10.0.0.1:20880"))
	f.pushService("app", appHost("10.0.0.3", "r2", "local"))
	all[0].Until("the new revision's", registrytest.Has("dubbo://10.0.0.3:20880"))
	all[1].Until("none", registrytest.Has())
	registrytest.Within(t, "the old revision to be forgotten", func() bool { return r.knownApps() == 1 })
	// A reconnection asks for nothing again.
	asked := m.count()
	f.restart(func() {})
	registrytest.Within(t, "a new subscription", func() bool { return f.count(typeSubscribe+" app") >= 2 })
	registrytest.Within(t, "all to be confirmed", func() bool { return len(all[0].All()) > 3 })
	if n := m.count(); n != asked {
		t.Errorf("a known revision was asked for %d times again", n-asked)
	}
	// An application that does not export the interface any more is left.
	f.with(func() { f.configs["mapping/a.A"] = "" })
	f.with(func() { f.configs["mapping/a.B"] = "other" })
	f.push(typeConfigChange, map[string]any{"requestId": "1", "group": "mapping", "dataId": "a.A"})
	f.push(typeConfigChange, map[string]any{"requestId": "2", "group": "mapping", "dataId": "a.B"})
	all[0].Until("nothing", registrytest.Has())
	registrytest.Within(t, "the revision to be forgotten", func() bool { return r.knownApps() == 0 })
}

func TestManyDeadSources(t *testing.T) {
	f := startFake(t)
	hosts := []any{}
	for n := range 8 {
		hosts = append(hosts, appHost(fmt.Sprintf("10.0.0.%d", n+1), "r1", "local"))
	}
	f.with(func() {
		f.configs["mapping/a.A"] = "app"
		f.services["DEFAULT_GROUP@@app"] = hosts
	})
	m := &fetcher{answers: map[string]string{"dubbo://10.0.0.8:20880": `{"services":{"k":{"name":"a.A","protocol":"dubbo","port":1}}}`}}
	r := f.rig(withFetcher(m))
	p := r.Watch(registry.DubboService("a.A", "", ""))
	got := p.Until("all of them", func(s registry.Snapshot) bool { return len(s.Instances) == 8 })
	if got.SkippedCount != 0 {
		t.Errorf("%+v", got.Skipped)
	}
	first := p.All()[0]
	if first.SkippedCount != 8 || !strings.Contains(first.Skipped[0].Reason, "metadata: ask dubbo://10.0.0.1:20880: connection refused") {
		t.Errorf("before it was known: %+v", first.Skipped)
	}
	if n := m.count(); n > 9 {
		t.Errorf("%d questions until the one that answers was asked", n)
	}
}

func TestMetadataThatCannotBeHad(t *testing.T) {
	f := startFake(t)
	remote := appHost("10.0.0.1", "r1", "remote")
	old := appHost("10.0.0.2", "", "local") // Dubbo 2.7 tells no revision
	f.with(func() {
		f.configs["mapping/a.A"] = "app"
		f.configs["broken/app"] = "}{"
		f.services["DEFAULT_GROUP@@app"] = []any{remote, old, appHost("10.0.0.3", "broken", "remote")}
	})
	r := f.rig()
	p := r.Watch(registry.DubboService("a.A", "", ""))
	got := p.Until("all to be skipped by name", func(s registry.Snapshot) bool { return s.SkippedCount == 3 })
	reasons := fmt.Sprint(got.Skipped)
	for _, want := range []string{"{10.0.0.1:20880 metadata: not in the configuration centre", "{10.0.0.2:20880 metadata: not in", "{10.0.0.3:20880 not a MetadataInfo"} {
		if !strings.Contains(reasons, want) {
			t.Errorf("%q is not in %s", want, reasons)
		}
	}
	// Published late, it is found at the next try.
	f.with(func() { f.configs["r1/app"] = `{"services":{"a.A:tri":{"name":"a.A","port":50051}}}` })
	p.Until("the one that can be had", registrytest.Has("tri://10.0.0.1:50051"))
}

func TestRegisteredInTwoGroups(t *testing.T) {
	f := startFake(t)
	name := providersOf("a.A", "1.0", "")
	f.with(func() {
		for _, group := range []string{"DEFAULT_GROUP", "blue"} {
			h := aHost("10.0.0.1")
			h["metadata"] = map[string]string{"protocol": "tri"}
			f.services[group+"@@"+name] = []any{h}
			f.services[group+"@@plain"] = nil
		}
		any := aHost("0.0.0.0")
		any["metadata"] = map[string]string{"protocol": "dubbo"}
		f.services["blue@@"+name] = append(f.services["blue@@"+name], any)
	})
	r := f.rig(func(c *Config, _ *registry.Options) {
		c.Groups, c.Clusters = []string{"DEFAULT_GROUP", "blue"}, []string{"DEFAULT"}
	})
	got := r.Watch(registry.DubboService("a.A", "", "1.0")).Until("it once", registrytest.Has("tri://10.0.0.1:80"))
	if got.SkippedCount != 1 || !strings.Contains(got.Skipped[0].Reason, "no address of one machine") {
		t.Errorf("%+v", got.Skipped)
	}
	set := r.WatchServices().Until("a list", func(registry.ServiceSet) bool { return true })
	want := []registry.ServiceName{
		{Name: "plain", Group: "DEFAULT_GROUP"}, registry.DubboService("a.A", "", "1.0"), {Name: "plain", Group: "blue"},
	}
	if d := cmp.Diff(want, set.Services); d != "" {
		t.Error(d)
	}
}

func TestPlainInstances(t *testing.T) {
	for _, c := range []struct {
		host           host
		protocol, zone string
	}{
		{host{Port: 80, ClusterName: "DEFAULT"}, "", ""},
		{host{Port: 80, ClusterName: "east"}, "", "east"},
		{host{Port: 80, ClusterName: "east", Metadata: map[string]string{"zone": "a"}}, "", "a"},
		{host{Port: 80, Metadata: map[string]string{"protocol": "GRPC"}}, "grpc", ""},
		{host{Port: 80, Metadata: map[string]string{"kind": "grpc"}}, "grpc", ""},
		{host{Port: 80, Metadata: map[string]string{"secure": "True"}}, "https", ""},
		{host{Port: 80, Metadata: map[string]string{"secure": "false"}}, "", ""},
		{host{Port: 9090, Metadata: map[string]string{"gRPC_port": "9090"}}, "grpc", ""},
		{host{Port: 8080, Metadata: map[string]string{"gRPC_port": "9090"}}, "", ""},
		{host{Port: 9090, Metadata: map[string]string{"gRPC.port": "9090"}}, "grpc", ""},
	} {
		if i := c.host.plain(); i.Protocol != c.protocol || i.Zone != c.zone {
			t.Errorf("%+v: protocol %q zone %q", c.host, i.Protocol, i.Zone)
		}
	}
}
