package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is everything that a test knows of the scripted registries that a catalogue builds.
type world struct {
	mu    sync.Mutex
	built []*scripted
}

// config is the section of a scripted registry. A different Rev is a changed section.
func (w *world) config(rev int) *scriptedConfig { return &scriptedConfig{Rev: rev, World: w} }

// last is the registry that was built last.
func (w *world) last() *scripted {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.built[len(w.built)-1]
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.built)
}

type scriptedConfig struct {
	Rev   int
	World *world
	// Fails makes Build fail.
	Fails bool
	// Ends makes Run end at once with this error.
	Ends error
	// ListErr and WatchErr are what the watches return at once.
	ListErr, WatchErr error
	// Leave, if not nil, is what Run and Watch wait for after their ctx has ended, as one does that says goodbye.
	Leave chan struct{}
}

func (c *scriptedConfig) Validate() error { return nil }

func (c *scriptedConfig) Identity() string { return "scripted" }

func (c *scriptedConfig) Build(opts registry.Options) (registry.Registry, error) {
	if c.Fails {
		return nil, errors.New("no such certificate")
	}
	s := &scripted{config: c, opts: opts, watches: map[registry.ServiceName]func(registry.Snapshot){}}
	c.World.mu.Lock()
	defer c.World.mu.Unlock()
	c.World.built = append(c.World.built, s)
	return s, nil
}

// scripted is a registry that says what the test makes it say. It keeps the push of a watch that has ended, to misbehave
// with.
type scripted struct {
	config *scriptedConfig
	opts   registry.Options

	mu      sync.Mutex
	running bool
	begun   int // watches that have begun
	open    int // of these, those that have not ended
	watches map[registry.ServiceName]func(registry.Snapshot)
	list    func(registry.ServiceSet)
}

func (s *scripted) Run(ctx context.Context) error {
	s.set(func() { s.running = true })
	defer s.set(func() { s.running = false })
	if s.config.Ends != nil {
		return s.config.Ends
	}
	s.wait(ctx)
	return nil
}

func (s *scripted) wait(ctx context.Context) {
	<-ctx.Done()
	if s.config.Leave != nil {
		<-s.config.Leave
	}
}

func (s *scripted) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	s.set(func() { s.list, s.begun, s.open = push, s.begun+1, s.open+1 })
	defer s.set(func() { s.open-- })
	if s.config.ListErr != nil {
		return s.config.ListErr
	}
	s.wait(ctx)
	return nil
}

func (s *scripted) Watch(ctx context.Context, name registry.ServiceName, push func(registry.Snapshot)) error {
	s.set(func() { s.watches[name], s.begun, s.open = push, s.begun+1, s.open+1 })
	defer s.set(func() { s.open-- })
	if s.config.WatchErr != nil {
		return s.config.WatchErr
	}
	s.wait(ctx)
	return nil
}

func (s *scripted) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// push says that these are the instances of a service.
func (s *scripted) push(name registry.ServiceName, instances ...registry.Instance) {
	snapshot := registry.Snapshot{Service: name}
	for _, i := range instances {
		snapshot.Add(i.Address(), i)
	}
	s.pushed(name)(snapshot)
}

func (s *scripted) pushed(name registry.ServiceName) func(registry.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches[name]
}

func (s *scripted) watching() (running bool, begun, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.begun, s.open
}

func at(host string, port int) registry.Instance {
	return registry.Instance{Host: host, Port: port, Weight: 1}
}

// heard is a subscriber that remembers what it was told.
type heard struct {
	mu  sync.Mutex
	all []*Endpoints
}

func (h *heard) notify(e *Endpoints) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
}

// ids is the newest state; "silence" when there is none.
func (h *heard) ids() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return "silence"
	}
	return ids(h.all[len(h.all)-1])
}

func (h *heard) times() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

func ids(e *Endpoints) string {
	var list []string
	for _, u := range e.Usable {
		list = append(list, u.ID)
	}
	return fmt.Sprint(list)
}

// want lets what was pushed arrive, and what is coalesced as well: it is for tests in a bubble.
func (h *heard) want(t *testing.T, state string, times int) {
	t.Helper()
	settle()
	if got := h.ids(); got != state || h.times() != times {
		t.Errorf("heard %s after %d calls, want %s after %d", got, h.times(), state, times)
	}
}

// settle waits until everything that follows from what has happened so far has happened.
func settle() {
	time.Sleep(2 * coalesce)
	synctest.Wait()
}

func newCatalogue(t *testing.T) *Catalogue {
	t.Helper()
	c := New(slog.New(slog.DiscardHandler), nil)
	t.Cleanup(c.Close)
	return c
}

func apply(t *testing.T, c *Catalogue, configs map[string]registry.Config) {
	t.Helper()
	if err := c.Apply(specs(configs)); err != nil {
		t.Fatal(err)
	}
}

func key(reg, service string) Key { return Key{Registry: reg, Service: registry.App(service)} }

// specs believes every registry by the default policy.
func specs(configs map[string]registry.Config) map[string]Spec {
	out := map[string]Spec{}
	for name, cfg := range configs {
		out[name] = Spec{Config: cfg, Policy: DefaultPolicy()}
	}
	return out
}
