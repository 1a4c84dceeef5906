package conformance

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/nacos"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// nacosGRPC is what Nacos adds to its HTTP port.
const nacosGRPC = 1000

func nacosKind() *kind {
	return &kind{
		name:  "nacos",
		empty: func() registry.Config { return nacos.Default() },
		share: func() (server, func(), error) { return testbed.SharedNacos() },
		begin: func(t testing.TB) server { return testbed.StartNacos(t) },
		open:  openNacos,
		provide: func(t testing.TB, s server) writer {
			return nacosSDKWriterTo(t, s.(*testbed.Nacos).Addr())
		},
		secure: func(t testing.TB) *secured {
			k := nacosKind()
			n := testbed.StartNacos(t, testbed.WithAuth("nacos", "right"))
			b := k.open(t, n)
			b.kind, b.server = k, n
			return &secured{bed: b, good: ", username: nacos, password: right", bad: ", username: nacos, password: wrong"}
		},
		slow: true,
		has:  traits{weight: true, disabled: true, unhealthy: true, spaces: true, list: true, keeps: true},
	}
}

func openNacos(_ testing.TB, s server) *bed {
	n := s.(*testbed.Nacos)
	host, port := hostPort(n.Addr())
	return &bed{
		writer:    &nacosWriter{server: n},
		addresses: []string{n.Addr(), fmt.Sprintf("%s:%d", host, port+nacosGRPC)},
		section:   nacosSection,
	}
}

// nacosSection makes a namespace of each space. Only the first address is named; the other is found from it.
func nacosSection(addresses []string, space string) string {
	_, web := hostPort(addresses[0])
	_, grpc := hostPort(addresses[1])
	return fmt.Sprintf("type: nacos, addresses: [%q], grpcPortOffset: %d, namespace: %s",
		addresses[0], grpc-web, cmp.Or(space, "public"))
}

// nacosWriter registers persistent instances by the server's own HTTP interface.
type nacosWriter struct {
	server *testbed.Nacos

	mu     sync.Mutex
	spaces map[string]bool
	known  map[string]bool // instances that the server has
}

func (w *nacosWriter) renew(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spaces, w.known = nil, nil
	return nil
}

func (w *nacosWriter) instance(e entry) testbed.Instance {
	return testbed.Instance{
		Namespace: e.space, Service: e.service, IP: e.host, Port: e.port, Weight: e.weight,
		Disabled: e.disabled, Unhealthy: e.unhealthy,
		Metadata: map[string]string{"who": e.who},
	}
}

func (w *nacosWriter) put(ctx context.Context, e entry) error {
	if err := w.ensureSpace(ctx, e.space); err != nil {
		return err
	}
	i := w.instance(e)
	if w.knows(e) {
		return w.server.Update(ctx, i)
	}
	if err := w.server.Register(ctx, i); err != nil {
		return err
	}
	w.note(e, true)
	return nil
}

func (w *nacosWriter) remove(ctx context.Context, e entry) error {
	w.note(e, false)
	return w.server.Deregister(ctx, w.instance(e))
}

func (w *nacosWriter) ensureSpace(ctx context.Context, space string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if space == "" || w.spaces[space] {
		return nil
	}
	if err := w.server.CreateNamespace(ctx, space); err != nil && !strings.Contains(err.Error(), "exist") {
		return err
	}
	if w.spaces == nil {
		w.spaces = map[string]bool{}
	}
	w.spaces[space] = true
	return nil
}

func (w *nacosWriter) knows(e entry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[e.space+" "+e.service+" "+e.address()]
}

func (w *nacosWriter) note(e entry, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known == nil {
		w.known = map[string]bool{}
	}
	w.known[e.space+" "+e.service+" "+e.address()] = known
}
