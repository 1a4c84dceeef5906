// Package dubbo_test calls real Java providers, of both versions of Dubbo, through the transcoder and the client, with the
// definitions that they publish in a real ZooKeeper.
package dubbo_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/zookeeper"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const iface = "com.example.UserService"

// versions are the releases of Dubbo that the tests run against.
var versions = []string{"3.3.6", "2.7.23"}

// bed is one provider with its registry, and a gateway's Dubbo side in front of it.
type bed struct {
	t        testing.TB
	provider *testbed.Provider
	client   *dubbo.Client
	catalog  *dubbo.Catalog
}

func newBed(t testing.TB, o testbed.ProviderOptions, cfg dubbo.ClientConfig) *bed {
	t.Helper()
	zk := testbed.StartZooKeeper(t)
	o.Registry = "zookeeper://" + zk.Addr()
	b := &bed{t: t, provider: testbed.StartDubboProvider(t, o)}
	cfg.Address = b.provider.Addr()
	b.client = dubbo.NewClient(cfg)
	src := newSource(t, zk)
	for _, service := range []dubbo.Service{{Interface: iface}, {Interface: iface, Group: "g1", Version: "1.0.0"}} {
		src.await(t, service) // 2.7 publishes definitions some time after it has registered
	}
	b.catalog = dubbo.NewCatalog(src, nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.client.Close(ctx); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return b
}

// source takes definitions from the registry, as the gateway's catalogue does.
type source struct {
	reg   registry.DefinitionWatcher
	ctx   context.Context
	tasks sync.WaitGroup
}

func newSource(t testing.TB, zk *testbed.ZooKeeper) *source {
	t.Helper()
	c := zookeeper.Default()
	c.Addresses = []string{zk.Addr()}
	reg, err := c.Build(registry.Options{Name: "zk", Logger: slog.New(slog.DiscardHandler), Report: func(registry.State, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &source{reg: reg.(registry.DefinitionWatcher), ctx: ctx}
	s.tasks.Go(func() { _ = reg.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		s.tasks.Wait()
	})
	return s
}

// SubscribeDefinition implements dubbo.DefinitionSource.
func (s *source) SubscribeDefinition(service dubbo.Service, notify func([]byte)) func() {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	s.tasks.Go(func() {
		defer close(done)
		_ = s.reg.WatchDefinition(ctx, registry.DubboService(service.Interface, service.Group, service.Version), notify)
	})
	return func() {
		cancel()
		<-done
	}
}

// await waits until the registry has a definition.
func (s *source) await(t testing.TB, service dubbo.Service) {
	t.Helper()
	known := make(chan struct{})
	var once sync.Once
	stop := s.SubscribeDefinition(service, func(b []byte) {
		if len(b) > 0 {
			once.Do(func() { close(known) })
		}
	})
	defer stop()
	select {
	case <-known:
	case <-time.After(30 * time.Second):
		t.Fatalf("no definition of %s", service)
	}
}

// route makes the chain of one route.
func (b *bed) route(r dubbo.Route) protocol.Handler {
	b.t.Helper()
	if r.Interface == "" {
		r.Interface = iface
	}
	tr, err := dubbo.NewTranscoder(r, b.catalog, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(tr.Close)
	return tr.Filter(b.client)
}

// call posts a body.
func call(h protocol.Handler, body string, header ...string) (status int, answer string, err error) {
	req := &protocol.Request{Method: "POST"}
	req.NarrowDeadline(int64(20 * time.Second))
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	if body != "" {
		req.Body, req.ContentLength = protocol.NewBytes([]byte(body)), int64(len(body))
	}
	return serve(context.Background(), h, req)
}

func serve(ctx context.Context, h protocol.Handler, req *protocol.Request) (status int, answer string, err error) {
	resp, err := h.Serve(ctx, req)
	if err != nil {
		return protocol.AsError(err).Status, "", err
	}
	var out strings.Builder
	_, err = io.Copy(&out, &protocol.Reader{Body: resp.Body})
	return resp.Status, out.String(), errors.Join(err, resp.Close())
}
