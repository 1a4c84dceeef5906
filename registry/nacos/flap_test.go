package nacos

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestFlappingConnection: a connection that breaks again and again costs no state, and what changed meanwhile is seen.
func TestFlappingConnection(t *testing.T) {
	_, rpc, behind := front(t, shared(t).Addr(), nil)
	r := newRig(t, "", behind, func(c *Config, _ *registry.Options) { c.ListInterval = 300 * time.Millisecond })
	name, doomed := uniq(t, "svc"), uniq(t, "doomed")
	p, set := r.Watch(registry.App(name)), r.WatchServices()
	i := testbed.Instance{Service: name, IP: "10.0.0.1", Port: 80}
	d := testbed.Instance{Service: doomed, IP: "10.0.0.1", Port: 80}
	for _, i := range []testbed.Instance{i, d} {
		if err := shared(t).Register(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	p.Until("the instance", registrytest.Has("10.0.0.1:80"))
	set.Until("both names", lists(inDefault(name), inDefault(doomed)))
	first := len(p.All()) - 1
	for n := range 20 {
		rpc.cut()
		time.Sleep(time.Duration(n%5) * 20 * time.Millisecond) // some cuts hit a connection that is being made
	}
	n := len(p.All())
	registrytest.Within(t, "a confirmation", func() bool { return len(p.All()) > n || r.State() == registry.Live })

	rpc.refuse(true)
	r.Await(registry.Stale)
	i2 := i
	i2.IP = "10.0.0.2"
	fresh := testbed.Instance{Service: uniq(t, "fresh"), IP: "10.0.0.9", Port: 80}
	for _, step := range []func() error{
		func() error { return shared(t).Register(t.Context(), i2) },
		func() error { return shared(t).Deregister(t.Context(), i) },
		func() error { return shared(t).Register(t.Context(), fresh) },
		func() error { return shared(t).Deregister(t.Context(), d) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	// The server lets nobody delete a service until its last instance is out of every index.
	registrytest.Within(t, "the service to be deleted", func() bool { return shared(t).DeleteService(t.Context(), "", doomed) == nil })
	rpc.refuse(false)
	began := time.Now()
	p.Until("what was added and what was removed", registrytest.Has("10.0.0.2:80"))
	set.Until("the new name, without the deleted one", func(s registry.ServiceSet) bool {
		return lists(inDefault(name), inDefault(fresh.Service))(s) && !lists(inDefault(doomed))(s)
	})
	t.Logf("right again after %v", time.Since(began))
	for n, s := range p.All()[first:] {
		if len(s.Instances) == 0 {
			t.Errorf("push %d is empty", n)
		}
	}
}

func inDefault(name string) registry.ServiceName {
	return registry.ServiceName{Name: name, Group: "DEFAULT_GROUP"}
}

// TestCancelledAtAnyMoment: whatever goes on, everything ends with its context, and no descriptor is left. That no
// goroutine is left TestMain sees.
func TestCancelledAtAnyMoment(t *testing.T) {
	address := shared(t).Addr()
	before := descriptors(t)
	for n := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*2*time.Millisecond)
		c := Default()
		c.Addresses = []string{address}
		built, err := c.Build(registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}})
		if err != nil {
			t.Fatal(err)
		}
		reg := built.(*client)
		var tasks sync.WaitGroup
		tasks.Go(func() { _ = reg.Run(ctx) })
		tasks.Go(func() { _ = reg.Watch(ctx, registry.App("a"), func(registry.Snapshot) {}) })
		tasks.Go(func() { _ = reg.Watch(ctx, registry.DubboService("I", "*", "*"), func(registry.Snapshot) {}) })
		tasks.Go(func() { _ = reg.WatchServices(ctx, func(registry.ServiceSet) {}) })
		tasks.Go(func() {
			one := registry.Registration{Service: registry.App(uniq(t, fmt.Sprint("gw", n))), Instance: registry.Instance{Host: "10.0.0.1", Port: 80, Weight: 1}}
			_ = reg.Register(ctx, one, func(error) {})
		})
		began := time.Now()
		tasks.Wait()
		if d := time.Since(began) - time.Duration(n)*2*time.Millisecond; d > 2*time.Second {
			t.Errorf("round %d: it took %v to end", n, d)
		}
		cancel()
	}
	registrytest.Within(t, "the descriptors to be closed", func() bool { return descriptors(t) <= before })
}

func descriptors(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestSlowConsumer: a consumer that hangs keeps nobody else from anything, least of all the server from its
// acknowledgements; it gets the newest state when it is done.
func TestSlowConsumer(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.services["DEFAULT_GROUP@@slow"] = []any{aHost("10.0.0.1")} })
	r := f.rig()
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var newest atomic.Pointer[registry.Snapshot]
	var pushes atomic.Int32
	r.Background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App("slow"), func(s registry.Snapshot) {
			pushes.Add(1)
			newest.Store(&s)
			once.Do(func() { close(entered); <-release })
		})
	})
	quick := r.Watch(registry.App("quick"))
	<-entered
	quick.Until("an answer", registrytest.Has())
	const many = 200
	for n := range many {
		f.pushService("slow", aHost(fmt.Sprintf("10.0.1.%d", n)))
	}
	f.pushService("quick", aHost("10.0.0.7"))
	quick.Until("its push", registrytest.Has("10.0.0.7:80"))
	registrytest.Within(t, "every push to be acknowledged", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		n := 0
		for _, kind := range f.acked {
			if kind == answerType(typeNotifySubscriber) {
				n++
			}
		}
		return n == many+1
	})
	close(release)
	registrytest.Within(t, "the newest state", func() bool { return registrytest.Has(fmt.Sprintf("10.0.1.%d:80", many-1))(*newest.Load()) })
	if n := pushes.Load(); n > 3 {
		t.Errorf("%d pushes of states that were old already", n)
	}
}

// TestNoLeader: what a cluster without a leader answers is no state.
func TestNoLeader(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.services["DEFAULT_GROUP@@a"] = []any{aHost("10.0.0.1")} })
	r := f.rig()
	p, set := r.Watch(registry.App("a")), r.WatchServices()
	p.Until("the instance", registrytest.Has("10.0.0.1:80"))
	set.Until("the list", func(s registry.ServiceSet) bool { return len(s.Services) == 1 })
	n, m := len(p.All()), len(set.All())
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			return refused(500, "The Raft Group [naming_instance_metadata] did not find the Leader node;caused: ..."), kind == typeSubscribe || kind == typeServiceList
		}
	})
	f.restart(func() {})
	registrytest.Within(t, "the errors", func() bool {
		return r.SawError("service DEFAULT_GROUP@@a: SubscribeServiceRequest refused: 500 The Raft Group") && r.SawError("service list of group")
	})
	if len(p.All()) != n || len(set.All()) != m {
		t.Error("a refusal was pushed as a state")
	}
	f.with(func() { f.answer = nil })
	registrytest.Within(t, "both to be confirmed", func() bool { return len(p.All()) > n && len(set.All()) > m })
	p.Until("the instance", registrytest.Has("10.0.0.1:80"))
}

// TestHalfPushedList: a server whose limit is reached later pushes no more, and says nothing.
func TestHalfPushedList(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.services["DEFAULT_GROUP@@a"] = nil })
	r := f.rig(func(c *Config, _ *registry.Options) { c.ListInterval = 100 * time.Millisecond })
	set := r.WatchServices()
	set.Until("the list", lists(inDefault("a")))
	f.with(func() { f.services["DEFAULT_GROUP@@b"] = nil }) // pushed by nobody
	set.Until("what the control found", lists(inDefault("b")))
	registrytest.Within(t, "the pushes to be given up", func() bool {
		r.reg.mu.Lock()
		defer r.reg.mu.Unlock()
		l := r.reg.lists["DEFAULT_GROUP"]
		return l.refused != nil && l.refused == l.watched
	})
	n := f.count(typeServiceList)
	f.with(func() { f.services["DEFAULT_GROUP@@c"] = nil })
	set.Until("the next one", lists(inDefault("c")))
	if n = f.count(typeServiceList) - n; n > 4 {
		t.Errorf("found only by listing %d", n)
	}
	r.NoErrors()
}

func TestWrongAddresses(t *testing.T) {
	bad := newRig(t, "no-such-host.invalid")
	registrytest.Within(t, "the error", func() bool {
		return bad.SawError("no-such-host.invalid") && bad.SawError("check the names in addresses")
	})
	dead := newRig(t, "127.0.0.1:1")
	registrytest.Within(t, "the error", func() bool {
		return dead.SawError("127.0.0.1:1001") && dead.SawError("is its gRPC port the HTTP port +1000 (grpcPortOffset)?")
	})
}

func TestIPv6Server(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6")
	} else {
		l.Close()
	}
	f := startFake(t)
	six := forwardAt(t, "[::1]:0", f.address, nil)
	r := f.rig(func(c *Config, _ *registry.Options) { c.Addresses = []string{six.listener.Addr().String()} })
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	r.NoErrors()
}
