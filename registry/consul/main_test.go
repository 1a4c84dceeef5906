package consul

import (
	"context"
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

// deadline is how long a test waits for what must come.
const deadline = 20 * time.Second

// within waits for a condition.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// rig is a running registry.
type rig struct {
	t      testing.TB
	config *Config
	reg    *consul
	stop   func()

	mu     sync.Mutex
	states []registry.State
	errs   []error
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
	r := &rig{t: t, config: quick()}
	r.config.Address = address
	for _, c := range change {
		c(r.config)
	}
	built, err := r.config.Build(registry.Options{Name: "consul", Logger: slog.New(slog.DiscardHandler), Report: r.note})
	must(t, err)
	r.reg = built.(*consul)
	r.stop = r.background(func(ctx context.Context) error { return r.reg.Run(ctx) })
	return r
}

func (r *rig) note(s registry.State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// state is the newest one reported.
func (r *rig) state() registry.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.states) == 0 {
		return registry.Connecting
	}
	return r.states[len(r.states)-1]
}

func (r *rig) waitFor(s registry.State) {
	r.t.Helper()
	within(r.t, "state "+s.String(), func() bool { return r.state() == s })
}

// errors are those that hold every one of the parts.
func (r *rig) errors(parts ...string) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []error
	for _, err := range r.errs {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(err.Error(), p) }) {
			found = append(found, err)
		}
	}
	return found
}

func (r *rig) waitError(parts ...string) {
	r.t.Helper()
	for end := time.Now().Add(deadline); len(r.errors(parts...)) == 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("no error with %q among %v", parts, r.errors())
		}
	}
}

// background runs something until the test ends, or the function returned is called.
func (r *rig) background(task func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := task(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(deadline):
			r.t.Error("did not end when its context did")
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// pushes keeps what a watch pushed.
type pushes[T any] struct {
	t    testing.TB
	stop func()
	mu   sync.Mutex
	all  []T
}

func (p *pushes[T]) push(v T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, v)
}

func (p *pushes[T]) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// last returns the newest push, waiting for the first one.
func (p *pushes[T]) last() T {
	p.t.Helper()
	within(p.t, "a push", func() bool { return p.count() > 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[len(p.all)-1]
}

// until waits for a push that satisfies a condition, and returns it.
func (p *pushes[T]) until(what string, ok func(T) bool) T {
	p.t.Helper()
	var got T
	end := time.Now().Add(deadline)
	for {
		if p.count() > 0 {
			if got = p.last(); ok(got) {
				return got
			}
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within %v: %s; the newest of %d pushes is %+v", deadline, what, p.count(), got)
		}
		time.Sleep(time.Millisecond)
	}
}

// more waits for another push than those before.
func (p *pushes[T]) more(before int) {
	p.t.Helper()
	within(p.t, "another push", func() bool { return p.count() > before })
}

func (r *rig) watch(name registry.ServiceName) *pushes[registry.Snapshot] {
	p := &pushes[registry.Snapshot]{t: r.t}
	p.stop = r.background(func(ctx context.Context) error { return r.reg.Watch(ctx, name, p.push) })
	return p
}

func (r *rig) watchServices() *pushes[registry.ServiceSet] {
	p := &pushes[registry.ServiceSet]{t: r.t}
	p.stop = r.background(func(ctx context.Context) error { return r.reg.WatchServices(ctx, p.push) })
	return p
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
