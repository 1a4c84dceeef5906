package conformance

import (
	"context"
	"fmt"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestCredentials: what is refused is reported, and never looks like a service without instances.
func TestCredentials(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		if k.secure == nil {
			t.Skip("its server asks for none")
		}
		if k.slow {
			onlyFull(t)
		}
		b := k.secure(t)
		service := b.named("secret")
		e := spot(t, service)
		b.put(t, e)
		right := b.watchBy(t, b.config(t, b.addresses, "", b.good), service)
		right.untilUsable(service, e)

		for _, c := range []struct{ name, more string }{{"wrong", b.bad}, {"none", ""}} {
			t.Run(c.name, func(t *testing.T) {
				s := b.watchBy(t, b.config(t, b.addresses, "", c.more), service)
				until(t, "an error that is reported", s.describe, func() bool { return s.now().errs > 0 })
				t.Logf("reported: %s", s.firstError())
				m := s.now()
				b.put(t, spot(t, service)) // a change, after which a registry may look again
				until(t, "another error, or a second", s.describe, s.anotherError(m))
				if p, ok := s.last(service); ok {
					t.Errorf("pushed %+v", p)
				}
			})
		}
		if !k.has.revocable {
			return
		}
		t.Run("revoked", func(t *testing.T) {
			m := right.now()
			if err := b.revoke(); err != nil {
				t.Fatal(err)
			}
			until(t, "an error that is reported", right.describe, func() bool { return right.now().errs > m.errs })
			t.Logf("reported: %s", right.firstError())
			right.wantNoEmpty(service, m)
		})
	})
}

// TestTLS: what is spoken to the wrong server, or to one that cannot prove who it is, says nothing.
func TestTLS(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		if k.encrypt == nil {
			t.Skip("its server has no TLS of its own")
		}
		if k.slow {
			onlyFull(t)
		}
		ca, stranger := testbed.NewCA(t), testbed.NewCA(t)
		b := k.encrypt(t, ca)
		b.kind = k
		b.server.LogOnFailure(t)
		service := b.named("private")
		e := spot(t, service)
		b.put(t, e)
		section := func(more string) string { return fmt.Sprintf(", tls: {ca: %q%s}", ca.File(), more) }
		b.watchBy(t, b.config(t, b.addresses, "", section("")), service).untilUsable(service, e)

		for _, c := range []struct{ name, more string }{
			{"unknown authority", fmt.Sprintf(", tls: {ca: %q}", stranger.File())},
			{"another name", section(", serverName: other.example.com")},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := b.watchBy(t, b.config(t, b.addresses, "", c.more), service)
				until(t, "an error that is reported", s.describe, func() bool { return s.now().errs > 0 })
				t.Logf("reported: %s", s.firstError())
				until(t, "another error, or a second", s.describe, s.anotherError(s.now()))
				if p, ok := s.last(service); ok {
					t.Errorf("pushed %+v", p)
				}
				if s.state() == registry.Live {
					t.Error("the registry is called live")
				}
			})
		}
	})
}

// TestLeaderLost kills the leader of three: a new one is elected, and what is registered then is seen.
func TestLeaderLost(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		if k.cluster == nil {
			t.Skip("it has no leader, or no cluster can be had")
		}
		b := k.cluster(t)
		service := b.named("elected")
		e := spots(t, service, 3)
		b.put(t, e[0], e[1])
		s := b.watch(t, service)
		s.untilUsable(service, e[0], e[1])
		s.untilLive()
		m := s.now()
		b.killLeader()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := patiently(ctx, func(ctx context.Context) error { return b.writer.put(ctx, e[2]) }); err != nil {
			t.Fatal(err)
		}
		s.untilUsable(service, e...)
		s.untilLive()
		if err := b.restore(); err != nil {
			t.Fatal(err)
		}
		b.remove(t, e[0])
		s.untilUsable(service, e[1], e[2])
		s.wantNoEmpty(service, m)
	})
}
