package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// TestSlowConsumer: who does not return from push holds up nobody, and then gets the newest state.
func TestSlowConsumer(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	r := run(t, c)
	entered, release := make(chan struct{}), make(chan struct{})
	slow := &registrytest.Pushes[registry.Snapshot]{T: t}
	r.Background(func(ctx context.Context) error {
		first := true
		return r.reg.Watch(ctx, registry.App("orders"), func(s registry.Snapshot) {
			slow.Push(s)
			if first {
				first = false
				close(entered)
				<-release
			}
		})
	})
	<-entered
	quick := r.Watch(registry.App("orders"))
	for i := range 100 {
		p.put(c.Prefix+"/orders/a", fmt.Sprintf("10.0.1.%d:80", i))
	}
	shows(t, quick, "10.0.1.99:80")
	close(release)
	shows(t, slow, "10.0.1.99:80")
	if n := slow.Count(); n != 2 {
		t.Errorf("%d pushes to the slow one", n)
	}
}

// TestCancelled: cancelled at any moment, nothing is left: no goroutine (see TestMain) and no descriptor.
func TestCancelled(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	fill(t, p, c.Prefix, 20, 20)
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := descriptors()
	for i := range 60 {
		r := run(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		for n := range 20 {
			tasks.Go(func() {
				_ = r.reg.Watch(ctx, registry.App(fmt.Sprintf("service-%d", n)), func(registry.Snapshot) {})
			})
		}
		tasks.Go(func() { _ = r.reg.WatchServices(ctx, func(registry.ServiceSet) {}) })
		tasks.Go(func() {
			i := registry.Instance{Host: "h", Port: 1, Weight: 1}
			_ = r.reg.Register(ctx, registry.Registration{Service: registry.App("me"), ID: "x", Instance: i}, func(error) {})
		})
		time.Sleep(time.Duration(rand.IntN(1+i)) * time.Millisecond)
		if i%2 == 0 {
			r.Stop()
			cancel()
		} else {
			cancel()
			r.Stop()
		}
		tasks.Wait()
	}
	registrytest.Within(t, "all descriptors closed", func() bool { return descriptors() <= before })
}

// TestHostile: entries that make no sense are skipped by name, and the others are used.
func TestHostile(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	bad := map[string]string{
		"a/b%2Fc":    "not an address at all, and with spaces",
		"empty":      "",
		"half":       `{"host":"10.0.0.1"`,
		"array":      `["10.0.0.1:80"]`,
		"noport":     `{"host":"10.0.0.1"}`,
		"port":       `{"host":"10.0.0.1","port":99999}`,
		"float":      `{"host":"10.0.0.1","port":80.5}`,
		"inject":     "{\"host\":\"10.0.0.1\\r\\nX-Evil: 1\",\"port\":80}",
		"weight":     `{"host":"10.0.0.1","port":80,"weight":-1}`,
		"infinite":   `{"host":"10.0.0.1","port":80,"weight":"Inf"}`,
		"long":       strings.Repeat("x", 2000),
		"\x01\x02":   "10.0.0.1:port",
		"megabyte":   `{"host":"10.0.0.1","port":80,"metadata":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`,
		"dubbo":      `{"host":"10.0.0.1","port":20880,"metadata":{"dubbo.metadata.revision":"0"}}`,
		"..":         "http://",
		"\xff\xfe\n": "[::1]:",
	}
	for k, v := range bad {
		p.put(c.Prefix+"/orders/"+k, v)
	}
	for _, k := range []string{"//", "/orders", "/orders/", "//x", "/\x00/\x00"} {
		p.put(c.Prefix+k, "10.6.6.6:80")
	}
	p.put(c.Prefix+"/orders/good", `{"host":"10.0.0.1","port":"80","weight":"2","enabled":"false","metadata":{"nested":{"a":[1]},"null":null}}`)
	p.put(c.Prefix+"/orders/name", "host.example.com:80")
	r := run(t, c)
	s := shows(t, r.Watch(registry.App("orders")), "10.0.0.1:80", "host.example.com:80")
	if s.SkippedCount != len(bad)-1 { // Dubbo's is no entry of a plain service
		t.Errorf("%d skipped of %d: %+v", s.SkippedCount, len(bad), s.Skipped)
	}
	if i := s.Instances[0]; !i.Disabled || i.Weight != 2 || i.Metadata["nested"] != `{"a":[1]}` {
		t.Errorf("%+v", i)
	}
	r.WatchServices().Until("names", func(s registry.ServiceSet) bool {
		return slices.Contains(s.Services, registry.App("orders")) && len(s.Services) == 2
	})
	for _, n := range []string{"", "a/b"} {
		if err := r.reg.Watch(t.Context(), registry.App(n), nil); err == nil {
			t.Errorf("%q is watched", n)
		}
	}
	off := *c
	off.DubboRoot, off.ServicesRoot = "", ""
	if err := newClient(&off, registry.Options{}).Watch(t.Context(), registry.DubboService("a", "", ""), nil); err == nil {
		t.Error("a Dubbo service is watched with both roots off")
	}
}

// TestLatency: from a put that is asked for to its push, over 200 events.
func TestLatency(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	r := run(t, c)
	pushed := make(chan string, 1)
	r.Background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App("orders"), func(s registry.Snapshot) {
			if len(s.Instances) > 0 {
				pushed <- s.Instances[0].Address()
			}
		})
	})
	var took []time.Duration
	for i := range 200 {
		want := fmt.Sprintf("10.0.%d.%d:80", i/250, i%250)
		start := time.Now()
		if _, err := p.Put(t.Context(), c.Prefix+"/orders/a", want); err != nil {
			t.Fatal(err)
		}
		for got := ""; got != want; {
			select {
			case got = <-pushed:
			case <-time.After(registrytest.Deadline):
				t.Fatal("no push of " + want)
			}
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("put to push: median %v, p99 %v, max %v", took[100], took[197], took[199])
	if took[197] > 50*time.Millisecond {
		t.Errorf("p99 is %v", took[197])
	}
}

// TestScale: 5,000 services of ten instances each, of which all or 100 are watched.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	c := section(t, shared.Addr())
	c.Timeouts = Default().Timeouts
	p := produce(t, shared.Addr())
	fill(t, p, c.Prefix, 5000, 10)
	t.Cleanup(func() { _, _ = p.Delete(context.Background(), c.Prefix+"/", clientv3.WithPrefix()) })
	for _, watched := range []int{100, 5000} {
		base := heap()
		start := time.Now()
		r := run(t, c)
		var mu sync.Mutex
		latest := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		pushes := 0
		for n := range watched {
			tasks.Go(func() {
				_ = r.reg.Watch(ctx, registry.App(fmt.Sprintf("service-%d", n)), func(s registry.Snapshot) {
					mu.Lock()
					defer mu.Unlock()
					pushes++
					latest[s.Service.Name] = len(s.Instances)
				})
			})
		}
		registrytest.Within(t, "all services", func() bool {
			mu.Lock()
			defer mu.Unlock()
			all := 0
			for _, n := range latest {
				all += n
			}
			return all == watched*10
		})
		synced := time.Since(start)
		used := heap() - base
		mu.Lock()
		pushes = 0
		mu.Unlock()
		p.put(c.Prefix+"/service-1/new", "10.9.9.9:80")
		registrytest.Within(t, "the change", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return latest["service-1"] == 11
		})
		mu.Lock()
		if pushes != 1 {
			t.Errorf("one change made %d pushes", pushes)
		}
		mu.Unlock()
		t.Logf("%d of 5,000 services watched: synced in %v, %d MB", watched, synced, used>>20)
		p.remove(c.Prefix + "/service-1/new")
		cancel()
		tasks.Wait()
		r.Stop()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
