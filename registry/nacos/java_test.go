package nacos

import (
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestJavaDubbo finds real Java providers in every way in which they register.
func TestJavaDubbo(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: starts three Java providers")
	}
	address := "nacos://" + shared(t).Addr()
	providers := map[string]testbed.ProviderOptions{
		"both":     {Registry: address, Application: "j-both", Protocols: []string{"dubbo", "tri"}},
		"old":      {Registry: address, Application: "j-old", Version: "2.7.23"},
		"instance": {Registry: address, Application: "j-instance", RegisterMode: "instance", JVM: []string{"-Ddubbo.application.metadata-type=remote"}},
	}
	r := newRig(t, shared(t).Addr())
	const iface = "com.example.UserService"
	grouped, bare := r.Watch(registry.DubboService(iface, "g1", "1.0.0")), r.Watch(registry.DubboService(iface, "", ""))
	all := r.Watch(registry.DubboService(iface, "*", "*"))
	definition := r.WatchDefinition(registry.DubboService(iface, "g1", "1.0.0"))

	running := map[string]*testbed.Provider{}
	var mu sync.Mutex
	var starts sync.WaitGroup
	for name, o := range providers {
		starts.Go(func() {
			p := testbed.StartDubboProvider(t, o)
			mu.Lock()
			defer mu.Unlock()
			running[name] = p
		})
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	at := func(name, protocol string) string {
		return protocol + "://" + strings.Replace(running[name].AddrOf(protocol), "127.0.0.1", "localhost", 1) // registered as "localhost."
	}
	want := []string{at("both", "dubbo"), at("both", "tri"), at("old", "dubbo"), at("instance", "dubbo")}
	got := grouped.Until("every provider, once", registrytest.Has(want...))
	for _, i := range got.Instances {
		if i.Group != "g1" || i.Version != "1.0.0" || i.Path != "" || i.Weight != 1 || i.Metadata["application"] == "" {
			t.Errorf("%+v", i)
		}
	}
	bare.Until("every provider without group and version", registrytest.Has(want...))
	all.Until("both of each", func(s registry.Snapshot) bool { return len(s.Instances) == 2*len(want) })
	definition.Until("a definition", func(s string) bool {
		return strings.Contains(s, `"canonicalName":"`+iface+`"`) && strings.Contains(s, `"methods":[`)
	})

	if err := running["old"].Stop(); err != nil {
		t.Error(err)
	}
	grouped.Until("one less", registrytest.Has(want[0], want[1], want[3]))
	running["instance"].Kill() // the server notices that the connection is gone
	grouped.Until("two less", registrytest.Has(want[0], want[1]))
}
