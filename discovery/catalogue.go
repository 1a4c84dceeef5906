package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Catalogue runs registries and publishes what they say. Its zero value is not usable; see New.
type Catalogue struct {
	logger     *slog.Logger
	fetcher    registry.MetadataFetcher
	clock      *clock
	dispatcher *dispatcher
	prober     *prober
	waiting    waiting

	leaving sync.WaitGroup // sources that Apply has replaced and that have not ended yet

	mu            sync.Mutex // before a feed's
	closed        bool
	sources       map[string]*source
	guards        map[string]*guard
	announcements []*Announcement
	services      *book[Key, Endpoints]
	lists         *book[string, registry.ServiceSet]
	definitions   *book[Key, Definition]

	keeper keeper
}

// Definition is a Dubbo service's FullServiceDefinition, as JSON; empty when the registry holds none.
type Definition struct {
	JSON []byte
}

// New returns an empty Catalogue. dubbo may be nil.
func New(logger *slog.Logger, dubbo registry.MetadataFetcher) *Catalogue {
	c := &Catalogue{
		logger: logger, fetcher: dubbo, clock: newClock(),
		sources: map[string]*source{}, guards: map[string]*guard{},
	}
	c.dispatcher = newDispatcher(c.clock)
	c.prober = newProber(c.clock, (&net.Dialer{}).DialContext)
	c.keeper.init(c)
	c.services, c.lists, c.definitions = c.newServices(), c.newLists(), c.newDefinitions()
	return c
}

// Apply makes the running registries those of specs. A registry whose configuration has not changed is not touched; its
// policy may change without that. One that has changed is replaced: subscribers keep the last state until the new one
// has spoken. One that is gone is stopped, and has ended when Apply returns. If any registry cannot be built nothing
// changes.
func (c *Catalogue) Apply(specs map[string]Spec) error {
	if err := validate(specs); err != nil {
		return err
	}
	left, err := c.apply(specs)
	if err != nil {
		return err
	}
	// Not under the lock: a registry may take its time to say goodbye, and its last push may be on the way to a subscriber
	// that another goroutine is about to add.
	defer c.leaving.Done()
	c.stopAll(left)
	return nil
}

// apply switches to specs and returns the sources to be stopped. Without an error it has added 1 to c.leaving.
func (c *Catalogue) apply(specs map[string]Spec) ([]*source, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("catalogue is closed")
	}
	fresh := map[string]*source{}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if old := c.sources[name]; old != nil && old.spec.sameRegistry(specs[name]) {
			continue
		}
		src, err := c.build(name, specs[name])
		if err != nil {
			for _, s := range fresh {
				s.cancel()
			}
			return nil, fmt.Errorf("build registry %q: %w", name, err)
		}
		fresh[name] = src
	}
	var left []*source
	for name, old := range c.sources {
		if _, keep := specs[name]; !keep || fresh[name] != nil {
			left = append(left, old)
			delete(c.sources, name)
		}
	}
	for name, spec := range specs {
		c.setPolicyLocked(name, spec.Policy)
	}
	for name, src := range fresh {
		c.sources[name] = src
		c.start(src)
	}
	c.followLocked()
	c.leaving.Add(1)
	return left, nil
}

// sameRegistry reports whether o needs no other source than s.
func (s Spec) sameRegistry(o Spec) bool {
	return slices.Equal(s.Members, o.Members) && reflect.DeepEqual(s.Config, o.Config)
}

// setPolicyLocked takes a policy into force, also for what has been published already.
func (c *Catalogue) setPolicyLocked(name string, p Policy) {
	if !c.guardLocked(name).setPolicy(p) {
		return
	}
	for _, f := range c.services.feeds {
		if f.registry == name {
			f.deny(p.DenyAddresses)
		}
	}
}

// guardLocked is the guard of a registry's name; it outlives the registries that have that name.
func (c *Catalogue) guardLocked(name string) *guard {
	g := c.guards[name]
	if g == nil {
		g = newGuard(c, name)
		c.guards[name] = g
	}
	return g
}

func (c *Catalogue) build(name string, spec Spec) (*source, error) {
	src := &source{name: name, spec: spec, since: time.Now(), catalogue: c}
	src.ctx, src.cancel = context.WithCancel(context.Background())
	if src.merged() {
		return src, nil
	}
	src.identity = spec.Config.Identity()
	reg, err := spec.Config.Build(registry.Options{
		Name: name, Logger: c.logger.With("registry", name), Report: src.report, Dubbo: c.fetcher,
	})
	if err != nil {
		src.cancel()
		return nil, err
	}
	src.reg = reg
	return src, nil
}

func (c *Catalogue) start(src *source) {
	if src.merged() {
		return
	}
	c.keeper.begin(src)
	src.tasks.Go(func() {
		if err := src.reg.Run(src.ctx); err != nil && src.ctx.Err() == nil {
			src.report(registry.Stale, err)
			c.logger.Error("registry stopped working", "registry", src.name, "error", err)
		}
	})
}

func (c *Catalogue) followLocked() {
	c.services.followLocked()
	c.lists.followLocked()
	c.definitions.followLocked()
	for _, a := range c.announcements {
		a.follow(c.sources[a.registry])
	}
}

// stopAll ends sources side by side, and waits. What is announced through them is withdrawn first, while they still have
// their connections.
func (c *Catalogue) stopAll(sources []*source) {
	for _, s := range sources {
		s.announcing.Wait()
	}
	for _, s := range sources {
		s.cancel()
	}
	for _, s := range sources {
		s.tasks.Wait()
	}
}

// Close withdraws what is announced, stops every registry and waits for all that runs on its behalf. What is known is
// written to disk if it is to be kept. Subscribers keep what they have.
func (c *Catalogue) Close() {
	c.keeper.close()
	c.mu.Lock()
	c.closed = true
	left := slices.Collect(maps.Values(c.sources))
	clear(c.sources)
	c.followLocked()
	c.mu.Unlock()
	c.stopAll(left)
	c.leaving.Wait()
	c.dispatcher.close()
	c.prober.close()
	c.clock.close()
}
