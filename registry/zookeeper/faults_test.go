package zookeeper

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// scene is one service of each kind, watched in every way, over a server that a test may break.
type scene struct {
	*rig
	dubbo, plain *registrytest.Pushes[registry.Snapshot]
	services     *registrytest.Pushes[registry.ServiceSet]
	definition   *registrytest.Pushes[string]
}

func newScene(t *testing.T, server *testbed.ZooKeeper, change ...func(*Config, *registry.Options)) *scene {
	change = append(change, withAsker(&asker{answers: map[string]string{"app r1": metadataInfo("app", "r1", "a.S:tri=21881")}}))
	r := newRig(t, server, change...)
	s := &scene{rig: r}
	s.populate(r.writer, 1)
	s.dubbo = r.Watch(registry.DubboService("a.S", "", ""))
	s.plain = r.Watch(registry.App("web"))
	s.services = r.WatchServices()
	s.definition = r.WatchDefinition(registry.DubboService("a.S", "", ""))
	s.expect(1)
	return s
}

// populate writes everything, with hosts 192.0.2.n; persistent, so that no session of a writer matters.
func (s *scene) populate(w *writer, n int) {
	s.T.Helper()
	host := fmt.Sprintf("192.0.2.%d", n)
	r := s.rig
	w.put(r.rdubbo("a.S/providers", encode(java33("dubbo", host+":20880", "a.S", ""))), "")
	w.put(r.rdubbo("mapping/a.S"), "app")
	w.put(r.rdubbo("metadata/a.S/provider/app"), fmt.Sprintf(`{"n":%d}`, n))
	w.put(r.rservices("app", host), java33Node("app", host, 20880, "r1", localTri))
	w.put(r.rservices("web", host), fmt.Sprintf(`{"address":%q,"port":8080,"payload":{"metadata":{}}}`, host))
}

// expect waits until every watch has pushed hosts 192.0.2.n for all the ns, and the definition of the last one.
func (s *scene) expect(ns ...int) {
	s.T.Helper()
	var dubbo, plain []string
	for _, n := range ns {
		dubbo = append(dubbo, fmt.Sprintf("dubbo://192.0.2.%d:20880", n), fmt.Sprintf("tri://192.0.2.%d:21881", n))
		plain = append(plain, fmt.Sprintf("http://192.0.2.%d:8080", n))
	}
	s.dubbo.Until("the Dubbo service", registrytest.Has(dubbo...))
	s.plain.Until("the plain service", registrytest.Has(plain...))
	s.services.Until("the services", func(set registry.ServiceSet) bool {
		return slices.Equal(set.Services, []registry.ServiceName{registry.App("web"), registry.DubboService("a.S", "", "")})
	})
	s.definition.Until("the definition", func(d string) bool { return d == fmt.Sprintf(`{"n":%d}`, ns[len(ns)-1]) })
}

// counts are the pushes of all watches so far.
func (s *scene) counts() []int {
	return []int{s.dubbo.Count(), s.plain.Count(), s.services.Count(), s.definition.Count()}
}

// repeated waits until every watch has pushed again.
func (s *scene) repeated(before []int) {
	s.T.Helper()
	registrytest.Within(s.T, "every state pushed again, as proof that it is live", func() bool {
		for n, c := range s.counts() {
			if c <= before[n] {
				return false
			}
		}
		return true
	})
}

func TestKilledAndRestarted(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	s := newScene(t, server)
	before := s.counts()
	server.Kill()
	registrytest.Within(t, "stale", func() bool { return s.State() == registry.Stale })
	must(t, server.Restart())
	registrytest.Within(t, "live", func() bool { return s.State() == registry.Live })
	s.repeated(before)
	s.expect(1)
	s.populate(newWriter(t, server.Addr()), 2)
	s.expect(1, 2)
}

// Frozen for longer than the session lasts, the server forgets it.
func TestFrozen(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	s := newScene(t, server)
	must(t, server.Freeze())
	registrytest.Within(t, "stale", func() bool { return s.State() == registry.Stale })
	before := s.counts()
	time.Sleep(5 * time.Second) // that is the fault
	for n, c := range s.counts() {
		if c != before[n] {
			t.Errorf("watch %d pushed something while the server was frozen", n)
		}
	}
	must(t, server.Thaw())
	registrytest.Within(t, "live", func() bool { return s.State() == registry.Live })
	s.repeated(before)
	s.populate(newWriter(t, server.Addr()), 2)
	s.expect(1, 2)
	if !s.SawError("lost the session") || !s.SawError("no answer within 1s") {
		t.Errorf("reported %v", s.Errors())
	}
}

// A server that lost its data refuses every client that has seen a later state, so nothing old must be shown to it.
func TestWiped(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	s := newScene(t, server)
	for n := range 50 { // far ahead of what the empty server will count
		s.writer.put(s.rservices("other", fmt.Sprint(n)), "")
	}
	s.populate(s.writer, 1)
	must(t, server.Wipe())
	registrytest.Within(t, "live", func() bool { return s.State() == registry.Live })
	s.dubbo.Until("nobody", registrytest.Has())
	s.plain.Until("nobody", registrytest.Has())
	s.services.Until("none", func(set registry.ServiceSet) bool { return len(set.Services) == 0 })
	s.definition.Until("none", func(d string) bool { return d == "" })
	s.populate(newWriter(t, server.Addr()), 2)
	s.expect(2)
}

// The server is not there at first, and something else is at its address.
func TestStartsBeforeItsServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { l.Close() })
	r := newRig(t, shared.get(t), func(c *Config, _ *registry.Options) { c.Addresses = []string{l.Addr().String()} })
	p := r.Watch(registry.App("web"))
	registrytest.Within(t, "the report", func() bool { return r.SawError("not a ZooKeeper server: an answer of 1213486160 bytes") })
	l.Close()
	registrytest.Within(t, "the report", func() bool { return r.SawError("connection refused") })
	if r.State() != registry.Connecting || p.Count() != 0 {
		t.Errorf("%v with %d pushes", r.State(), p.Count())
	}
}

// One of several servers is enough.
func TestSeveralServers(t *testing.T) {
	one, two := testbed.StartZooKeeper(t), testbed.StartZooKeeper(t)
	r := newRig(t, two, func(c *Config, _ *registry.Options) {
		c.Addresses = []string{"no-such-host.invalid", one.Addr(), two.Addr()}
	})
	one.Kill()
	r.writer.put(r.rservices("web/1"), `{"address":"192.0.2.1","port":8080}`)
	p := r.Watch(registry.App("web"))
	p.Until("the instance", registrytest.Has("http://192.0.2.1:8080"))
}

// A provider that comes and goes all the time: at the end, the truth, with few pushes for many changes.
func TestFlapping(t *testing.T) {
	r := newRig(t, shared.get(t))
	p := r.Watch(registry.DubboService("a.S", "", ""))
	p.Last()
	path := r.rdubbo("a.S/providers", encode(java33("dubbo", "192.0.2.1:20880", "a.S", "")))
	r.writer.live(path, "")
	const flaps = 500
	for range flaps {
		r.writer.remove(path)
		r.writer.live(path, "")
	}
	p.Until("there", registrytest.Has("dubbo://192.0.2.1:20880"))
	r.writer.remove(path)
	p.Until("gone", registrytest.Has())
	if n := p.Count(); n > flaps {
		t.Errorf("%d pushes for %d changes", n, 2*flaps)
	}
	t.Logf("%d pushes for %d changes", p.Count(), 2*flaps)
}

// Watches that come and go leave neither goroutines nor, for what does not change, watches behind.
func TestWatchesEnd(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	s := newScene(t, server)
	count := func() string {
		answer, err := server.Command("wchs")
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	before, goroutines := count(), runtime.NumGoroutine()
	for range 20 {
		for _, stop := range []func(){
			s.Watch(registry.DubboService("a.S", "", "")).Stop, s.Watch(registry.App("web")).Stop,
			s.WatchServices().Stop, s.WatchDefinition(registry.DubboService("a.S", "", "")).Stop,
		} {
			stop()
		}
	}
	registrytest.Within(t, "the goroutines of 80 watches gone", func() bool { return runtime.NumGoroutine() <= goroutines })
	if after := count(); after != before {
		t.Errorf("watches before %q, after %q", before, after)
	}
	s.dubbo.Stop()
	s.populate(s.writer, 2)
	s.plain.Until("the other watches go on", registrytest.Has("http://192.0.2.1:8080", "http://192.0.2.2:8080"))
}
