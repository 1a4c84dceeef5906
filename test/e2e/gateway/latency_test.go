package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestInstanceAppears measures the time from the moment at which an instance is registered to the first request that it
// serves. It does not run beside other tests. The promises are 100 ms for ZooKeeper and 1 s for Nacos, on a machine that has
// nothing else to do; the limits here leave room for one that has.
func TestInstanceAppears(t *testing.T) {
	const events = 30
	a, b := serve(t, "a"), serve(t, "b")
	t.Run("ZooKeeper", func(t *testing.T) {
		z := sharedZooKeeper(t)
		w := writeTo(t, z)
		s := start(t, appearing(fmt.Sprintf("type: zookeeper, addresses: [%q]", z.Addr())))
		s.appear(events, 500*time.Millisecond, a, b,
			func(b *backend) { w.put(springNode("appearing", b), spring("appearing", b, "UP")) },
			func(b *backend) { w.remove(springNode("appearing", b)) })
	})
	t.Run("Nacos", func(t *testing.T) {
		n := sharedNacos(t)
		s := start(t, appearing(fmt.Sprintf("type: nacos, addresses: [%q]", n.Addr())))
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		s.appear(events, 2*time.Second, a, b,
			func(b *backend) { must(n.Register(t.Context(), b.in("", "", "appearing"))) },
			func(b *backend) { must(n.Deregister(t.Context(), b.in("", "", "appearing"))) })
	})
}

func appearing(registry string) string {
	return fmt.Sprintf(`
registries:
  - {name: reg, %s}
routes:
  - {name: appearing, match: {path: "/"}, to: {service: appearing}}
services:
  - {match: {service: appearing}, balance: {policy: roundRobin}}
`, registry)
}

// appear lets two instances take turns, and measures how long the new one needs to get a request.
func (s *sluice) appear(events int, limit time.Duration, a, b *backend, register, remove func(*backend)) {
	s.t.Helper()
	register(a)
	s.untilAnswer("/", 200, a.name)
	var took []time.Duration
	for range events {
		began := time.Now()
		register(b)
		s.untilFirst(b.name)
		took = append(took, time.Since(began))
		remove(a)
		until(s.t, text(a.name+" is gone"), func() bool {
			one, two := s.get("/").body, s.get("/").body // both turns of a round
			return one == b.name && two == b.name
		})
		a, b = b, a
	}
	slices.Sort(took)
	s.t.Logf("an instance appeared after %v (median), %v (worst of %d)", took[events/2].Round(time.Millisecond/10), took[events-1].Round(time.Millisecond/10), events)
	if worst := took[events-1]; worst > limit {
		s.t.Errorf("an instance appeared only after %v: %v", worst, took)
	}
}

// untilFirst asks again and again without a rest until that instance answers.
func (s *sluice) untilFirst(name string) {
	s.t.Helper()
	for end := time.Now().Add(patience); s.get("/").body != name; {
		if time.Now().After(end) {
			s.t.Fatalf("no request reached %s", name)
		}
	}
}
