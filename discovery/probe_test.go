package discovery

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// listen accepts connections and counts them.
func listen(t *testing.T) (net.Listener, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l, &n
}

func TestProbeVerdicts(t *testing.T) {
	l, accepted := listen(t)
	closed, _ := listen(t)
	closed.Close()
	c := newClock()
	p := newProber(c, (&net.Dialer{}).DialContext)
	if v := p.probe(l.Addr().String()); v != answers {
		t.Errorf("a listener: %v", v)
	}
	until(t, func() bool { return accepted.Load() == 1 })
	if v := p.probe(closed.Addr().String()); v != refuses {
		t.Errorf("nobody: %v", v)
	}
	for _, err := range []error{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		p.dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", err)}
		}
		if v := p.probe("10.0.0.1:80"); v != unknown {
			t.Errorf("%v: %v", err, v)
		}
	}
	p.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	if v := p.probe("10.0.0.1:80"); v != silent {
		t.Errorf("no route: %v", v)
	}
	p.close()
	if v := p.probe("10.0.0.1:80"); v != unknown {
		t.Errorf("closed: %v", v)
	}
	c.close()
}

// A collapse over real sockets: who listens stays, who does not goes, and one that stops listening goes then.
func TestHeldOverRealSockets(t *testing.T) {
	s := &stage{world: &world{}}
	s.c = newCatalogue(t)
	s.c.prober.dial = (&net.Dialer{}).DialContext
	live, accepted := listen(t)
	dead, _ := listen(t)
	dead.Close()
	leaving, _ := listen(t)
	if err := s.c.Apply(map[string]Spec{"a": {Config: s.world.config(1), Policy: Policy{ServiceCollapse: 0.5, CollapseMin: 1, Hold: time.Minute}}}); err != nil {
		t.Fatal(err)
	}
	var h heard
	defer s.c.Subscribe(key("a", "orders"), h.notify).Close()
	reg := s.world.named("a")
	name := key("a", "orders").Service
	until(t, func() bool { return reg.pushed(name) != nil })
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	reg.push(name, at("127.0.0.1", port(live)), at("localhost", port(dead)), at("127.0.0.1", port(leaving)))
	reg.push(name)
	until(t, func() bool { return h.ids() != "silence" && lastHeld(&h) == 2 })
	until(t, func() bool { return accepted.Load() >= 2 })
	leaving.Close()
	until(t, func() bool { return lastHeld(&h) == 1 })
	if got := h.ids(); got != "["+live.Addr().String()+"?]" {
		t.Errorf("held %s", got)
	}
}

func lastHeld(h *heard) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[len(h.all)-1].Held
}

// One process that serves many services is probed once for all of them, and let go for all of them.
func TestOneProbeForAllServicesOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"s0", "s1", "s2", "s3", "s4"}
		s := newStage(t, names...)
		for _, name := range names {
			s.push(name, hosts(1, 4)...)
		}
		for _, name := range names {
			s.push(name)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := s.net.probed("10.0.0.1:80"); n < 7 || n > 15 {
			t.Errorf("%d probes in 10 s", n)
		}
		s.net.set(s.net.refuse, "10.0.0.1:80", true)
		time.Sleep(2 * time.Second)
		for _, name := range names {
			s.want(name, "[10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80?]")
		}
	})
}

// When the fault is ours (no descriptor left), nobody is let go for it.
func TestProbesThatFailHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "orders")
		s.c.prober.dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		s.push("orders", hosts(1, 4)...)
		s.push("orders")
		time.Sleep(30 * time.Second)
		s.want("orders", "[10.0.0.1:80? 10.0.0.2:80? 10.0.0.3:80? 10.0.0.4:80?]")
		time.Sleep(time.Minute)
		s.want("orders", "[]")
	})
}
