package zookeeper

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// From the moment a provider's node is written to the push that has it: at most 100 ms for 99 of 100. Strangers on the
// machine may spoil a round, but hardly three.
func TestLatency(t *testing.T) {
	r := newRig(t, shared.get(t))
	for round := range 3 {
		p99 := latency(t, r, fmt.Sprintf("a.S%d", round))
		if p99 <= 100*time.Millisecond {
			return
		}
	}
	t.Error("p99 over 100 ms in three rounds")
}

func latency(t *testing.T, r *rig, iface string) (p99 time.Duration) {
	r.writer.put(r.rdubbo(iface, "providers"), "")
	p := r.watch(registry.DubboService(iface, "", ""))
	p.last()
	const events = 200
	took := make([]time.Duration, events)
	for n := range events {
		path := r.rdubbo(iface, "providers", encode(java33("dubbo", fmt.Sprintf("192.0.2.%d:20880", n), iface, "")))
		time.Sleep(15 * time.Millisecond) // providers come one by one
		began := time.Now()
		r.writer.live(path, "")
		p.until("it", func(s registry.Snapshot) bool { return len(s.Instances) == n+1 })
		took[n] = time.Since(began)
	}
	slices.Sort(took)
	p99 = took[events*99/100-1]
	t.Logf("from writing to push: median %v, p99 %v, worst %v", took[events/2], p99, took[events-1])
	return p99
}

// fill creates n children of a node, several at once.
func fill(r *rig, dir string, n int, name func(int) string, data func(int) string) {
	r.writer.put(dir, "")
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < n; i += 16 {
				r.writer.put(dir+"/"+name(i), data(i))
			}
		})
	}
	wg.Wait()
}

func address(n int) string { return fmt.Sprintf("10.%d.%d.1", n/250, n%250) }

// A service of 10,000 instances: told whole, and a change of one costs the reading of one.
func TestTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const instances = 10_000
	for name, kind := range map[string]registry.ServiceName{"interface": registry.DubboService("a.S", "", ""), "application": registry.App("web")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, shared.get(t))
			node := func(n int) string { return spring(address(n), `"port":8080,"sslPort":null`, `"instance_status":"UP"`) }
			provider := func(n int) string { return encode(java33("dubbo", address(n)+":20880", "a.S", "")) }
			one := r.rservices("web", "new")
			if kind.Kind == registry.Dubbo {
				fill(r, r.rdubbo("a.S/providers"), instances, provider, func(int) string { return "" })
				one = r.rdubbo("a.S/providers", provider(instances))
			} else {
				fill(r, r.rservices("web"), instances, func(n int) string { return fmt.Sprint(n) }, node)
			}
			began := time.Now()
			p := r.watch(kind)
			p.until("all", func(s registry.Snapshot) bool { return len(s.Instances) == instances })
			first := time.Since(began)
			if n := p.count(); n != 1 {
				t.Errorf("%d pushes before it was whole", n-1)
			}
			time.Sleep(2 * longRest) // the rest after the first push
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began = time.Now()
			r.writer.live(one, node(instances))
			p.until("one more", func(s registry.Snapshot) bool { return len(s.Instances) == instances+1 })
			again := time.Since(began)
			runtime.ReadMemStats(&after)
			t.Logf("first push after %v, one more after %v; heap %d MB, one change allocates %d KB",
				first.Round(time.Millisecond), again.Round(time.Millisecond), before.HeapAlloc>>20, (after.TotalAlloc-before.TotalAlloc)>>10)
			if again > time.Second {
				t.Errorf("one more took %v", again)
			}
		})
	}
}
