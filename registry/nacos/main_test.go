package nacos

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// server is what shared starts.
type server struct {
	nacos *testbed.Nacos
	stop  func()
	err   error
}

// start starts the shared server when a test first asks for it: the fuzzing engine's workers run TestMain too.
var start = sync.OnceValue(func() server {
	n, stop, err := testbed.SharedNacos()
	running.Store(err == nil)
	return server{n, stop, err}
})

var running atomic.Bool

// shared is a server for tests that neither stop nor count anything; each uses names of its own.
func shared(t testing.TB) *testbed.Nacos {
	t.Helper()
	s := start()
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.nacos
}

func TestMain(m *testing.M) {
	if os.Getenv(sdkServer) != "" {
		os.Exit(sdkMain())
	}
	goleak.VerifyTestMain(testbed.After(m, func() {
		if running.Load() {
			start().stop()
		}
	}))
}

// deadline is how long a test waits for what must come, on a machine that has other things to do.
const deadline = 90 * time.Second

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
	reg    *client
	stop   func()

	mu     sync.Mutex
	states []registry.State
	errs   []error
}

// newRig builds a registry over a server and runs it until the test ends.
func newRig(t testing.TB, address string, change ...func(*Config, *registry.Options)) *rig {
	t.Helper()
	r := &rig{t: t, config: Default()}
	r.config.Addresses = []string{address}
	opts := registry.Options{Name: "nacos", Logger: quietLogger(), Report: r.note}
	for _, c := range change {
		c(r.config, &opts)
	}
	built, err := r.config.Build(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.reg = built.(*client)
	r.stop = r.background(r.reg.Run)
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

func (r *rig) await(s registry.State) {
	r.t.Helper()
	within(r.t, s.String(), func() bool { return r.state() == s })
}

func (r *rig) sawError(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.errs, func(err error) bool { return strings.Contains(err.Error(), part) })
}

// noErrors fails the test if anything was reported as trouble.
func (r *rig) noErrors() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) > 0 {
		r.t.Errorf("%d errors were reported, first: %v", len(r.errs), r.errs[0])
	}
}

func (r *rig) firstError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.errs) == 0 {
		return nil
	}
	return r.errs[0]
}

// onlyLost fails the test if any other trouble was reported than a lost connection.
func (r *rig) onlyLost() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.errs {
		if !strings.HasPrefix(err.Error(), "connection to ") {
			r.t.Errorf("reported: %v", err)
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

// seen is everything pushed so far.
func (p *pushes[T]) seen() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// until waits for the newest push to satisfy a condition, and returns it.
func (p *pushes[T]) until(what string, ok func(T) bool) T {
	p.t.Helper()
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		all := p.seen()
		if len(all) > 0 && ok(all[len(all)-1]) {
			return all[len(all)-1]
		}
		if time.Now().After(end) {
			if len(all) == 0 {
				p.t.Fatalf("not within %v: %s; nothing was pushed", deadline, what)
			}
			p.t.Fatalf("not within %v: %s; the newest of %d pushes is %+v", deadline, what, len(all), all[len(all)-1])
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

func (r *rig) watchDefinition(name registry.ServiceName) *pushes[string] {
	p := &pushes[string]{t: r.t}
	p.stop = r.background(func(ctx context.Context) error {
		return r.reg.WatchDefinition(ctx, name, func(b []byte) { p.push(string(b)) })
	})
	return p
}

// addresses are the instances of a snapshot, sorted, with their protocol if they tell one.
func addresses(s registry.Snapshot) []string {
	all := make([]string, 0, len(s.Instances))
	for _, i := range s.Instances {
		a := i.Address()
		if i.Protocol != "" {
			a = i.Protocol + "://" + a
		}
		all = append(all, a)
	}
	slices.Sort(all)
	return all
}

// has is the condition that a snapshot's instances are exactly these.
func has(want ...string) func(registry.Snapshot) bool {
	sorted := slices.Sorted(slices.Values(want))
	return func(s registry.Snapshot) bool { return slices.Equal(addresses(s), sorted) }
}

// lists is the condition that the set holds these.
func lists(want ...registry.ServiceName) func(registry.ServiceSet) bool {
	return func(s registry.ServiceSet) bool {
		for _, w := range want {
			if !slices.Contains(s.Services, w) {
				return false
			}
		}
		return true
	}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// uniq makes a name that only this run of this test uses.
func uniq(t testing.TB, name string) string {
	run, _ := tests.LoadOrStore(t, testCount.Add(1))
	return fmt.Sprintf("%s-%d-%s", strings.NewReplacer("/", "-", "#", "-", " ", "-").Replace(t.Name()), run, name)
}

var (
	tests     sync.Map // the number of each test that asked for a name
	testCount atomic.Int32
)
