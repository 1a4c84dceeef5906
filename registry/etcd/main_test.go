package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// shared is the server of the tests that only use it; each keeps to a prefix of its own.
var shared *testbed.Etcd

func TestMain(m *testing.M) {
	e, stop, err := testbed.SharedEtcd()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = e
	goleak.VerifyTestMain(testbed.After(m, stop))
}

// rig is a registry under test that runs, and what it reported.
type rig struct {
	*registrytest.Rig
	config *Config
	reg    *client
}

// section is a configuration for a server, with prefixes that belong to this test.
func section(t testing.TB, addresses ...string) *Config {
	name := "/" + strings.ReplaceAll(t.Name(), "/", "-")
	c := Default()
	c.Addresses = addresses
	c.Prefix, c.ServicesRoot, c.DubboRoot = name+"/services", name+"/services", name+"/dubbo"
	c.Timeouts = Timeouts{Request: 500 * time.Millisecond, KeepAlive: 200 * time.Millisecond}
	return c
}

func run(t testing.TB, c *Config) *rig { return runWith(t, c, nil) }

func runWith(t testing.TB, c *Config, fetcher registry.MetadataFetcher) *rig {
	t.Helper()
	r := &rig{Rig: registrytest.New(t), config: c}
	reg, err := c.Build(registry.Options{Name: "test", Logger: slog.New(slog.DiscardHandler), Report: r.Report, Dubbo: fetcher})
	if err != nil {
		t.Fatal(err)
	}
	r.reg = reg.(*client)
	r.Start(reg)
	return r
}

// shows waits until a watch's newest push holds exactly these instances.
func shows(t testing.TB, p *registrytest.Pushes[registry.Snapshot], want ...string) registry.Snapshot {
	t.Helper()
	slices.Sort(want)
	return p.Until(fmt.Sprint(want), func(s registry.Snapshot) bool { return slices.Equal(registrytest.Addresses(s), want) })
}

// producer is etcd's own client, by which the services of a test register.
type producer struct {
	*clientv3.Client
	t testing.TB
}

func produce(t testing.TB, address string) *producer {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &producer{c, t}
}

func (p *producer) put(key, value string, opts ...clientv3.OpOption) {
	p.t.Helper()
	registrytest.Within(p.t, "put "+key, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err := p.Put(ctx, key, value, opts...)
		return err == nil
	})
}

func (p *producer) remove(key string) {
	p.t.Helper()
	if _, err := p.Delete(context.Background(), key); err != nil {
		p.t.Fatal(err)
	}
}

// saw reports whether a state has ever been reported.
func (r *rig) saw(want registry.State) bool {
	return slices.Contains(r.States(), want)
}
