package zookeeper

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// proxied is a scene whose connection to its server can be broken.
func proxied(t *testing.T) (*scene, *testbed.Proxy, *testbed.ZooKeeper) {
	server := testbed.StartZooKeeper(t)
	proxy := testbed.StartToxiproxy(t).Proxy("zk", server.Addr())
	return newScene(t, server, func(c *Config, _ *registry.Options) { c.Addresses = []string{proxy.Addr()} }), proxy, server
}

// Every answer comes 300 ms late: all is late, and nothing else.
func TestSlow(t *testing.T) {
	s, proxy, _ := proxied(t)
	proxy.Latency(300 * time.Millisecond)
	for n := 2; n < 5; n++ {
		began := time.Now()
		s.populate(s.writer, n)
		s.plain.Until("one more", func(snap registry.Snapshot) bool { return len(snap.Instances) == n })
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%v until it was seen", took)
		}
	}
	s.expect(1, 2, 3, 4)
	if s.State() != registry.Live || s.SawError("lost the session") {
		t.Errorf("%v, %v", s.State(), s.Errors())
	}
}

// The network swallows everything, and then lets it through again.
func TestVanished(t *testing.T) {
	s, proxy, _ := proxied(t)
	before := s.counts()
	proxy.Vanish()
	registrytest.Within(t, "stale", func() bool { return s.State() == registry.Stale })
	s.writer.remove(s.rservices("web/192.0.2.1")) // a death that we cannot hear of
	s.populate(s.writer, 2)
	proxy.Heal()
	registrytest.Within(t, "live", func() bool { return s.State() == registry.Live })
	s.repeated(before)
	s.plain.Until("the dead one gone", registrytest.Has("http://192.0.2.2:8080"))
	if !s.SawError("no answer within") {
		t.Errorf("reported %v", s.Errors())
	}
}

// The connection goes up and down; what is pushed is always a state that was.
func TestCutAndFlapping(t *testing.T) {
	s, proxy, _ := proxied(t)
	for n := range 8 {
		proxy.Down()
		time.Sleep(time.Duration(20*n) * time.Millisecond)
		s.populate(s.writer, n+2)
		proxy.Up()
		time.Sleep(time.Duration(30*n) * time.Millisecond)
	}
	s.expect(1, 2, 3, 4, 5, 6, 7, 8, 9)
	last := 0
	for _, snap := range s.plain.All() {
		if len(snap.Instances) < last {
			t.Errorf("%d instances after %d, and none was removed", len(snap.Instances), last)
		}
		last = len(snap.Instances)
	}
}

// Frozen for 20 s, which is longer than any session here.
func TestFrozenLong(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	server := testbed.StartZooKeeper(t)
	s := newScene(t, server)
	must(t, server.Freeze())
	registrytest.Within(t, "stale", func() bool { return s.State() == registry.Stale })
	before := s.counts()
	time.Sleep(20 * time.Second) // that is the fault
	must(t, server.Thaw())
	thawed := time.Now()
	s.repeated(before)
	t.Logf("pushed again %v after the thaw", time.Since(thawed).Round(time.Millisecond))
	s.populate(newWriter(t, server.Addr()), 2)
	s.expect(1, 2)
}

// A consumer that takes its time holds up nobody else, and gets the newest state next.
func TestSlowConsumer(t *testing.T) {
	r := newRig(t, shared.get(t))
	slow, fast := &registrytest.Pushes[registry.Snapshot]{T: t}, r.Watch(registry.App("web"))
	hold := make(chan struct{})
	r.Background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App("web"), func(s registry.Snapshot) { slow.Push(s); <-hold })
	})
	slow.Last()
	const changes = 50
	for n := range changes {
		r.writer.live(r.rservices("web", fmt.Sprint(n)), spring("192.0.2.1", fmt.Sprintf(`"port":%d`, 8000+n), ""))
	}
	fast.Until("all", func(s registry.Snapshot) bool { return len(s.Instances) == changes })
	if n := slow.Count(); n != 1 {
		t.Errorf("%d pushes to one that has not come back", n)
	}
	close(hold)
	slow.Until("all, next", func(s registry.Snapshot) bool { return len(s.Instances) == changes })
	if n := slow.Count(); n != 2 {
		t.Errorf("%d pushes, want the newest only", n)
	}
}

// A registry that is ended at any moment of its life leaves no goroutine and no descriptor.
func TestEndsAtAnyMoment(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	r := newRig(t, server)
	for n := range 20 {
		r.writer.put(r.rdubbo(fmt.Sprintf("a.S%d/providers", n), encode(java33("dubbo", "192.0.2.1:20880", fmt.Sprintf("a.S%d", n), ""))), "")
		r.writer.put(r.rservices(fmt.Sprintf("web%d/1", n)), spring("192.0.2.1", `"port":8080`, ""))
	}
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for round := range 60 {
		built, err := r.config.Build(registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 100)
		start := func(task func()) { go func() { task(); done <- struct{}{} }() }
		start(func() { _ = built.Run(ctx) })
		start(func() { _ = built.WatchServices(ctx, func(registry.ServiceSet) {}) })
		start(func() { _ = built.(registry.Registrar).Register(ctx, gateway("gw"), func(error) {}) })
		for n := range 20 {
			start(func() {
				_ = built.Watch(ctx, registry.DubboService(fmt.Sprintf("a.S%d", n), "", ""), func(registry.Snapshot) {})
			})
		}
		time.Sleep(time.Duration(round) * 500 * time.Microsecond) // the moment
		cancel()
		for range 23 {
			select {
			case <-done:
			case <-time.After(registrytest.Deadline):
				t.Fatal("does not end")
			}
		}
	}
	registrytest.Within(t, "no goroutine left", func() bool { return runtime.NumGoroutine() <= goroutines })
	registrytest.Within(t, "no descriptor left", func() bool { return descriptors(t) <= files })
	if there, _, err := r.writer.conn.Exists(r.rservices("gateway/gw")); there || err != nil {
		t.Errorf("a registration is left: %v", err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}
