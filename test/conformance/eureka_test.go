package conformance

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/eureka"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// eurekaInterval is how often the gateway asks for changes.
const eurekaInterval = "500ms"

func eurekaKind() *kind {
	return &kind{
		name:  "eureka",
		empty: func() registry.Config { return eureka.Default() },
		share: func() (server, func(), error) { return testbed.SharedEureka() },
		begin: func(t testing.TB) server { return testbed.StartEureka(t) },
		open:  openEureka,
		secure: func(t testing.TB) *secured {
			k := eurekaKind()
			e := testbed.StartEureka(t, testbed.WithAuth("gateway", "right"))
			b := k.open(t, e)
			b.kind, b.server = k, e
			return &secured{bed: b, good: ", username: gateway, password: right", bad: ", username: gateway, password: wrong"}
		},
		encrypt: func(t testing.TB, ca *testbed.CA) *bed {
			pair := ca.Server("localhost", "127.0.0.1")
			e := testbed.StartEureka(t, testbed.WithTLS(pair.Cert, pair.Key))
			b := openEureka(t, e)
			b.server, b.section = e, func(addresses []string, space string) string {
				return strings.Replace(eurekaSection(addresses, space), "http://", "https://", 1)
			}
			return b
		},
		slow: true,
		has:  traits{weight: true, disabled: true, unhealthy: true, list: true, forgets: true},
	}
}

func openEureka(_ testing.TB, s server) *bed {
	e := s.(*testbed.Eureka)
	return &bed{writer: &eurekaWriter{server: e, overridden: map[string]bool{}}, addresses: []string{e.Addr()}, section: eurekaSection}
}

func eurekaSection(addresses []string, _ string) string {
	return fmt.Sprintf(`type: eureka, urls: ["http://%s/eureka"], interval: %s, timeout: 2s`, addresses[0], eurekaInterval)
}

// eurekaWriter posts what Spring Cloud's client posts. Leases are longer than any test, so nobody sends heartbeats.
type eurekaWriter struct {
	server *testbed.Eureka

	mu         sync.Mutex
	overridden map[string]bool
}

func (w *eurekaWriter) renew(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.overridden)
	return nil
}

// put registers, and takes out of service as operators do, by overriding the status: the server ignores an instance that
// calls itself so while it is known to be UP.
func (w *eurekaWriter) put(ctx context.Context, e entry) error {
	i := eurekaInstance(e)
	if err := w.server.Register(ctx, i); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	switch {
	case e.disabled:
		err = w.server.Override(ctx, i, "OUT_OF_SERVICE")
	case w.overridden[e.address()]:
		err = w.server.EndOverride(ctx, i, "UP")
	}
	w.overridden[e.address()] = e.disabled
	return err
}

func (w *eurekaWriter) remove(ctx context.Context, e entry) error {
	return w.server.Cancel(ctx, eurekaInstance(e))
}

func eurekaInstance(e entry) testbed.EurekaInstance {
	status := "UP"
	if e.unhealthy {
		status = "DOWN"
	}
	return testbed.EurekaInstance{
		App: e.service, ID: e.address(), Host: e.host, IP: e.host, Port: e.port, VIP: e.service, Status: status,
		Metadata: map[string]string{"who": e.who, "weight": fmt.Sprint(cmp.Or(e.weight, 1))},
	}
}
