package nacos

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// twin puts a second front for the same server on another loopback address, with the ports of the first.
func twin(t *testing.T, host string, web, rpc *forwarder) (webTwin, rpcTwin *forwarder) {
	t.Helper()
	at := func(f *forwarder) string { return net.JoinHostPort(host, strconv.Itoa(f.port())) }
	return forwardAt(t, at(web), web.target, nil), forwardAt(t, at(rpc), rpc.target, nil)
}

// TestFailover: of two addresses of a real server the one that is left is used, whichever that is.
func TestFailover(t *testing.T) {
	web, rpc, behind := front(t, shared(t).Addr(), nil)
	_, rpc2 := twin(t, "127.0.0.2", web, rpc)
	r := newRig(t, "", behind, func(c *Config, _ *registry.Options) {
		c.Addresses = append(c.Addresses, net.JoinHostPort("127.0.0.2", strconv.Itoa(web.port())))
	})
	name := uniq(t, "svc")
	i := testbed.Instance{Service: name, IP: "10.0.0.1", Port: 80}
	if err := shared(t).Register(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	p := r.Watch(registry.App(name))
	p.Until("the instance", registrytest.Has("10.0.0.1:80"))
	for round, dead := range []*forwarder{rpc, rpc2, rpc, rpc2} {
		rpc.refuse(false)
		rpc2.refuse(false)
		dead.refuse(true)
		i.IP = "10.0.1." + strconv.Itoa(round)
		began := time.Now()
		if err := shared(t).Register(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		p.Until("the change over the other", func(s registry.Snapshot) bool {
			for _, got := range s.Instances {
				if got.Host == i.IP {
					return true
				}
			}
			return false
		})
		t.Logf("seen %v after one of two was lost", time.Since(began))
	}
	for n, s := range p.All() {
		if n > 0 && len(s.Instances) == 0 {
			t.Errorf("push %d is empty", n)
		}
	}
}

// TestServerSendsUsAway: a real server that asks for another connection, to an address of its own mind, gets one, and
// costs no state.
func TestServerSendsUsAway(t *testing.T) {
	r := newRig(t, shared(t).Addr())
	name := uniq(t, "svc")
	if err := shared(t).Register(t.Context(), testbed.Instance{Service: name, IP: "10.0.0.1", Port: 80}); err != nil {
		t.Fatal(err)
	}
	p := r.Watch(registry.App(name))
	p.Until("the instance", registrytest.Has("10.0.0.1:80"))
	for _, to := range []string{"", "192.0.2.1:8848"} {
		n := len(p.All())
		if err := shared(t).ResetConnections(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		registrytest.Within(t, "a confirmation over another connection", func() bool { return len(p.All()) > n })
		if !r.SawError(errReset.Error() + map[bool]string{true: ", to " + to}[to != ""]) {
			t.Errorf("it was not said that the server sent us to %q", to)
		}
		for _, s := range p.All()[n:] {
			if len(s.Instances) != 1 {
				t.Errorf("pushed %+v", s)
			}
		}
	}
}

// TestNameMoves: a name that leads to another address after its server has moved is looked up again.
func TestNameMoves(t *testing.T) {
	web, rpc, behind := front(t, shared(t).Addr(), nil)
	twin(t, "127.0.0.3", web, rpc)
	var address atomic.Pointer[netip.Addr]
	point := func(to string) {
		a := netip.MustParseAddr(to)
		address.Store(&a)
	}
	point("127.0.0.1")
	dns := serveDNS(t, func() netip.Addr { return *address.Load() })
	old := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", dns)
	}}
	var stop func()
	t.Cleanup(func() { stop(); net.DefaultResolver = old })
	r := newRig(t, "", behind, func(c *Config, _ *registry.Options) {
		c.Addresses = []string{net.JoinHostPort("nacos.moving.test", strconv.Itoa(web.port()))}
	})
	stop = r.Stop
	p := r.Watch(registry.App(uniq(t, "svc")))
	p.Until("an answer", registrytest.Has())
	n := len(p.All())
	point("127.0.0.3")
	rpc.refuse(true)
	registrytest.Within(t, "a confirmation from the new address", func() bool { return len(p.All()) > n })
}

// serveDNS answers every question about an address with the one of now.
func serveDNS(t *testing.T, answer func() netip.Addr) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { pc.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 3600},
					Body:   &dnsmessage.AResource{A: answer().As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return pc.LocalAddr().String()
}

// TestSlowConnection: 300 ms each way cost time, and nothing else.
func TestSlowConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("slow by design")
	}
	_, rpc, behind := front(t, shared(t).Addr(), nil)
	rpc.latency.Store(int64(300 * time.Millisecond))
	r := newRig(t, "", behind)
	name := uniq(t, "svc")
	p := r.Watch(registry.App(name))
	p.Until("an answer", registrytest.Has())
	producer := startSDK(t, shared(t).Addr())
	producer.do(sdkRequest{Op: "register", Service: name, IP: "10.0.0.1", Port: 80, Weight: 0.5, Metadata: map[string]string{"version": "2"}})
	began := time.Now()
	got := p.Until("the instance", registrytest.Has("10.0.0.1:80"))
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("seen after %v", d)
	}
	if i := got.Instances[0]; i.Weight != 0.5 || i.Metadata["version"] != "2" {
		t.Errorf("%+v", i)
	}
	time.Sleep(r.config.Timeouts.KeepAlive + time.Second) // a health check or two
	producer.kill()
	p.Until("it to be gone with its producer", registrytest.Has())
	r.NoErrors()
}
