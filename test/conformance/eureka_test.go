package conformance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

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
			b.writer.(*eurekaWriter).watched = false
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
	return &bed{writer: &eurekaWriter{server: e, watched: true, overridden: map[string]bool{}}, addresses: []string{e.Addr()}, section: eurekaSection}
}

func eurekaSection(addresses []string, _ string) string {
	return fmt.Sprintf(`type: eureka, urls: ["http://%s/eureka"], interval: %s, timeout: 2s`, addresses[0], eurekaInterval)
}

// eurekaWriter posts what Spring Cloud's client posts. Leases are longer than any test, so nobody sends heartbeats.
type eurekaWriter struct {
	server *testbed.Eureka
	// watched says that told may look; it speaks no TLS.
	watched bool

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
	if err := w.told(ctx, i, "ADDED", w.server.Register); err != nil {
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
	i := eurekaInstance(e)
	return w.told(ctx, i, "DELETED", func(ctx context.Context, i testbed.EurekaInstance) error {
		err := w.server.Cancel(ctx, i)
		if err != nil && strings.Contains(err.Error(), "404") {
			return nil // it had gone with an earlier try, or with the server's memory
		}
		return err
	})
}

// told writes until the server's changes show it. A server that is asked for its changes while one is being written may
// keep the answer of before in its cache, for three minutes or until the next write: seen in a third of the bursts of six
// registrations with five hundred questions a second. Nobody who reads the server can tell, so the write is repeated.
func (w *eurekaWriter) told(ctx context.Context, i testbed.EurekaInstance, action string, write func(context.Context, testbed.EurekaInstance) error) error {
	for {
		if err := write(ctx, i); err != nil || !w.watched {
			return err
		}
		for range 50 {
			shown, err := w.lastAction(ctx, i)
			if err != nil {
				return err
			}
			if shown == action || shown == "" && action == "DELETED" || shown == "MODIFIED" && action == "ADDED" {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// lastAction is what the server's changes, as the gateway is told them, say last of an instance; "" when nothing.
func (w *eurekaWriter) lastAction(ctx context.Context, i testbed.EurekaInstance) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.server.Addr()+"/eureka/apps/delta", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth("gateway", "right") // a server without users does not look
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Applications struct {
			Application []struct {
				Name     string
				Instance []struct{ InstanceID, ActionType string }
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("read changes (%s): %w", resp.Status, err)
	}
	last := ""
	for _, a := range answer.Applications.Application {
		for _, seen := range a.Instance {
			if strings.EqualFold(a.Name, i.App) && seen.InstanceID == i.ID {
				last = seen.ActionType
			}
		}
	}
	return last, nil
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
