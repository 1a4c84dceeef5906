package discovery

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
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
