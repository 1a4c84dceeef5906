package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/sluice-gateway/sluice/registry"
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

// deadline is how long a test waits for what must happen.
const deadline = 20 * time.Second

// rig is a registry under test that runs, and what it reported.
type rig struct {
	t      testing.TB
	config *Config
	reg    *client
	stop   func()

	mu     sync.Mutex
	states []registry.State
	errs   []error
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
	r := &rig{t: t, config: c}
	reg, err := c.Build(registry.Options{Name: "test", Logger: slog.New(slog.DiscardHandler), Report: r.report, Dubbo: fetcher})
	if err != nil {
		t.Fatal(err)
	}
	r.reg = reg.(*client)
	r.stop = r.background(reg.Run)
	return r
}

func (r *rig) report(s registry.State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *rig) state() registry.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.states) == 0 {
		return registry.Connecting
	}
	return r.states[len(r.states)-1]
}

// until waits for a state.
func (r *rig) until(want registry.State) {
	r.t.Helper()
	within(r.t, want.String(), func() bool { return r.state() == want })
}

// complained waits for an error that holds all parts.
func (r *rig) complained(parts ...string) {
	r.t.Helper()
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("errors: %q", r.errs)
		}
	})
	within(r.t, fmt.Sprintf("an error with %q", parts), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.ContainsFunc(r.errs, func(err error) bool {
			return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(err.Error(), p) })
		})
	})
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

func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
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

// history is all that was pushed so far.
func (p *pushes[T]) history() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// until waits until the newest push satisfies a condition, and returns it.
func (p *pushes[T]) until(what string, ok func(T) bool) T {
	p.t.Helper()
	var got T
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		n := len(p.all)
		if n > 0 {
			got = p.all[n-1]
		}
		p.mu.Unlock()
		if n > 0 && ok(got) {
			return got
		}
		if time.Now().After(end) {
			p.t.Fatalf("not within %v: %s; the newest of %d pushes is %+v", deadline, what, n, got)
		}
	}
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

// addresses are the instances of a snapshot, sorted; with their protocol where they say one.
func addresses(s registry.Snapshot) []string {
	all := make([]string, 0, len(s.Instances))
	for i := range s.Instances {
		text := s.Instances[i].Address()
		if p := s.Instances[i].Protocol; p != "" {
			text = p + "://" + text
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// shows waits until a watch's newest push holds exactly these instances.
func shows(t testing.TB, p *pushes[registry.Snapshot], want ...string) registry.Snapshot {
	t.Helper()
	slices.Sort(want)
	return p.until(fmt.Sprint(want), func(s registry.Snapshot) bool { return slices.Equal(addresses(s), want) })
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
	within(p.t, "put "+key, func() bool {
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
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.states, want)
}
