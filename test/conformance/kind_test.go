package conformance

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// kind is one kind of registry.
type kind struct {
	name string
	// empty makes a section with its defaults.
	empty func() registry.Config
	// share begins the server that all tests use which do it no harm.
	share func() (server, func(), error)
	// begin starts a server for one test, which may do anything to it.
	begin func(testing.TB) server
	// open makes a client for a server. The bed's addresses are the server's own.
	open func(testing.TB, server) *bed
	// provide makes another client for private beds, whose registrations live as long as it is connected; nil for the same.
	provide func(testing.TB, server) writer
	// secure starts a server that wants a password or a token.
	secure func(testing.TB) *secured
	// encrypt starts a server that speaks TLS, with a certificate for 127.0.0.1.
	encrypt func(testing.TB, *testbed.CA) *bed
	// cluster starts three servers that elect a leader.
	cluster func(testing.TB) *cluster
	// slow says that a server takes many seconds to start; the short form starts few of them.
	slow bool
	has  traits
}

// traits are what a registry has words for, and how it behaves. What it has no word for is not tested.
type traits struct {
	weight    bool
	disabled  bool
	unhealthy bool
	// spaces are its namespaces or groups.
	spaces bool
	// list is false where services cannot be listed.
	list bool
	// forgets says that a name leaves the list with its last instance, and not when somebody deletes the service.
	forgets bool
	// keeps says that what was registered is there after the server was killed and started.
	keeps bool
	// revocable says that secured has a revoke.
	revocable bool
}

// server is what can be done to a server.
type server interface {
	Kill()
	Restart() error
	Wipe() error
	Freeze() error
	Thaw() error
	Log() string
	LogOnFailure(testing.TB)
}

// entry is one instance as it stands in a registry.
type entry struct {
	// space is a namespace or a group; "" is the usual one.
	space, service string

	host                string
	port                int
	weight              float64 // 0 means 1
	disabled, unhealthy bool
	who                 string // metadata
}

func (e entry) address() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

// writer is a client that writes into a registry as services do. It is not ours.
type writer interface {
	// put registers an instance, or replaces what is registered of it; the registry has taken note when it returns.
	put(ctx context.Context, e entry) error
	// remove withdraws an instance.
	remove(ctx context.Context, e entry) error
	// renew makes a new client after the server has lost all its data, with nothing registered.
	renew(ctx context.Context) error
}

// bed is a running registry, a client that writes into it, and the way to it.
type bed struct {
	kind   *kind
	server server
	writer writer
	// addresses are what a gateway connects to. A registry may need several ports of one server.
	addresses []string
	// section writes the registry's section as pairs of a YAML flow mapping, its name left out, for the same number of
	// addresses, which may be those of proxies.
	section func(addresses []string, space string) string
	// prefix keeps the services of tests apart that share a server.
	prefix string
}

// secured is a bed with the credentials that its server wants, and others.
type secured struct {
	*bed
	good, bad string // pairs to add to the section
	// revoke makes the good ones bad; nil where traits do not say revocable.
	revoke func() error
}

// cluster is a bed whose server is several.
type cluster struct {
	*bed
	// killLeader kills the leader, and restore brings it back. The bed's writer talks to another server.
	killLeader func()
	restore    func() error
}

// config is the section as the gateway reads it.
func (b *bed) config(t testing.TB, addresses []string, space, more string) registry.Config {
	t.Helper()
	c := b.kind.empty()
	if err := yaml.Unmarshal([]byte("{"+b.section(addresses, space)+more+"}"), c); err != nil {
		t.Fatalf("read section: %v", err)
	}
	if err := c.Validate(); err != nil {
		t.Fatalf("section: %v", err)
	}
	return c
}

// named is the name of a service that no other test has.
func (b *bed) named(service string) string { return b.prefix + service }

func (b *bed) put(t testing.TB, entries ...entry) {
	t.Helper()
	for _, e := range entries {
		if err := b.writer.put(t.Context(), e); err != nil {
			t.Fatalf("put %s in %s: %v", e.address(), e.service, err)
		}
	}
}

func (b *bed) remove(t testing.TB, entries ...entry) {
	t.Helper()
	for _, e := range entries {
		if err := b.writer.remove(t.Context(), e); err != nil {
			t.Fatalf("remove %s from %s: %v", e.address(), e.service, err)
		}
	}
}

// kinds are all registries under test.
func kinds() []*kind {
	return []*kind{zooKeeperKind(), nacosKind(), consulKind(), eurekaKind(), etcdKind()}
}

// each runs a test for every kind, side by side.
func each(t *testing.T, test func(*testing.T, *kind)) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// shared are the servers that several tests use, by kind; each begins when it is first asked for.
var shared = &sharedServers{running: map[string]func() (server, error){}}

type sharedServers struct {
	mu      sync.Mutex
	running map[string]func() (server, error)
	ends    []func()
	tests   int
}

// shared is a bed on the kind's shared server, for one test.
func (k *kind) shared(t testing.TB) *bed {
	t.Helper()
	s, n, err := shared.get(k)
	if err != nil {
		t.Fatal(err)
	}
	s.LogOnFailure(t)
	b := k.open(t, s)
	b.kind, b.server = k, s
	b.prefix = "t" + strconv.Itoa(n) + "-"
	return b
}

// private is a bed on a server of its own.
func (k *kind) private(t testing.TB) *bed {
	t.Helper()
	s := k.begin(t)
	b := k.open(t, s)
	if k.provide != nil {
		b.writer = k.provide(t, s)
	}
	b.kind, b.server = k, s
	return b
}

func (s *sharedServers) get(k *kind) (server, int, error) {
	s.mu.Lock()
	s.tests++
	n := s.tests
	begin := s.running[k.name]
	if begin == nil {
		begin = sync.OnceValues(func() (server, error) {
			server, stop, err := k.share()
			if err != nil {
				return nil, err
			}
			s.atEnd(stop)
			return server, nil
		})
		s.running[k.name] = begin
	}
	s.mu.Unlock()
	server, err := begin()
	return server, n, err
}

func (s *sharedServers) atEnd(stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, stop)
}

func (s *sharedServers) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, end := range s.ends {
		end()
	}
	s.ends = nil
}

// serial tells beds on one server apart.
var serial atomic.Int64
