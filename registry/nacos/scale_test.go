package nacos

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// TestFiveThousandServices watches 5,000 services on one connection of a real server.
func TestFiveThousandServices(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: registers 5,000 services")
	}
	const services = 5000
	name := func(n int) string { return uniq(t, fmt.Sprint(n)) }
	p := newProvider(t, shared(t).Addr())
	began := time.Now()
	p.registerMany(services, name)
	t.Logf("registered in %v", time.Since(began))

	idle := runtime.NumGoroutine()
	r := newRig(t, shared(t).Addr())
	r.await(registry.Live)
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	var seen atomic.Int32
	pushed := make([]atomic.Int32, services)
	began = time.Now()
	for n := range services {
		watches.Go(func() {
			_ = r.reg.Watch(ctx, registry.App(name(n)), func(s registry.Snapshot) {
				if len(s.Instances) == 1 && pushed[n].Add(1) == 1 {
					seen.Add(1)
				}
			})
		})
	}
	within(t, "all services", func() bool { return seen.Load() == services })
	t.Logf("%d services known after %v", services, time.Since(began))
	// A goroutine each belongs to the watches, which block by contract; what serves them is a handful.
	within(t, "the workers to end", func() bool { return runtime.NumGoroutine()-idle-services < 20 })

	list := r.watchServices()
	began = time.Now()
	list.until("the list", func(s registry.ServiceSet) bool { return len(s.Services) >= services })
	t.Logf("listed after %v", time.Since(began))

	began = time.Now()
	p.register(name(4711), "10.9.9.9", 80, nil)
	before := pushed[4711].Load()
	within(t, "one change among all", func() bool { return pushed[4711].Load() > before })
	t.Logf("one change seen after %v", time.Since(began))
	r.noErrors()
}

// registerMany registers one instance of each of n services.
func (p *provider) registerMany(n int, name func(int) string) {
	p.t.Helper()
	var next atomic.Int32
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				err := p.request(p.t.Context(), serviceKey{"DEFAULT_GROUP", name(i)}, "registerInstance", instance{
					IP: "10.0.0.1", Port: 80, Weight: 1, Healthy: true, Enabled: true, Ephemeral: true, ClusterName: "DEFAULT",
				})
				if err != nil {
					p.t.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}
