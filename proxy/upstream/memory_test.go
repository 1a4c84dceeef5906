package upstream

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/sluice-gateway/sluice/registry/static"
)

// TestMemoryOfInstances: 5,000 services with ten instances each, all in use by routes, with what a registry tells of them.
func TestMemoryOfInstances(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures memory")
	}
	const services, instances = 5000, 10
	b := newBed(t)
	before := heap()
	all := map[string][]static.Instance{}
	for s := range services {
		list := make([]static.Instance, instances)
		for i := range list {
			list[i] = static.Instance{Address: fmt.Sprintf("10.%d.%d.%d:8080", i, s/250, s%250), Weight: 1}
		}
		all[fmt.Sprintf("service-%04d", s)] = list
	}
	b.set(all)
	registry := heap() - before
	for name := range all {
		svc := b.acquire(key(name), defaults())
		defer b.Release(svc)
		until(t, svc, instances)
	}
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	t.Logf("heap %d stack %d goroutines %d sys %d idle %d", ms.HeapAlloc>>20, ms.StackInuse>>20, runtime.NumGoroutine(), ms.HeapSys>>20, ms.HeapIdle>>20)
	perInstance := (heap() - before - registry) / (services * instances)
	t.Logf("the registry's own: %d MB; %d bytes an instance above it", registry>>20, perInstance)
	if perInstance > 1500 {
		t.Errorf("%d bytes an instance", perInstance)
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
