package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
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
	// ID is the registry's identity.
	ID string
	// Registers makes it a registry.Registrar, Defines a registry.DefinitionWatcher.
	Registers, Defines bool
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

func (c *scriptedConfig) Identity() string { return "scripted " + c.ID }

func (c *scriptedConfig) Build(opts registry.Options) (registry.Registry, error) {
	if c.Fails {
		return nil, errors.New("no such certificate")
	}
	s := &scripted{config: c, opts: opts, watches: map[registry.ServiceName]func(registry.Snapshot){}}
	c.World.mu.Lock()
	defer c.World.mu.Unlock()
	c.World.built = append(c.World.built, s)
	switch {
	case c.Registers:
		return &registering{s}, nil
	case c.Defines:
		return &defining{s}, nil
	}
	return s, nil
}

// registering is one in which the gateway can register itself.
type registering struct{ *scripted }

func (r *registering) Register(ctx context.Context, reg registry.Registration, report func(error)) error {
	r.set(func() { r.registered, r.registrations = append(r.registered, reg.ID), report })
	if r.config.WatchErr != nil {
		return r.config.WatchErr
	}
	r.wait(ctx)
	r.set(func() { r.registered = append(r.registered, "-"+reg.ID) })
	return nil
}

// defining is one that keeps definitions of Dubbo services.
type defining struct{ *scripted }

func (d *defining) WatchDefinition(ctx context.Context, _ registry.ServiceName, push func([]byte)) error {
	d.set(func() { d.define = push })
	d.wait(ctx)
	return nil
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
	define  func([]byte)

	registered    []string // IDs in the order of events; with "-" when they are withdrawn
	registrations func(error)
}

// lists says that these are the registry's services.
func (s *scripted) lists(names ...string) {
	set := registry.ServiceSet{}
	for _, n := range names {
		set.Services = append(set.Services, registry.App(n))
	}
	s.mu.Lock()
	push := s.list
	s.mu.Unlock()
	push(set)
}

// named is the newest registry of a name.
func (w *world) named(name string) *scripted {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.built) - 1; i >= 0; i-- {
		if w.built[i].opts.Name == name {
			return w.built[i]
		}
	}
	return nil
}

// network is what probes find: addresses that refuse, and those that say nothing. All others accept.
type network struct {
	mu              sync.Mutex
	refuse, silence map[string]bool
	probes          map[string]int
}

func newNetwork() *network {
	return &network{refuse: map[string]bool{}, silence: map[string]bool{}, probes: map[string]int{}}
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.probes[address]++
	refuse, silent := n.refuse[address], n.silence[address]
	n.mu.Unlock()
	switch {
	case refuse:
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	far.Close()
	return near, nil
}

func (n *network) set(which map[string]bool, address string, v bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	which[address] = v
}

func (n *network) probed(address string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.probes[address]
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

// ids lists who may be picked; "?" marks who is held.
func ids(e *Endpoints) string {
	var list []string
	for _, u := range e.Usable {
		if u.Held != nil {
			u.ID += "?"
		}
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

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newCatalogue(t *testing.T) *Catalogue {
	t.Helper()
	return newCatalogueIn(t, newNetwork())
}

func newCatalogueIn(t *testing.T, n *network) *Catalogue {
	t.Helper()
	c := New(slog.New(slog.DiscardHandler), nil)
	c.prober.dial = n.dial
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
