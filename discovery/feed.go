package discovery

import (
	"context"
	"errors"
	"sync"
)

// feed is one subject (a service's endpoints, a registry's list of names, a definition) with its subscribers. It follows
// one source at a time; when a reload replaces the source, the last value stays until the new source has spoken.
type feed[T any] struct {
	registry string
	watch    func(ctx context.Context, src *source, publish func(*T)) error
	same     func(old, new *T) bool // nil: always publish

	mu      sync.Mutex
	value   *T // nil: never answered
	err     error
	subs    map[*Subscription]func(*T)
	gen     int // guards against a late push of a source that was left
	cancel  context.CancelFunc
	current *source
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
	defer f.mu.Unlock()
	if f.current == src {
		return
	}
	f.stopLocked()
	f.current, f.err = src, nil
	if src == nil {
		return
	}
	f.gen++
	gen := f.gen
	ctx, cancel := context.WithCancel(src.ctx)
	f.cancel = cancel
	src.tasks.Go(func() {
		err := f.watch(ctx, src, func(v *T) { f.publish(gen, src, v) })
		f.ended(ctx, gen, src, err)
	})
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
	defer f.mu.Unlock()
	if gen != f.gen {
		return
	}
	src.pushed()
	f.err = nil
	changed := f.value == nil || f.same == nil || !f.same(f.value, v)
	f.value = v
	if !changed {
		return
	}
	for _, notify := range f.subs {
		notify(v)
	}
}

func (f *feed[T]) ended(ctx context.Context, gen int, src *source, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = errors.New("the watch ended by itself")
	}
	src.trouble(err)
	f.mu.Lock()
	defer f.mu.Unlock()
	if gen == f.gen {
		f.err = err
	}
}

// subscribe adds notify and calls it at once if there is a value already.
func (f *feed[T]) subscribe(s *Subscription, notify func(*T)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subs == nil {
		f.subs = make(map[*Subscription]func(*T))
	}
	f.subs[s] = notify
	if f.value != nil {
		notify(f.value)
	}
}

// unsubscribe reports whether nobody is left.
func (f *feed[T]) unsubscribe(s *Subscription) (empty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.subs, s)
	return len(f.subs) == 0
}

func (f *feed[T]) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopLocked()
}

func (f *feed[T]) load() (*T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.err
}

func (f *feed[T]) source() string { return f.registry }
