package conformance

import (
	"strconv"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// link is a way to a bed's server that can be harmed without harming the server.
type link struct {
	proxies   []*testbed.Proxy
	addresses []string
}

func (b *bed) link(t testing.TB) *link {
	t.Helper()
	toxiproxy := testbed.StartToxiproxy(t)
	l := &link{}
	for i, address := range b.addresses {
		p := toxiproxy.Proxy(strconv.Itoa(i), address)
		l.proxies, l.addresses = append(l.proxies, p), append(l.addresses, p.Addr())
	}
	return l
}

func (l *link) each(do func(*testbed.Proxy)) {
	for _, p := range l.proxies {
		do(p)
	}
}

// cut ends all connections and refuses new ones, until mend.
func (l *link) cut()  { l.each((*testbed.Proxy).Down) }
func (l *link) mend() { l.each((*testbed.Proxy).Up) }

// vanish lets no byte through, until heal.
func (l *link) vanish() { l.each((*testbed.Proxy).Vanish) }
func (l *link) heal()   { l.each((*testbed.Proxy).Heal) }

func (l *link) slow(by time.Duration) { l.each(func(p *testbed.Proxy) { p.Latency(by) }) }

// TestLink harms the way to the server.
func TestLink(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		b := k.shared(t)
		t.Run("cut", func(t *testing.T) { missed(t, b, (*link).cut, (*link).mend) })
		t.Run("black hole", func(t *testing.T) {
			if k.slow {
				onlyFull(t)
			}
			missed(t, b, (*link).vanish, (*link).heal)
		})
		t.Run("slow", func(t *testing.T) { slow(t, b) })
		t.Run("flapping", func(t *testing.T) { flapping(t, b) })
	})
}

// missed changes everything while nobody can be told, and wants it known afterwards.
func missed(t *testing.T, b *bed, harm, end func(*link)) {
	b = b.beside(t)
	left, grown, same := b.named("left"), b.named("grown"), b.named("same")
	l, g, e := spots(t, left, 2), spots(t, grown, 3), spots(t, same, 1)
	b.put(t, l...)
	b.put(t, g[0], g[1])
	b.put(t, e...)
	way := b.link(t)
	s := b.watchBy(t, b.config(t, way.addresses, "", ""), left, grown, same)
	s.untilUsable(left, l...)
	s.untilUsable(grown, g[0], g[1])
	s.untilUsable(same, e...)
	s.untilLive()

	m := s.now()
	harm(way)
	s.untilState(registry.Stale, m)
	b.remove(t, l...)
	b.remove(t, g[0])
	b.put(t, g[2])
	during := s.now()
	for _, service := range []string{left, grown, same} {
		if during.pushes[registry.App(service)] != m.pushes[registry.App(service)] {
			t.Errorf("%s was pushed while the server could not be reached", service)
		}
	}
	end(way)
	s.untilLive()
	s.untilUsable(left)
	s.untilUsable(grown, g[1], g[2])
	s.untilPushed(same, during) // though nothing has changed: a proof that it is live
	s.wantNoEmpty(grown, m)
	s.wantNoEmpty(same, m)
}

// slow puts 300 ms on the way: all arrives, later, and nothing is called stale for it.
func slow(t *testing.T, b *bed) {
	b = b.beside(t)
	service := b.named("slow")
	e := spots(t, service, 2)
	b.put(t, e[0])
	way := b.link(t)
	way.slow(300 * time.Millisecond)
	s := b.watchBy(t, b.config(t, way.addresses, "", ""), service)
	s.untilUsable(service, e[0])
	s.untilLive()
	m := s.now()
	b.put(t, e[1])
	s.untilUsable(service, e...)
	b.remove(t, e[0])
	s.untilUsable(service, e[1])
	s.wantNoEmpty(service, m)
	if now := s.now(); now.states != m.states {
		t.Errorf("a slow registry changed its state: %s", s.describe())
	}
}

// flapping cuts and mends the way many times.
func flapping(t *testing.T, b *bed) {
	b = b.beside(t)
	service := b.named("flapping")
	e := spots(t, service, 3)
	b.put(t, e[0], e[1])
	way := b.link(t)
	s := b.watchBy(t, b.config(t, way.addresses, "", ""), service)
	s.untilUsable(service, e[0], e[1])
	m := s.now()
	times := 5
	if full() {
		times = 20
	}
	for range times {
		way.cut()
		time.Sleep(100 * time.Millisecond) // the fault
		way.mend()
		time.Sleep(200 * time.Millisecond)
	}
	b.put(t, e[2])
	s.untilUsable(service, e...)
	s.untilLive()
	s.wantNoEmpty(service, m)
}

// beside is the same bed with names of its own.
func (b *bed) beside(t testing.TB) *bed {
	t.Helper()
	other := *b
	other.prefix = b.prefix + strconv.Itoa(int(serial.Add(1))) + "-"
	return &other
}
