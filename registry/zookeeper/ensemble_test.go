package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// One server after the other is lost, the leader first, until there is no quorum; then all come back.
func TestEnsemble(t *testing.T) {
	e := testbed.StartZooKeeperEnsemble(t, 3)
	r := newRig(t, e.Servers[0], func(c *Config, _ *registry.Options) { c.Addresses = e.Addrs() })
	writer := newWriter(t, e.Addrs()...)
	instance := func(n int) string { return fmt.Sprintf("http://192.0.2.%d:8080", n) }
	write := func(n int) {
		t.Helper()
		registrytest.Within(t, "written", func() bool { // the writer loses its server as well
			path := r.rservices("web")
			if ok, _, err := writer.conn.Exists(path); err != nil {
				return false
			} else if !ok {
				writer.put(path, "")
			}
			_, err := writer.conn.Create(path+fmt.Sprintf("/%d", n), []byte(spring(fmt.Sprintf("192.0.2.%d", n), `"port":8080`, "")), 0, openACL)
			return err == nil || strings.Contains(err.Error(), "exists")
		})
	}
	write(1)
	p := r.Watch(registry.App("web"))
	p.Until("one", registrytest.Has(instance(1)))

	leader, _ := e.Leader()
	before := p.Count()
	leader.Kill()
	write(2)
	p.Until("two, over another server", registrytest.Has(instance(1), instance(2)))

	next := leader
	registrytest.Within(t, "a new leader", func() bool { next, _ = e.Leader(); return next != nil && next != leader })
	pushed := p.Count()
	next.Kill() // one of three is no quorum, and closes its connections
	registrytest.Within(t, "stale", func() bool { return r.State() == registry.Stale })
	time.Sleep(time.Second)
	if n := p.Count(); n != pushed {
		t.Errorf("%d pushes without a quorum", n-pushed)
	}
	must(t, e.Restart(leader, next))
	registrytest.Within(t, "live", func() bool { return r.State() == registry.Live })
	registrytest.Within(t, "pushed again, as proof", func() bool { return p.Count() > pushed })
	p.Until("what was there before", registrytest.Has(instance(1), instance(2)))
	write(3)
	p.Until("three", registrytest.Has(instance(1), instance(2), instance(3)))
	t.Logf("%d pushes", p.Count()-before)
}

// A server that is behind what was seen is not listened to; one that has lost its data is, after it has refused us.
func TestBehind(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	z, _ := idle(t)
	z.addresses = []string{server.Addr()}
	z.zxid = 1 << 60
	refused := 0
	var s *session
	for s == nil {
		var err error
		if s, err = z.try(t.Context(), at(server.Addr())); err != nil {
			if !strings.Contains(err.Error(), "has lost data that was seen before") {
				t.Fatal(err)
			}
			refused++
		}
	}
	s.close()
	if refused != refusalsEach || z.zxid != 0 {
		t.Errorf("refused %d times, and then %d", refused, z.zxid)
	}
}

// names is a resolver whose answers change.
type names struct {
	mu    sync.Mutex
	to    []string
	asked int
}

func (n *names) find(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if host != "zk.test" || len(n.to) == 0 {
		return nil, errors.New("no such host")
	}
	var all []netip.Addr
	for _, a := range n.to {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, nil
}

func (n *names) move(to ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to = to
}

// A name is resolved anew at every connect, and every address behind it is tried.
func TestResolves(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	host, port, err := net.SplitHostPort(server.Addr())
	must(t, err)
	dns := &names{}
	c := Default()
	c.Addresses = []string{"zk.test:" + port}
	c.ConnectTimeout, c.SessionTimeout = time.Second, 2*time.Second
	r := &rig{Rig: registrytest.New(t), config: c}
	built, err := c.Build(registry.Options{Logger: quietLogger(), Report: r.Report})
	must(t, err)
	r.reg = built.(*zooKeeper)
	r.reg.find = dns.find
	r.Start(r.reg)
	registrytest.Within(t, "the report", func() bool { return r.SawError("connect to zk.test:" + port + ": no such host") })
	dns.move("127.0.0.9", "127.0.0.8") // nobody listens there
	registrytest.Within(t, "the report", func() bool { return r.SawError("connect to zk.test (127.0.0.8:" + port + ")") })
	dns.move("127.0.0.9", host)
	registrytest.Within(t, "live", func() bool { return r.State() == registry.Live })
	server.Kill()
	registrytest.Within(t, "stale", func() bool { return r.State() == registry.Stale })
	asked := func() int { dns.mu.Lock(); defer dns.mu.Unlock(); return dns.asked }
	before := asked()
	registrytest.Within(t, "asked again", func() bool { return asked() > before })
}

func TestTargets(t *testing.T) {
	dns := &names{to: []string{"192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1"}}
	got, errs := resolve(t.Context(), []string{"zk.test:2181", "192.0.2.9:7", "[2001:db8::1]:8", "gone.test:2181"}, dns.find)
	var text []string
	for _, g := range got {
		text = append(text, g.String())
	}
	want := []string{"zk.test (192.0.2.1:2181)", "zk.test (192.0.2.2:2181)", "192.0.2.9:7", "[2001:db8::1]:8"}
	if !slices.Equal(text, want) || len(errs) != 1 || errs[0].Error() != "connect to gone.test:2181: no such host" {
		t.Errorf("%q %v", text, errs)
	}
}

// A server of 3.5 has neither watches on a tree nor several reads in a request: everything works with watches that speak
// once.
func TestOldServer(t *testing.T) {
	server := testbed.StartOldZooKeeper(t)
	s := newScene(t, server)
	if now, _ := s.reg.tree.current(); now == nil || !now.old {
		t.Fatal("taken for a new server")
	}
	s.populate(s.writer, 2)
	s.expect(1, 2)
	for n := 3; n < 10; n++ { // a watch that spoke is set again
		s.populate(s.writer, n)
		s.dubbo.Until("one more", func(snap registry.Snapshot) bool { return len(snap.Instances) == 2*n })
	}
	s.writer.put(s.rservices("web/192.0.2.1"), `{"address":"192.0.2.77","port":8080}`)
	s.plain.Until("changed", func(snap registry.Snapshot) bool {
		return slices.Contains(registrytest.Addresses(snap), "http://192.0.2.77:8080")
	})
	before := s.counts()
	server.Kill()
	registrytest.Within(t, "stale", func() bool { return s.State() == registry.Stale })
	must(t, server.Restart())
	s.repeated(before)
	g := s.register(gateway("gw"))
	registrytest.Within(t, "registered", func() bool { return g.accepted() == 1 })
}
