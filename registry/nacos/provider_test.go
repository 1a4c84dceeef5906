package nacos

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// provider registers ephemeral instances as Nacos's own clients do: they live with its connection, and are registered
// again when that was lost.
type provider struct {
	t      testing.TB
	config *Config

	mu    sync.Mutex
	conn  *conn
	wants map[serviceKey]instance
}

// newProvider connects to a server until the test ends.
func newProvider(t testing.TB, address string) *provider {
	t.Helper()
	c := Default()
	c.Addresses = []string{address}
	p := &provider{t: t, config: c, wants: map[serviceKey]instance{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			p.connection(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	registrytest.Within(t, "the provider's connection", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.conn != nil })
	return p
}

func (p *provider) connection(ctx context.Context) {
	_, grpc, err := p.config.endpoints(p.config.Addresses[0])
	if err != nil {
		p.t.Error(err)
		return
	}
	c, err := dial(ctx, grpc, newAuth(p.config), p.config.Timeouts, "", nil)
	if err != nil {
		return
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	p.mu.Lock()
	p.conn = c
	for key, i := range p.wants {
		if err := p.request(ctx, key, "registerInstance", i); err != nil {
			p.t.Logf("register again: %v", err)
			p.mu.Unlock()
			return
		}
	}
	p.mu.Unlock()
	for {
		m, err := c.stream.Recv()
		if err != nil {
			return
		}
		if c.acknowledge(m.GetMetadata().GetType(), requestID(m.GetBody().GetValue())) != nil {
			return
		}
	}
}

func (p *provider) request(ctx context.Context, key serviceKey, kind string, i instance) error {
	return p.conn.call(ctx, "InstanceRequest", &instanceRequest{
		namingRequest: namingRequest{"naming", p.config.namespace(), key.group, key.name}, Type: kind, Instance: i,
	}, &answerHead{})
}

// register registers or changes the provider's one instance of a service in DEFAULT_GROUP.
func (p *provider) register(service, ip string, port int, metadata map[string]string) {
	p.t.Helper()
	i := instance{IP: ip, Port: port, Weight: 1, Healthy: true, Enabled: true, Ephemeral: true, ClusterName: "DEFAULT", Metadata: metadata}
	key := serviceKey{"DEFAULT_GROUP", service}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wants[key] = i
	if err := p.request(p.t.Context(), key, "registerInstance", i); err != nil {
		p.t.Fatalf("register %s: %v", service, err)
	}
}
