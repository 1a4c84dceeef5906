package nacos

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
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

	_, rpc, behind := front(t, shared(t).Addr(), nil)
	idle := runtime.NumGoroutine()
	r := newRig(t, "", behind)
	r.Await(registry.Live)
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	var seen atomic.Int32
	pushed := make([]atomic.Int32, services)
	began = time.Now()
	watch := func(n int) {
		watches.Go(func() {
			_ = r.reg.Watch(ctx, registry.App(name(n)), func(s registry.Snapshot) {
				if len(s.Instances) == 1 && pushed[n].Add(1) == 1 {
					seen.Add(1)
				}
			})
		})
	}
	// reconnect cuts the connection and measures until all that are watched are confirmed over a new one.
	reconnect := func(watched int) {
		before := make([]int32, watched)
		for n := range before {
			before[n] = pushed[n].Load()
		}
		rpc.cut()
		began, next := time.Now(), 0
		registrytest.Within(t, "every service again", func() bool {
			for next < watched && pushed[next].Load() > before[next] {
				next++
			}
			return next == watched
		})
		t.Logf("%d services confirmed %v after the connection was cut", watched, time.Since(began))
	}
	for n := range 1000 {
		watch(n)
	}
	registrytest.Within(t, "the first services", func() bool { return seen.Load() == 1000 })
	t.Logf("1000 services known after %v", time.Since(began))
	reconnect(1000)
	began = time.Now()
	for n := 1000; n < services; n++ {
		watch(n)
	}
	registrytest.Within(t, "all services", func() bool { return seen.Load() == services })
	t.Logf("%d more services known after %v", services-1000, time.Since(began))
	reconnect(services)
	// A goroutine each belongs to the watches, which block by contract; what serves them (and the forwarder) is a handful.
	registrytest.Within(t, "the workers to end", func() bool { return runtime.NumGoroutine()-idle-services < 30 })

	list := r.WatchServices()
	began = time.Now()
	list.Until("the list", func(s registry.ServiceSet) bool { return len(s.Services) >= services })
	t.Logf("listed after %v", time.Since(began))

	began = time.Now()
	p.register(name(4711), "10.9.9.9", 80, nil)
	before := pushed[4711].Load()
	registrytest.Within(t, "one change among all", func() bool { return pushed[4711].Load() > before })
	t.Logf("one change seen after %v", time.Since(began))
	r.onlyLost()
}

// TestMemory holds 5,000 services of ten instances each, with the metadata that Spring Cloud Alibaba registers.
func TestMemory(t *testing.T) {
	const services, instances = 5000, 10
	f := startFake(t)
	var hosts []string
	for n := range instances {
		hosts = append(hosts, fmt.Sprintf(`{"instanceId":"10.1.0.%d#%d#DEFAULT#DEFAULT_GROUP@@NAME","ip":"10.1.0.%d","port":%d,`+
			`"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@NAME",`+
			`"metadata":{"preserved.register.source":"SPRING_CLOUD","version":"1.0.0","zone":"cn-hangzhou-a","management.port":"8081"}}`,
			n, 8000+n, n, 8000+n))
	}
	one := `{"resultCode":200,"serviceInfo":{"name":"NAME","groupName":"DEFAULT_GROUP","hosts":[` + strings.Join(hosts, ",") + `]}}`
	f.with(func() {
		f.answer = func(kind string, body map[string]any) (any, bool) {
			name, _ := body["serviceName"].(string)
			return json.RawMessage(strings.ReplaceAll(one, "NAME", name)), kind == typeSubscribe
		}
	})
	r := f.rig()
	r.Await(registry.Live)
	before, goroutines := heap(), runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	kept := make([]atomic.Pointer[registry.Snapshot], services) // as its reader keeps it
	var seen atomic.Int32
	for n := range services {
		watches.Go(func() {
			_ = r.reg.Watch(ctx, registry.App(fmt.Sprint("svc-", n)), func(s registry.Snapshot) {
				if kept[n].Swap(&s) == nil && len(s.Instances) == instances {
					seen.Add(1)
				}
			})
		})
	}
	registrytest.Within(t, "all services", func() bool { return seen.Load() == services })
	registrytest.Within(t, "the workers to end", func() bool { return runtime.NumGoroutine() <= goroutines+services+2 })
	f.with(func() { f.asked = nil })
	all := heap() - before
	for n := range kept {
		kept[n].Store(nil)
	}
	own := heap() - before
	t.Logf("%d services of %d instances: %.1f MB of heap and a goroutine a watch; %.1f MB with the snapshots that their readers keep",
		services, instances, float64(own)/1e6, float64(all)/1e6)
	if own > 40e6 {
		t.Errorf("the registry itself holds %d bytes", own)
	}
}

func heap() int64 {
	for range 2 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
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
