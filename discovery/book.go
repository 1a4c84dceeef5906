package discovery

import (
	"context"

	"github.com/sluice-gateway/sluice/registry"
)

// book holds the feeds of one type. A feed is made for its first user and forgotten with its last.
type book[K comparable, T any] struct {
	c     *Catalogue
	feeds map[K]*feed[T] // guarded by Catalogue.mu
	// where is the registry that a key is of.
	where func(K) string
	make  func(K) *feed[T]
}

// acquire finds or makes the feed of key for one more user. part is true for a merged registry.
func (b *book[K, T]) acquire(key K, part bool) *feed[T] {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	f := b.feeds[key]
	if f == nil {
		f = b.make(key)
		f.registry, f.dispatcher = b.where(key), b.c.dispatcher
		b.feeds[key] = f
	}
	f.refs++
	if part {
		f.members++
	}
	f.follow(b.c.sources[f.registry])
	return f
}

func (b *book[K, T]) release(key K, f *feed[T], part bool) {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	f.refs--
	if part {
		f.members--
	}
	if f.refs > 0 {
		return
	}
	if b.feeds[key] == f {
		delete(b.feeds, key)
	}
	f.stop()
	if src := b.c.sources[f.registry]; src != nil {
		src.changed()
	}
}

func (b *book[K, T]) subscribe(key K, notify func(*T)) *Subscription {
	f := b.acquire(key, false)
	s := &Subscription{close: func(s *Subscription) {
		f.unsubscribe(s)
		b.release(key, f, false)
	}}
	f.subscribe(s, notify)
	return s
}

func (b *book[K, T]) followLocked() {
	for _, f := range b.feeds {
		f.follow(b.c.sources[f.registry])
	}
}

// offerKept gives what was kept of src to the feeds that know nothing.
func (b *book[K, T]) offerKept(src *source) {
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	for _, f := range b.feeds {
		if f.registry == src.name {
			f.offerKept(src)
		}
	}
}

// Subscribe calls notify with the service's Endpoints: before it returns if they are known, and whenever they change,
// in a goroutine of the Catalogue's, at most once in 100 ms, with the newest. notify should return quickly, as others may
// wait for it, and must not close its own subscription. A registry that is not running counts as one that has not
// answered.
func (c *Catalogue) Subscribe(key Key, notify func(*Endpoints)) *Subscription {
	return c.services.subscribe(key, notify)
}

// SubscribeServices calls notify with the names of all services of a registry, as Subscribe does.
func (c *Catalogue) SubscribeServices(name string, notify func(*registry.ServiceSet)) *Subscription {
	return c.lists.subscribe(name, notify)
}

// SubscribeDefinition calls notify with the definition of a Dubbo service, if its registry keeps such documents, as
// Subscribe does.
func (c *Catalogue) SubscribeDefinition(key Key, notify func(*Definition)) *Subscription {
	return c.definitions.subscribe(key, notify)
}

func (c *Catalogue) newServices() *book[Key, Endpoints] {
	b := &book[Key, Endpoints]{c: c, feeds: map[Key]*feed[Endpoints]{}, where: func(k Key) string { return k.Registry }}
	b.make = func(key Key) *feed[Endpoints] {
		f := &feed[Endpoints]{
			same:  func(old, new *Endpoints) bool { return new.sameAs(old) },
			again: (*Endpoints).confirmedBy,
		}
		h := newHolder(c, key, f)
		f.admit, f.deny, f.forget, f.kept = h.admit, h.deny, h.forget, h.kept
		f.watch = func(ctx context.Context, src *source, out outlet[Endpoints]) error {
			if src.merged() {
				return merged(ctx, b, src, out, func(member string) Key { return Key{member, key.Service} },
					func(parts []*Endpoints) *Endpoints { return union(key, parts) })
			}
			return src.reg.Watch(ctx, key.Service, func(s registry.Snapshot) { out.publish(h.read(s)) })
		}
		return f
	}
	return b
}

func (c *Catalogue) newLists() *book[string, registry.ServiceSet] {
	b := &book[string, registry.ServiceSet]{c: c, feeds: map[string]*feed[registry.ServiceSet]{}, where: func(name string) string { return name }}
	b.make = func(string) *feed[registry.ServiceSet] {
		return &feed[registry.ServiceSet]{
			same:  sameSet,
			again: func(old, _ *registry.ServiceSet) *registry.ServiceSet { return old },
			kept:  func(src *source) *registry.ServiceSet { return src.keptList() },
			watch: func(ctx context.Context, src *source, out outlet[registry.ServiceSet]) error {
				if src.merged() {
					return merged(ctx, b, src, out, func(member string) string { return member }, unionOfNames)
				}
				return src.reg.WatchServices(ctx, func(s registry.ServiceSet) { out.publish(&s) })
			},
		}
	}
	return b
}

func (c *Catalogue) newDefinitions() *book[Key, Definition] {
	b := &book[Key, Definition]{c: c, feeds: map[Key]*feed[Definition]{}, where: func(k Key) string { return k.Registry }}
	b.make = func(key Key) *feed[Definition] {
		return &feed[Definition]{
			same:  func(old, new *Definition) bool { return string(old.JSON) == string(new.JSON) },
			again: func(old, _ *Definition) *Definition { return old },
			kept:  func(src *source) *Definition { return src.keptDefinition(key.Service) },
			watch: func(ctx context.Context, src *source, out outlet[Definition]) error {
				if src.merged() {
					return merged(ctx, b, src, out, func(member string) Key { return Key{member, key.Service} }, firstDefinition)
				}
				w, ok := src.reg.(registry.DefinitionWatcher)
				if !ok {
					out.publish(&Definition{})
					<-ctx.Done()
					return nil
				}
				return w.WatchDefinition(ctx, key.Service, func(json []byte) { out.publish(&Definition{JSON: json}) })
			},
		}
	}
	return b
}
