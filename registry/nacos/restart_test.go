package nacos

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestManyServicesOverRestarts: a server that comes back answers that every service is empty before their providers,
// Nacos's own clients, have registered again. Those that stayed are never seen empty; those whose provider has really
// gone are, when the doubt is over.
func TestManyServicesOverRestarts(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: starts a private server three times")
	}
	server := testbed.StartNacos(t)
	const settle = 20 * time.Second
	r := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) {
		c.Settle = settle
		c.Timeouts = Timeouts{Connect: 2 * time.Second, Request: 2 * time.Second, KeepAlive: 300 * time.Millisecond}
	})
	stays, leaves := startSDK(t, server.Addr()), startSDK(t, server.Addr())
	staying, leaving := map[string]*registrytest.Pushes[registry.Snapshot]{}, map[string]*registrytest.Pushes[registry.Snapshot]{}
	for n := range 6 {
		name := fmt.Sprint("stays-", n)
		stays.do(sdkRequest{Op: "batch", Service: name, IP: fmt.Sprint("10.1.0.", n+1), Port: 8000, Weight: 1})
		staying[name] = r.Watch(registry.App(name))
	}
	for n := range 3 {
		name := fmt.Sprint("leaves-", n)
		leaves.register(name, fmt.Sprint("10.2.0.", n+1), 80)
		leaving[name] = r.Watch(registry.App(name))
	}
	full := func(s registry.Snapshot) bool { return len(s.Instances) == 10 }
	first := map[string]int{}
	for name, p := range staying {
		p.Until("ten instances of "+name, full)
		first[name] = len(p.All()) - 1
	}
	for name, p := range leaving {
		p.Until("the instance of "+name, func(s registry.Snapshot) bool { return len(s.Instances) == 1 })
	}
	confirmed := func(step string) {
		t.Helper()
		before := map[string]int{}
		for name, p := range staying {
			before[name] = len(p.All())
		}
		r.Await(registry.Live)
		began := time.Now()
		for name, p := range staying {
			registrytest.Within(t, "a confirmation of "+name, func() bool { return len(p.All()) > before[name] })
			for n, s := range p.All()[first[name]:] {
				if !full(s) {
					t.Errorf("%s: push %d of %s has %d instances", step, n, name, len(s.Instances))
				}
			}
		}
		t.Logf("%s: those that stayed are confirmed %v after the connection", step, time.Since(began))
	}

	server.Kill()
	leaves.kill()
	r.Await(registry.Stale)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	confirmed("restart")
	began := time.Now()
	for name, p := range leaving {
		p.Until(name+" to be gone", registrytest.Has())
		for _, s := range p.All() {
			if len(s.Instances) == 0 && time.Since(began) < settle/4 {
				t.Errorf("%s was believed gone at once", name)
			}
		}
	}
	t.Logf("those that left are gone %v later", time.Since(began))

	wiped := make(chan error, 1)
	go func() { wiped <- server.Wipe() }()
	r.Await(registry.Stale)
	if err := <-wiped; err != nil {
		t.Fatal(err)
	}
	confirmed("restart without data")
}
