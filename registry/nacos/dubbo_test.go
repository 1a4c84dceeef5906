package nacos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// fetcher answers for the MetadataServices of providers.
type fetcher struct {
	mu      sync.Mutex
	asked   []string
	answers map[string]string // by protocol://address
}

func (f *fetcher) FetchMetadata(_ context.Context, protocol, address, app, revision string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprintf("%s://%s %s %s", protocol, address, app, revision))
	if a, ok := f.answers[protocol+"://"+address]; ok {
		return []byte(a), nil
	}
	return nil, errors.New("connection refused")
}

func (f *fetcher) set(source, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[source] = answer
}

func (f *fetcher) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func withFetcher(f registry.MetadataFetcher) func(*Config, *registry.Options) {
	return func(_ *Config, o *registry.Options) { o.Dubbo = f }
}

// interfaceMetadata is what Java's Dubbo registers for an interface.
func interfaceMetadata(iface, group, version, protocol string) map[string]string {
	m := map[string]string{
		"application": "jprov", "category": "providers", "interface": iface, "protocol": protocol, "path": iface,
		"methods": "get,list", "side": "provider", "release": "3.3.6", "dubbo": "2.0.2", "weight": "200",
	}
	if group != "" {
		m["group"] = group
	}
	if version != "" {
		m["version"] = version
	}
	return m
}

func metadataInfo(app, revision, iface string) string {
	return fmt.Sprintf(`{"app":%q,"revision":%q,"services":{
	 "g1/%[3]s:1.0.0:dubbo":{"name":"%[3]s","group":"g1","version":"1.0.0","protocol":"dubbo","port":20880,"path":"%[3]s","params":{"methods":"get","weight":"50"}},
	 "g1/%[3]s:1.0.0:tri":{"name":"%[3]s","group":"g1","version":"1.0.0","protocol":"tri","port":"50051","path":"/x/%[3]s"},
	 "%[3]s:rest":{"name":"%[3]s","protocol":"rest","port":8080,"path":"%[3]s"},
	 "other:dubbo":{"name":"other","protocol":"dubbo","port":20880,"path":"other"},
	 "broken":7}}`, app, revision, iface)
}

// register adds a persistent instance to the shared server.
func register(t *testing.T, service, ip string, port int, metadata map[string]string) testbed.Instance {
	t.Helper()
	i := testbed.Instance{Service: service, IP: ip, Port: port, Metadata: metadata}
	if err := shared(t).Register(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	return i
}

func publish(t *testing.T, group, id, content string) {
	t.Helper()
	if err := shared(t).PublishConfig(t.Context(), "", group, id, content); err != nil {
		t.Fatal(err)
	}
}

func TestDubboByInterface(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	iface := strings.ReplaceAll(uniq(t, "I"), "-", ".")
	exact, bare := r.Watch(registry.DubboService(iface, "g1", "1.0.0")), r.Watch(registry.DubboService(iface, "", ""))
	anyGroup, all := r.Watch(registry.DubboService(iface, "*", "1.0.0")), r.Watch(registry.DubboService(iface, "*", "*"))
	exact.Until("nothing", registrytest.Has())
	all.Until("nothing", registrytest.Has())

	register(t, providersOf(iface, "1.0.0", "g1"), "10.0.0.1", 20880, interfaceMetadata(iface, "g1", "1.0.0", "dubbo"))
	tri := interfaceMetadata(iface, "g1", "1.0.0", "tri")
	tri["path"], tri["disabled"] = "x/"+iface, "true"
	gone := register(t, providersOf(iface, "1.0.0", "g1"), "10.0.0.1", 50051, tri)
	register(t, providersOf(iface, "1.0.0", "g1"), "10.0.0.1", 8080, interfaceMetadata(iface, "g1", "1.0.0", "rest"))
	register(t, providersOf(iface, "", ""), "10.0.0.2", 20880, interfaceMetadata(iface, "", "", "dubbo"))
	register(t, providersOf(iface, "1.0.0", ""), "10.0.0.3", 20880, interfaceMetadata(iface, "", "1.0.0", "dubbo"))

	got := exact.Until("both protocols", func(s registry.Snapshot) bool { return len(s.Instances) == 2 && s.SkippedCount == 1 })
	want := []registry.Instance{
		{Host: "10.0.0.1", Port: 20880, Protocol: "dubbo", Weight: 2, Group: "g1", Version: "1.0.0",
			Metadata: interfaceMetadata(iface, "g1", "1.0.0", "dubbo")},
		{Host: "10.0.0.1", Port: 50051, Protocol: "tri", Weight: 2, Group: "g1", Version: "1.0.0", Path: "x/" + iface,
			Disabled: true, Metadata: tri},
	}
	if d := cmp.Diff(want, got.Instances); d != "" {
		t.Error(d)
	}
	bare.Until("the one without group and version", registrytest.Has("dubbo://10.0.0.2:20880"))
	anyGroup.Until("every group", registrytest.Has("dubbo://10.0.0.1:20880", "tri://10.0.0.1:50051", "dubbo://10.0.0.3:20880"))
	all.Until("everything", registrytest.Has("dubbo://10.0.0.1:20880", "tri://10.0.0.1:50051", "dubbo://10.0.0.2:20880", "dubbo://10.0.0.3:20880"))
	if err := shared(t).Deregister(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	all.Until("one less", registrytest.Has("dubbo://10.0.0.1:20880", "dubbo://10.0.0.2:20880", "dubbo://10.0.0.3:20880"))
	r.NoErrors()
}

func TestDubboByApplication(t *testing.T) {
	f := &fetcher{answers: map[string]string{}}
	r := newRig(t, shared(t).Addr(), withFetcher(f))
	iface := strings.ReplaceAll(uniq(t, "I"), "-", ".")
	local, remote := uniq(t, "local"), uniq(t, "remote")
	p := r.Watch(registry.DubboService(iface, "g1", "*"))
	p.Until("nothing", registrytest.Has())

	endpoints := `[{"port":20880,"protocol":"dubbo"},{"port":50051,"protocol":"tri"}]`
	publish(t, mappingGroup, iface, remote+", bad name")
	publish(t, "r1", remote, metadataInfo(remote, "r1", iface))
	register(t, remote, "10.0.1.1", 20880, map[string]string{dubbo.RevisionKey: "r1", dubbo.StorageKey: "remote", dubbo.EndpointsKey: endpoints, "zone": "a"})
	got := p.Until("what the application exports", registrytest.Has("dubbo://10.0.1.1:20880", "tri://10.0.1.1:50051"))
	for _, i := range got.Instances {
		if i.Group != "g1" || i.Version != "1.0.0" || i.Zone != "a" || i.Metadata["application"] != remote {
			t.Errorf("%+v", i)
		}
		if w := map[string]float64{"dubbo": 0.5, "tri": 1}[i.Protocol]; i.Weight != w {
			t.Errorf("weight of %s is %v, want %v", i.Protocol, i.Weight, w)
		}
		if want := map[string]string{"dubbo": "", "tri": "x/" + iface}[i.Protocol]; i.Path != want {
			t.Errorf("path of %s is %q, want %q", i.Protocol, i.Path, want)
		}
	}

	// A second application joins; it keeps its metadata itself, and its first two instances do not answer.
	publish(t, mappingGroup, iface, remote+","+local)
	params := func(port int) string { return fmt.Sprintf(`{"version":"2.0.0","port":"%d","protocol":"tri"}`, port) }
	for n := 1; n <= 2; n++ {
		register(t, local, fmt.Sprintf("10.0.2.%d", n), 20880,
			map[string]string{dubbo.RevisionKey: "r2", dubbo.StorageKey: "local", dubbo.EndpointsKey: endpoints, dubbo.ParamsKey: params(50051)})
	}
	p.Until("instances whose metadata is not to be had are named", func(s registry.Snapshot) bool {
		return len(s.Instances) == 2 && s.SkippedCount == 2 && strings.Contains(s.Skipped[0].Reason, "connection refused")
	})
	f.set("tri://10.0.2.3:50051", metadataInfo(local, "r2", iface))
	register(t, local, "10.0.2.3", 20880,
		map[string]string{dubbo.RevisionKey: "r2", dubbo.StorageKey: "local", dubbo.EndpointsKey: endpoints, dubbo.ParamsKey: params(50051)})
	p.Until("all of the revision", registrytest.Has(
		"dubbo://10.0.1.1:20880", "tri://10.0.1.1:50051", "dubbo://10.0.2.1:20880", "tri://10.0.2.1:50051",
		"dubbo://10.0.2.2:20880", "tri://10.0.2.2:50051", "dubbo://10.0.2.3:20880", "tri://10.0.2.3:50051"))
	asked := f.count()

	// What is registered both ways counts once; what exports nothing, or is no Dubbo application, not at all.
	register(t, providersOf(iface, "1.0.0", "g1"), "10.0.2.1", 20880, interfaceMetadata(iface, "g1", "1.0.0", "dubbo"))
	register(t, local, "10.0.2.4", 20880, map[string]string{dubbo.RevisionKey: "0"})
	register(t, local, "10.0.2.5", 80, nil)
	got = p.Until("no double", func(s registry.Snapshot) bool {
		return len(s.Instances) == 8 && s.SkippedCount == 1 && strings.Contains(s.Skipped[0].Reason, "no instance of a Dubbo application")
	})
	for _, i := range got.Instances {
		if i.Address() == "10.0.2.1:20880" && i.Metadata["methods"] != "get,list" {
			t.Errorf("the interface's own registration is not preferred: %+v", i)
		}
	}
	if n := f.count(); n != asked {
		t.Errorf("a known revision was asked for %d times again", n-asked)
	}
}

func TestDefinition(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	iface := strings.ReplaceAll(uniq(t, "I"), "-", ".")
	p := r.WatchDefinition(registry.DubboService(iface, "g1", "1.0.0"))
	p.Until("none", func(s string) bool { return s == "" })
	// Dubbo 2.7 writes no mapping: the application is known by its provider.
	register(t, providersOf(iface, "1.0.0", "g1"), "10.0.0.1", 20880, interfaceMetadata(iface, "g1", "1.0.0", "dubbo"))
	publish(t, definitionGroup, iface+":1.0.0:g1:provider:jprov", `{"canonicalName":"1"}`)
	p.Until("the provider's", func(s string) bool { return s == `{"canonicalName":"1"}` })
	publish(t, definitionGroup, iface+":1.0.0:g1:provider:jprov", `{"canonicalName":"2"}`)
	p.Until("its change", func(s string) bool { return s == `{"canonicalName":"2"}` })
	publish(t, mappingGroup, iface, "aprov")
	publish(t, definitionGroup, iface+":1.0.0:g1:provider:aprov", `{"canonicalName":"3"}`)
	p.Until("the first application's", func(s string) bool { return s == `{"canonicalName":"3"}` })
	if err := shared(t).DeleteConfig(t.Context(), "", definitionGroup, iface+":1.0.0:g1:provider:aprov"); err != nil {
		t.Fatal(err)
	}
	p.Until("the next application's", func(s string) bool { return s == `{"canonicalName":"2"}` })
	r.NoErrors()
}

func TestNamesThatCannotBeWatched(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	for _, name := range []registry.ServiceName{{}, registry.App("a b"), registry.App("a@@b"), {Name: "a", Group: "x y"}, registry.DubboService("", "", "")} {
		if err := r.reg.Watch(t.Context(), name, nil); err == nil {
			t.Errorf("%+v is watched", name)
		}
	}
	for _, name := range []registry.ServiceName{registry.App("a"), registry.DubboService("I", "*", ""), registry.DubboService("I", "", "*"), registry.DubboService("", "", "")} {
		if err := r.reg.WatchDefinition(t.Context(), name, nil); err == nil {
			t.Errorf("the definition of %+v is watched", name)
		}
	}
}

func TestDubboWeight(t *testing.T) {
	for _, c := range []struct {
		nacos   float64
		dubbo   string
		release string
		want    float64
	}{
		{1, "", "", 1}, {1, "100", "3.3.6", 1}, {1, "200", "3.3.6", 2}, {3, "100", "3.3.6", 3}, {0, "100", "3.3.6", 0},
		{1, "0", "3.3.6", 0}, {1, "x", "", 1}, {1, "-5", "", 1},
		{0, "0", "dubbo-golang-3.3.2", 1}, {200, "200", "dubbo-golang-3.3.2", 2}, {5, "0", "dubbo-golang-3.3.2", 5},
		{0, "100", "dubbo-golang-3.3.2", 0}, {100, "100", "3.3.6", 100},
	} {
		if got := dubboWeight(&host{Weight: c.nacos, Metadata: map[string]string{"release": c.release}}, c.dubbo); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestServiceNames(t *testing.T) {
	for name, want := range map[string]registry.ServiceName{
		"orders":                  {Name: "orders", Group: "G"},
		"providers:a.B:1.0:g":     registry.DubboService("a.B", "g", "1.0"),
		"providers:a.B::":         registry.DubboService("a.B", "", ""),
		"providers:a.B:1.0":       registry.DubboService("a.B", "", "1.0"),
		"providers:a.B":           registry.DubboService("a.B", "", ""),
		"providers::1.0:g":        {},
		"providers:a.B:1.0:g:x":   {},
		"consumers:a.B:1.0:g":     {},
		"configurators:a.B:1.0:g": {},
		"routers:a.B:1.0:g":       {},
	} {
		got, ok := serviceName("G", name)
		if got != want || ok != (want != registry.ServiceName{}) {
			t.Errorf("%s: %+v %v", name, got, ok)
		}
	}
}
