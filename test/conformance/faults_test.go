package conformance

import (
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// frozen is how long a server stands still.
func frozen() time.Duration {
	if full() {
		return 20 * time.Second
	}
	return 5 * time.Second
}

// TestHarm does everything to one server of each kind that can happen to it, one after the other: first while a registry
// watches it, then while a gateway is under load.
func TestHarm(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		b := k.private(t)
		for _, f := range []struct {
			name  string
			brief bool
			test  func(*testing.T, *bed)
		}{
			{"killed", true, killed},
			{"frozen", !k.slow, freezes},
			{"wiped", !k.slow, wiped},
		} {
			t.Run(f.name, func(t *testing.T) {
				if !f.brief {
					onlyFull(t)
				}
				f.test(t, b.beside(t))
			})
		}
		for _, s := range scenarios() {
			t.Run("load/"+s.name, func(t *testing.T) {
				if !s.brief || k.slow && s.long {
					onlyFull(t)
				}
				play(t, b.beside(t), s)
			})
		}
		t.Run("load/gateway started while the registry is down", func(t *testing.T) {
			if k.slow {
				onlyFull(t)
			}
			diskStart(t, b.beside(t))
		})
	})
}

// killed takes the server away without a word and brings it back with what it had.
func killed(t *testing.T, b *bed) {
	gone, stays := b.named("gone"), b.named("stays")
	g, e := spots(t, gone, 2), spots(t, stays, 2)
	b.put(t, g...)
	b.put(t, e...)
	s := b.watch(t, gone, stays)
	s.untilUsable(gone, g...)
	s.untilUsable(stays, e...)
	s.untilLive()

	m := s.now()
	b.server.Kill()
	s.untilState(registry.Stale, m)
	if err := b.server.Restart(); err != nil {
		t.Fatal(err)
	}
	if !b.kind.has.keeps {
		b.again(t, g, e)
	}
	s.untilLive()
	s.untilPushed(gone, m)
	s.untilPushed(stays, m)
	if b.kind.has.keeps {
		s.wantNoEmpty(gone, m)
		s.wantNoEmpty(stays, m)
	}
	s.untilUsable(stays, e...)
	// What changes from now on is seen, on old watches too.
	b.remove(t, g...)
	s.untilUsable(gone)
	late := spot(t, stays)
	b.put(t, late)
	s.untilUsable(stays, e[0], e[1], late)
}

// freezes stops the server's clock for so long that sessions end.
func freezes(t *testing.T, b *bed) {
	service := b.named("orders")
	e := spots(t, service, 2)
	b.put(t, e...)
	s := b.watch(t, service)
	s.untilUsable(service, e...)
	s.untilLive()

	m := s.now()
	if err := b.server.Freeze(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.untilState(registry.Stale, m)
	noticed := time.Since(began)
	t.Logf("it was called stale after %v", noticed.Round(time.Millisecond))
	time.Sleep(frozen() - noticed) // the length of the fault, not a wait for something
	if s.state() == registry.Live {
		t.Error("it is called live while it stands still")
	}
	if err := b.server.Thaw(); err != nil {
		t.Fatal(err)
	}
	s.untilLive()
	s.untilPushed(service, m)
	s.wantNoEmpty(service, m)
	late := spot(t, service)
	b.put(t, late)
	s.untilUsable(service, e[0], e[1], late)
}

// wiped brings the server back empty: that nothing is registered is then the truth, and so is all that is registered anew.
func wiped(t *testing.T, b *bed) {
	service := b.named("orders")
	e := spots(t, service, 2)
	b.put(t, e...)
	s := b.watch(t, service)
	s.untilUsable(service, e...)
	s.untilLive()

	m := s.now()
	if err := b.server.Wipe(); err != nil {
		t.Fatal(err)
	}
	if err := b.writer.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.untilState(registry.Stale, m)
	s.untilLive()
	s.untilUsable(service)
	b.put(t, e[0])
	s.untilUsable(service, e[0])
	late := spot(t, service)
	b.put(t, late)
	s.untilUsable(service, e[0], late)
}

// again registers what the server has forgotten.
func (b *bed) again(t testing.TB, entries ...[]entry) {
	t.Helper()
	if err := b.writer.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, some := range entries {
		b.put(t, some...)
	}
}
