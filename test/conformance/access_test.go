package conformance

import (
	"testing"
)

// TestCredentials: what is refused is reported, and never looks like a service without instances.
func TestCredentials(t *testing.T) {
	each(t, func(t *testing.T, k *kind) {
		if k.secure == nil {
			t.Skip("its server asks for none")
		}
		if testing.Short() {
			t.Skip("starts a server of its own")
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
		if b.revoke == nil {
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
