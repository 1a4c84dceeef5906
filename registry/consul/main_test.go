package consul

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// shared is a server for tests that neither stop nor count anything; each has services of its own. It starts with the first
// test that needs it.
var shared lazy

type lazy struct {
	once   sync.Once
	server *testbed.Consul
	stop   func()
	err    error
}

func (l *lazy) get(t testing.TB) *testbed.Consul {
	t.Helper()
	l.once.Do(func() { l.server, l.stop, l.err = testbed.SharedConsul() })
	must(t, l.err)
	return l.server
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testbed.After(m, func() {
		if shared.stop != nil {
			shared.stop()
		}
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rig is a running registry.
type rig struct {
	*registrytest.Rig
	config *Config
	reg    *consul
}

// quick are timeouts for tests.
func quick() *Config {
	c := Default()
	c.Wait = 5 * time.Second
	c.Timeouts = Timeouts{Connect: time.Second, Request: 2 * time.Second, KeepAlive: time.Second}
	return c
}

// newRig runs a registry over one address.
func newRig(t testing.TB, address string, change ...func(*Config)) *rig {
	t.Helper()
	r := &rig{Rig: registrytest.New(t), config: quick()}
	r.config.Address = address
	for _, c := range change {
		c(r.config)
	}
	built, err := r.config.Build(registry.Options{Name: "consul", Logger: slog.New(slog.DiscardHandler), Report: r.Report})
	must(t, err)
	r.reg = built.(*consul)
	r.Start(built)
	return r
}

// addresses are the instances of a snapshot, sorted, with a mark when they are not in use.
func addresses(s registry.Snapshot) []string {
	all := make([]string, 0, len(s.Instances))
	for _, i := range s.Instances {
		mark := ""
		if i.Unhealthy {
			mark += " unhealthy"
		}
		if i.Disabled {
			mark += " disabled"
		}
		all = append(all, i.Address()+mark)
	}
	slices.Sort(all)
	return all
}

// has is the condition that a snapshot's instances are exactly these.
func has(want ...string) func(registry.Snapshot) bool {
	slices.Sort(want)
	return func(s registry.Snapshot) bool { return slices.Equal(addresses(s), want) }
}

// agent is consul/api as everybody uses it: the independent client that registers what tests want.
type agent struct {
	t   testing.TB
	api *api.Client
}

func newAgent(t testing.TB, server *testbed.Consul) *agent {
	t.Helper()
	config := api.DefaultConfig()
	config.Address, config.Token = server.Addr(), server.Token()
	client, err := api.NewClient(config)
	must(t, err)
	t.Cleanup(config.Transport.CloseIdleConnections)
	return &agent{t, client}
}

// register announces an instance; its id is its address.
func (a *agent) register(name, host string, port int, change ...func(*api.AgentServiceRegistration)) string {
	a.t.Helper()
	r := &api.AgentServiceRegistration{ID: fmt.Sprintf("%s-%s-%d", name, host, port), Name: name, Address: host, Port: port}
	for _, c := range change {
		c(r)
	}
	must(a.t, a.api.Agent().ServiceRegister(r))
	return r.ID
}

func (a *agent) deregister(id string) {
	a.t.Helper()
	must(a.t, a.api.Agent().ServiceDeregister(id))
}

// unique is a name of the test's own.
func uniqueName(t testing.TB) string {
	return fmt.Sprintf("%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), time.Now().UnixNano())
}
