package discovery

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// feed is one subject (a service's endpoints, a registry's list of names, a definition) with its subscribers. It follows
// one source at a time; when a reload replaces the source, the last value stays until the new source has spoken.
type feed[T any] struct {
	registry   string
	dispatcher *dispatcher
	turn       turn // the dispatcher's

	// watch follows the subject until ctx ends.
	watch func(ctx context.Context, src *source, out outlet[T]) error
	// same reports whether a subscriber would notice no difference.
	same func(old, new *T) bool
	// admit is the policy: what becomes of new, when old was what was believed. It runs under mu. nil: new as it is.
	admit func(src *source, old, new *T) *T
	// again is what stays of old when new says the same. nil: new.
	again func(old, new *T) *T
	// kept is what was kept on disk; nil when nothing was.
	kept func(src *source) *T
	// deny is called with another list of denied addresses. nil: nothing to do.
	deny func([]netip.Prefix)
	// forget is called when nobody subscribes any more. nil: nothing to do.
	forget func()

	refs, members int // guarded by Catalogue.mu: who uses it, and how many of these are merged registries

	mu      sync.Mutex
	value   *T     // nil: never answered
	version uint64 // counts the values that were different
	err     error
	pokes   map[any]func() // merged registries of which this is a part
	gen     int            // guards against a late push of a source that was left
	cancel  context.CancelFunc
	current *source

	telling sync.Mutex // held while callbacks run
	subs    map[*Subscription]*subscriber[T]
}

// outlet is where a watch puts what it learns.
type outlet[T any] struct {
	publish func(*T)
	fail    func(error) // it cannot be watched at all
}

type subscriber[T any] struct {
	notify  func(*T)
	version uint64
}

// Subscription ends what Subscribe began.
type Subscription struct {
	close func(*Subscription)
	once  sync.Once
}

// Close ends the subscription: its callback is not running any more when Close returns, and is not called again. It must
// not be called by a callback, which would wait for itself.
func (s *Subscription) Close() { s.once.Do(func() { s.close(s) }) }

func (f *feed[T]) follow(src *source) {
	f.mu.Lock()
	if f.current == src {
		f.mu.Unlock()
		return
	}
	f.stopLocked()
	f.current, f.err = src, nil
	changed := false
	if src != nil {
		f.gen++
		gen := f.gen
		ctx, cancel := context.WithCancel(src.ctx)
		f.cancel = cancel
		src.tasks.Go(func() {
			err := f.watch(ctx, src, outlet[T]{
				publish: func(v *T) { f.publish(gen, src, v) },
				fail:    func(err error) { f.fail(gen, src, err) },
			})
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				err = errors.New("the watch ended by itself")
			}
			f.fail(gen, src, err)
		})
		changed = f.takeKept(src)
	}
	f.mu.Unlock()
	if changed {
		f.tell()
	}
}

func (f *feed[T]) stopLocked() {
	if f.cancel != nil {
		f.cancel()
		f.cancel = nil
	}
	f.gen++
	f.current = nil
}

func (f *feed[T]) publish(gen int, src *source, v *T) {
	f.mu.Lock()
	if gen != f.gen {
		f.mu.Unlock()
		return
	}
	src.pushed()
	f.err = nil
	if f.admit != nil {
		v = f.admit(src, f.value, v)
	}
	changed := f.store(v)
	f.mu.Unlock()
	if changed {
		src.changed()
		f.tell()
	}
}

// store makes v the value, and reports whether that is news.
func (f *feed[T]) store(v *T) bool {
	if f.value != nil && f.same(f.value, v) {
		if f.again != nil {
			v = f.again(f.value, v)
		}
		f.value = v
		return false
	}
	f.value = v
	f.version++
	return true
}

// update changes the value for another reason than a push. change returns nil to leave it; it runs under mu.
func (f *feed[T]) update(change func(old *T) *T) {
	f.mu.Lock()
	changed := false
	if f.value != nil {
		if v := change(f.value); v != nil {
			changed = f.store(v)
		}
	}
	f.mu.Unlock()
	if changed {
		f.tell()
	}
}

// offerKept gives the feed what was kept on disk, if it knows nothing.
func (f *feed[T]) offerKept(src *source) {
	f.mu.Lock()
	changed := f.current == src && f.takeKept(src)
	f.mu.Unlock()
	if changed {
		f.tell()
	}
}

func (f *feed[T]) takeKept(src *source) bool {
	if f.value != nil || f.kept == nil {
		return false
	}
	v := f.kept(src)
	return v != nil && f.store(v)
}

// tell lets everybody know that the value, or the error, is another.
func (f *feed[T]) tell() {
	f.dispatcher.mark(f)
	f.mu.Lock()
	pokes := make([]func(), 0, len(f.pokes))
	for _, p := range f.pokes {
		pokes = append(pokes, p)
	}
	f.mu.Unlock()
	for _, p := range pokes {
		p()
	}
}

func (f *feed[T]) fail(gen int, src *source, err error) {
	src.trouble(err)
	f.mu.Lock()
	current := gen == f.gen
	if current {
		f.err = err
	}
	f.mu.Unlock()
	if current {
		f.tell()
	}
}

// poke has do called whenever the value or the error changes, in whatever goroutine that happens; nil ends it.
func (f *feed[T]) poke(who any, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if do == nil {
		delete(f.pokes, who)
		return
	}
	if f.pokes == nil {
		f.pokes = make(map[any]func(), 1)
	}
	f.pokes[who] = do
}

// deliver implements told.
func (f *feed[T]) deliver() {
	f.telling.Lock()
	defer f.telling.Unlock()
	v, version := f.newest()
	for _, s := range f.subs {
		if s.version != version {
			s.version = version
			s.notify(v)
		}
	}
}

func (f *feed[T]) place() *turn { return &f.turn }

func (f *feed[T]) newest() (*T, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.version
}

// subscribe adds notify and calls it at once if there is a value already.
func (f *feed[T]) subscribe(s *Subscription, notify func(*T)) {
	f.telling.Lock()
	defer f.telling.Unlock()
	if f.subs == nil {
		f.subs = make(map[*Subscription]*subscriber[T], 1)
	}
	v, version := f.newest()
	f.subs[s] = &subscriber[T]{notify: notify, version: version}
	if v != nil {
		notify(v)
	}
}

func (f *feed[T]) unsubscribe(s *Subscription) {
	f.telling.Lock()
	defer f.telling.Unlock()
	delete(f.subs, s)
}

func (f *feed[T]) stop() {
	f.mu.Lock()
	f.stopLocked()
	f.mu.Unlock()
	if f.forget != nil {
		f.forget()
	}
}

// load is the value, the source that is followed, and why it cannot be watched.
func (f *feed[T]) load() (*T, *source, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.current, f.err
}
