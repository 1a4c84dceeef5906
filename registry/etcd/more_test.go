package etcd

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestBounds(t *testing.T) {
	for prefix, want := range map[string][2]string{
		"": {"\x00", "\x00"}, "/": {"/", "0"}, "/a": {"/a/", "/a0"}, "/a/": {"/a/", "/a0"}, "a//": {"a/", "a0"},
	} {
		r := root{base: base(prefix)}
		if from, to := r.bounds(); string(from) != want[0] || string(to) != want[1] {
			t.Errorf("%q: %q to %q", prefix, from, to)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for address, want := range map[string]endpoint{
		"h": {"h:2379", false}, "h:1": {"h:1", false}, "http://h/": {"h:2379", false}, "https://h:1": {"h:1", true},
		"::1": {"[::1]:2379", false}, "[::1]": {"[::1]:2379", false}, "https://[::1]:1/": {"[::1]:1", true},
	} {
		if got, err := Default().endpoint(address); err != nil || got != want {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
	c := Default()
	c.TLS = &registry.TLS{}
	if got, err := c.endpoint("h"); err != nil || !got.tls {
		t.Errorf("with a tls section: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "h:0", "h:x", "a b", "http://h/path", "user@h"} {
		if got, err := c.endpoint(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}

// TestWatchBeforeRun: it waits, and ends when it is told to.
func TestWatchBeforeRun(t *testing.T) {
	c := newClient(section(t, shared.Addr()), registry.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	for _, n := range []registry.ServiceName{registry.App("a"), registry.DubboService("a.B", "", "")} {
		tasks.Go(func() {
			if err := c.Watch(ctx, n, func(registry.Snapshot) { t.Error("pushed") }); err != nil {
				t.Error(err)
			}
		})
	}
	tasks.Go(func() {
		if err := c.WatchServices(ctx, func(registry.ServiceSet) { t.Error("pushed") }); err != nil {
			t.Error(err)
		}
	})
	cancel()
	tasks.Wait()
}

// TestDubboMissed: providers that went while the connection was cut are gone, both ways.
func TestDubboMissed(t *testing.T) {
	proxy := testbed.StartToxiproxy(t).Proxy("etcd", shared.Addr())
	c := section(t, proxy.Addr())
	p := produce(t, shared.Addr())
	provider := dubboKey(c, providerURL("dubbo", "10.0.0.1", 20880, url.Values{}))
	m := metadataOf("users", providerURL("tri", "10.0.0.2", 20000, url.Values{}))
	app, value := instanceOf("users", "10.0.0.2", 20000, "r1", m)
	app2, value2 := instanceOf("users", "10.0.0.3", 20000, "r1", m)
	p.put(provider, "")
	p.put(c.ServicesRoot+app, value)
	p.put(c.ServicesRoot+app2, value2)
	r := run(t, c)
	w, list := r.Watch(registry.DubboService(users, "", "")), r.WatchServices()
	shows(t, w, "dubbo://10.0.0.1:20880", "tri://10.0.0.2:20000", "tri://10.0.0.3:20000")
	proxy.Down()
	r.Await(registry.Stale)
	p.remove(provider)
	p.remove(c.ServicesRoot + app)
	proxy.Up()
	shows(t, w, "tri://10.0.0.3:20000")
	p.remove(c.ServicesRoot + app2)
	shows(t, w)
	list.Until("nothing", func(s registry.ServiceSet) bool { return len(s.Services) == 0 })
}

// TestRegisterFailover: a registration outlives its connection on the same lease; nobody sees it go.
func TestRegisterFailover(t *testing.T) {
	toxi := testbed.StartToxiproxy(t)
	one, two := toxi.Proxy("one", shared.Addr()), toxi.Proxy("two", shared.Addr())
	c := section(t, one.Addr(), two.Addr())
	c.LeaseTTL = 3 * time.Second
	r := run(t, c)
	observer := section(t, shared.Addr())
	w := run(t, observer).Watch(registry.App("gateway"))
	shows(t, w)
	reports, withdraw := announce(r)
	shows(t, w, "http://10.0.0.9:8080")
	seen := w.Count()
	for range 3 {
		for _, p := range []*testbed.Proxy{one, two} {
			p.Down()
			time.Sleep(400 * time.Millisecond)
			p.Up()
		}
	}
	r.Await(registry.Live)
	time.Sleep(c.LeaseTTL)
	if n := w.Count(); n != seen {
		t.Errorf("%d changes were seen: %+v", n-seen, w.All())
	}
	withdraw()
	shows(t, w)
	for _, err := range reports.All() {
		if err != nil {
			t.Logf("reported: %v", err) // allowed, while both were down
		}
	}
}

// BenchmarkChange is one event of a service of ten instances among 5,000 services, up to its push.
func BenchmarkChange(b *testing.B) {
	c, st := offline(nil)
	for s := range 5000 {
		for i := range 10 {
			c.put(st, fmt.Sprintf("service-%d/%d", s, i), fmt.Sprintf(`{"host":"10.0.0.%d","port":80,"metadata":{"zone":"a"}}`, i))
		}
	}
	c.index.install(st)
	ctx, cancel := context.WithCancel(b.Context())
	pushed := make(chan struct{}, 1)
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = c.Watch(ctx, registry.App("service-7"), func(registry.Snapshot) { pushed <- struct{}{} }) })
	<-pushed
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.put(st, "service-7/3", fmt.Sprintf(`{"host":"10.0.1.%d","port":80}`, i%250))
		<-pushed
	}
	cancel()
	tasks.Wait()
}
