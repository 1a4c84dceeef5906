package zookeeper

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// From the moment a provider's node is written to the push that has it, beside what another client needs for the same: one
// of the usual library that waits for its watch and lists the providers again. A busy machine slows both; what is ours
// alone is the difference.
func TestLatency(t *testing.T) {
	server := shared.get(t)
	r, other := newRig(t, server), newWriter(t, server.Addr())
	const events = 200
	dir := r.rdubbo("a.S/providers")
	r.writer.put(dir, "")
	theirs := make(chan time.Time, events)
	ours := make(chan int, 3*events) // instances in each push
	r.Background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.DubboService("a.S", "", ""), func(s registry.Snapshot) { ours <- len(s.Instances) })
	})
	<-ours
	lag, took := make([]time.Duration, events), make([]time.Duration, events)
	for n := range events {
		_, _, changed, err := other.conn.ChildrenW(dir)
		must(t, err)
		go func() {
			<-changed
			_, _, err := other.conn.Children(dir)
			if err != nil {
				t.Error(err)
			}
			theirs <- time.Now()
		}()
		time.Sleep(15 * time.Millisecond) // providers come one by one
		began := time.Now()
		r.writer.live(dir+"/"+encode(java33("dubbo", fmt.Sprintf("192.0.2.%d:20880", n), "a.S", "")), "")
		var a, b time.Time
		for a.IsZero() || b.IsZero() {
			select {
			case got := <-ours:
				if got == n+1 {
					a = time.Now()
				}
			case b = <-theirs:
			case <-time.After(registrytest.Deadline):
				t.Fatal("no push")
			}
		}
		took[n], lag[n] = a.Sub(began), a.Sub(b)
	}
	slices.Sort(took)
	slices.Sort(lag)
	t.Logf("from writing to push: median %v, p99 %v; after the other client: median %v, p99 %v", took[events/2], took[events*99/100-1],
		lag[events/2], lag[events*99/100-1])
	if p99 := lag[events*99/100-1]; p99 > 50*time.Millisecond {
		t.Errorf("p99 is %v later than the other client", p99)
	}
}

// A new name is in the list of services as soon as it is in the registry; the median of ten, for strangers on the machine
// may spoil one.
func TestNewNameLatency(t *testing.T) {
	r := newRig(t, shared.get(t))
	p := r.WatchServices()
	p.Last()
	var took []time.Duration
	for n := range 20 {
		name := fmt.Sprintf("app%d", n)
		if n%2 == 1 {
			name = fmt.Sprintf("a.S%d", n)
		}
		time.Sleep(2 * shortRest)
		began := time.Now()
		want := registry.App(name)
		if n%2 == 1 {
			r.writer.live(r.rdubbo(name, "providers", encode(java33("dubbo", "192.0.2.1:20880", name, ""))), "")
			want = registry.DubboService(name, "", "")
		} else {
			r.writer.live(r.rservices(name, "1"), spring("192.0.2.1", `"port":8080`, ""))
		}
		p.Until(name, func(s registry.ServiceSet) bool { return slices.Contains(s.Services, want) })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("median %v, worst %v", took[len(took)/2], took[len(took)-1])
	if median := took[len(took)/2]; median > 200*time.Millisecond {
		t.Errorf("median %v", median)
	}
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
			p := r.Watch(kind)
			p.Until("all", func(s registry.Snapshot) bool { return len(s.Instances) == instances })
			first := time.Since(began)
			if n := p.Count(); n != 1 {
				t.Errorf("%d pushes before it was whole", n-1)
			}
			time.Sleep(2 * longRest) // the rest after the first push
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			used := cpu()
			began = time.Now()
			r.writer.live(one, node(instances))
			p.Until("one more", func(s registry.Snapshot) bool { return len(s.Instances) == instances+1 })
			again := time.Since(began)
			runtime.ReadMemStats(&after)
			t.Logf("first push after %v, one more after %v; heap %d MB, one change allocates %d KB",
				first.Round(time.Millisecond), again.Round(time.Millisecond), before.HeapAlloc>>20, (after.TotalAlloc-before.TotalAlloc)>>10)
			if work := cpu() - used; work > time.Second { // the clock's time is also the server's and that of strangers
				t.Errorf("one more took %v of CPU", work)
			}
		})
	}
}
