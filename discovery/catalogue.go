package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Catalogue runs registries and publishes what they say. Its zero value is not usable; see New.
type Catalogue struct {
	logger *slog.Logger
	dubbo  registry.MetadataFetcher

	leaving sync.WaitGroup // sources that Apply has replaced and that have not ended yet

	mu          sync.Mutex // before a feed's
	closed      bool
	sources     map[string]*source
	services    map[Key]*feed[Endpoints]
	lists       map[string]*feed[registry.ServiceSet]
	definitions map[Key]*feed[Definition]
}

// Definition is a Dubbo service's FullServiceDefinition, as JSON; empty when the registry holds none.
type Definition struct {
	JSON []byte
}

// New returns an empty Catalogue. dubbo may be nil.
func New(logger *slog.Logger, dubbo registry.MetadataFetcher) *Catalogue {
	return &Catalogue{
		logger: logger, dubbo: dubbo,
		sources:     map[string]*source{},
		services:    map[Key]*feed[Endpoints]{},
		lists:       map[string]*feed[registry.ServiceSet]{},
		definitions: map[Key]*feed[Definition]{},
	}
}

// Apply makes the running registries those of specs. A registry whose configuration has not changed is not touched.
// One that has changed is replaced: subscribers keep the last state until the new one has spoken. One that is gone is
// stopped, and has ended when Apply returns. If any registry cannot be built nothing changes.
func (c *Catalogue) Apply(specs map[string]Spec) error {
	left, err := c.apply(specs)
	if err != nil {
		return err
	}
	// Not under the lock: a registry may take its time to say goodbye, and its last push may be on the way to a subscriber
	// that another goroutine is about to add.
	defer c.leaving.Done()
	stopAll(left)
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
		if old := c.sources[name]; old != nil && reflect.DeepEqual(old.spec, specs[name]) {
			continue
		}
		src, err := c.build(name, specs[name])
		if err != nil {
			for _, s := range fresh {
				s.stop()
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
	for name, src := range fresh {
		c.sources[name] = src
		c.start(src)
	}
	c.followLocked()
	c.leaving.Add(1)
	return left, nil
}

// stopAll ends sources side by side.
func stopAll(sources []*source) {
	for _, s := range sources {
		s.cancel()
	}
	for _, s := range sources {
		s.stop()
	}
}

func (c *Catalogue) build(name string, spec Spec) (*source, error) {
	src := &source{name: name, spec: spec, since: time.Now()}
	src.ctx, src.cancel = context.WithCancel(context.Background())
	reg, err := spec.Config.Build(registry.Options{
		Name: name, Logger: c.logger.With("registry", name), Report: src.report, Dubbo: c.dubbo,
	})
	if err != nil {
		src.cancel()
		return nil, err
	}
	src.reg = reg
	return src, nil
}

func (c *Catalogue) start(src *source) {
	src.tasks.Go(func() {
		if err := src.reg.Run(src.ctx); err != nil && src.ctx.Err() == nil {
			src.report(registry.Stale, err)
			c.logger.Error("registry stopped working", "registry", src.name, "error", err)
		}
	})
}

func (c *Catalogue) followLocked() {
	for _, f := range c.services {
		f.follow(c.sources[f.source()])
	}
	for _, f := range c.lists {
		f.follow(c.sources[f.source()])
	}
	for _, f := range c.definitions {
		f.follow(c.sources[f.source()])
	}
}

// Subscribe calls notify with the service's Endpoints, now if they are known and whenever they change. notify must
// return quickly and must not call the Catalogue. A registry that is not running counts as one that has not answered.
func (c *Catalogue) Subscribe(key Key, notify func(*Endpoints)) *Subscription {
	return subscribe(c, c.services, key, key.Registry, notify, func() *feed[Endpoints] {
		return &feed[Endpoints]{
			watch: func(ctx context.Context, src *source, publish func(*Endpoints)) error {
				return src.reg.Watch(ctx, key.Service, func(s registry.Snapshot) {
					publish(fromSnapshot(key, s, time.Now()))
				})
			},
			same: func(old, new *Endpoints) bool { return new.sameAs(old) },
		}
	})
}

// SubscribeServices calls notify with the names of all services of a registry.
func (c *Catalogue) SubscribeServices(name string, notify func(*registry.ServiceSet)) *Subscription {
	return subscribe(c, c.lists, name, name, notify, func() *feed[registry.ServiceSet] {
		return &feed[registry.ServiceSet]{
			watch: func(ctx context.Context, src *source, publish func(*registry.ServiceSet)) error {
				return src.reg.WatchServices(ctx, func(s registry.ServiceSet) { publish(&s) })
			},
			same: func(old, new *registry.ServiceSet) bool { return slices.Equal(old.Services, new.Services) },
		}
	})
}

// SubscribeDefinition calls notify with the definition of a Dubbo service, if its registry keeps such documents.
func (c *Catalogue) SubscribeDefinition(key Key, notify func(*Definition)) *Subscription {
	return subscribe(c, c.definitions, key, key.Registry, notify, func() *feed[Definition] {
		return &feed[Definition]{
			watch: func(ctx context.Context, src *source, publish func(*Definition)) error {
				w, ok := src.reg.(registry.DefinitionWatcher)
				if !ok {
					publish(&Definition{})
					<-ctx.Done()
					return nil
				}
				return w.WatchDefinition(ctx, key.Service, func(json []byte) { publish(&Definition{JSON: json}) })
			},
			same: func(old, new *Definition) bool { return string(old.JSON) == string(new.JSON) },
		}
	})
}

// subscribe finds or makes the feed of key, and forgets it when its last subscriber leaves.
func subscribe[K comparable, T any](c *Catalogue, feeds map[K]*feed[T], key K, reg string, notify func(*T), make func() *feed[T]) *Subscription {
	c.mu.Lock()
	f := feeds[key]
	if f == nil {
		f = make()
		f.registry = reg
		feeds[key] = f
	}
	s := &Subscription{}
	s.close = func(s *Subscription) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if f.unsubscribe(s) && feeds[key] == f {
			delete(feeds, key)
			f.stop()
		}
	}
	f.subscribe(s, notify)
	f.follow(c.sources[reg])
	c.mu.Unlock()
	return s
}

// Close stops every registry and waits for all that runs on its behalf. Subscribers keep what they have.
func (c *Catalogue) Close() {
	c.mu.Lock()
	c.closed = true
	left := slices.Collect(maps.Values(c.sources))
	clear(c.sources)
	c.followLocked()
	c.mu.Unlock()
	stopAll(left)
	c.leaving.Wait()
}
