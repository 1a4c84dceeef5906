package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// shared is a server for tests that neither stop nor count anything; each keeps below a root of its own. It starts with
// the first test that needs it.
var shared lazy

type lazy struct {
	once   sync.Once
	server *testbed.ZooKeeper
	stop   func()
	err    error
}

func (l *lazy) get(t testing.TB) *testbed.ZooKeeper {
	t.Helper()
	l.once.Do(func() { l.server, l.stop, l.err = testbed.SharedZooKeeper() })
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

// rig is a running registry beside a second client, which writes what providers would.
type rig struct {
	t      testing.TB
	config *Config
	reg    *zooKeeper
	writer *writer

	mu     sync.Mutex
	states []registry.State
	errs   []error
}

// newRig runs a registry over a server, below roots of the test's own.
func newRig(t testing.TB, server *testbed.ZooKeeper, change ...func(*Config, *registry.Options)) *rig {
	t.Helper()
	r := &rig{t: t, config: Default(), writer: newWriter(t, server.Addr())}
	root := fmt.Sprintf("/%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
	r.config.Addresses = []string{server.Addr()}
	r.config.SessionTimeout = 2 * time.Second
	r.config.ConnectTimeout = time.Second
	r.config.DubboRoot, r.config.ServicesRoot = root+"/dubbo", root+"/services"
	opts := registry.Options{Name: "zk", Logger: quietLogger(), Report: r.note}
	for _, c := range change {
		c(r.config, &opts)
	}
	built, err := r.config.Build(opts)
	must(t, err)
	r.reg = built.(*zooKeeper)
	r.background(func(ctx context.Context) error { return r.reg.Run(ctx) })
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

func (r *rig) sawError(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.errs, func(err error) bool { return strings.Contains(err.Error(), part) })
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

func (r *rig) watchDefinition(name registry.ServiceName) *pushes[string] {
	p := &pushes[string]{t: r.t}
	p.stop = r.background(func(ctx context.Context) error {
		return r.reg.WatchDefinition(ctx, name, func(b []byte) { p.push(string(b)) })
	})
	return p
}

func (r *rig) rdubbo(parts ...string) string {
	return r.config.DubboRoot + "/" + strings.Join(parts, "/")
}
func (r *rig) rservices(parts ...string) string {
	return r.config.ServicesRoot + "/" + strings.Join(parts, "/")
}

// addresses are the instances of a snapshot as protocol://host:port, sorted.
func addresses(s registry.Snapshot) []string {
	all := make([]string, 0, len(s.Instances))
	for _, i := range s.Instances {
		all = append(all, i.Protocol+"://"+i.Address())
	}
	slices.Sort(all)
	return all
}

// has is the condition that a snapshot's instances are exactly these.
func has(want ...string) func(registry.Snapshot) bool {
	slices.Sort(want)
	return func(s registry.Snapshot) bool { return slices.Equal(addresses(s), want) }
}

// writer is a second client, which registers what a test wants.
type writer struct {
	t    testing.TB
	conn *zk.Conn
}

func newWriter(t testing.TB, addresses ...string) *writer {
	t.Helper()
	conn, events, err := zk.Connect(addresses, 10*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		for range events {
		}
	})
	return &writer{t, conn}
}

var openACL = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// put writes a persistent node, making those above it.
func (w *writer) put(path, data string) {
	w.t.Helper()
	w.create(path, data, 0)
}

// live writes an ephemeral node, as a provider does for itself.
func (w *writer) live(path, data string) {
	w.t.Helper()
	w.create(path, data, zk.FlagEphemeral)
}

func (w *writer) create(path, data string, flags int32) {
	w.t.Helper()
	if at := strings.LastIndexByte(path, '/'); at > 0 {
		if exists, _, err := w.conn.Exists(path[:at]); err != nil {
			w.t.Fatal(err)
		} else if !exists {
			w.create(path[:at], "", 0)
		}
	}
	_, err := w.conn.Create(path, []byte(data), flags, zk.WorldACL(zk.PermAll))
	if errors.Is(err, zk.ErrNodeExists) {
		_, err = w.conn.Set(path, []byte(data), -1)
	}
	if err != nil {
		w.t.Fatalf("create %s: %v", path, err)
	}
}

func (w *writer) remove(path string) {
	w.t.Helper()
	if err := w.conn.Delete(path, -1); err != nil {
		w.t.Fatalf("delete %s: %v", path, err)
	}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// lines is a log that can be read.
type lines struct{ strings.Builder }

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
