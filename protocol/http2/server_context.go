package http2

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// watchable is a context that ends the exchange with an instance when its own has ended, so that the client need not ask
// it every second.
type watchable interface {
	// watch registers an exchange: the only one, of that generation. nil takes it back.
	watch(s *clientStream, generation uint32)
}

// cancelState is what makes an exchange a context. As long as only Err is used it costs nothing.
type cancelState struct {
	gone atomic.Bool
	used atomic.Bool // Done or AfterFunc was called: somebody may hold on to the context

	mu    sync.Mutex
	done  chan struct{}
	after map[*func()]struct{}
	by    *clientStream // what ends with us
	of    uint32        // its generation
}

// Deadline implements context.Context. The time by which an answer is worth having is Request.Deadline.
func (x *serverStream) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context. Typed slots of the Request carry what others put there.
func (x *serverStream) Value(any) any { return nil }

// Err implements context.Context.
func (x *serverStream) Err() error {
	if x.cancel.gone.Load() {
		return context.Canceled
	}
	return nil
}

// Done implements context.Context.
func (x *serverStream) Done() <-chan struct{} {
	k := &x.cancel
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done == nil {
		k.done = make(chan struct{})
		k.used.Store(true)
		if k.gone.Load() {
			close(k.done)
		}
	}
	return k.done
}

// AfterFunc lets package context derive from x without a goroutine.
func (x *serverStream) AfterFunc(f func()) (stop func() bool) {
	x.Done()
	k := &x.cancel
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone.Load() {
		go f()
		return func() bool { return false }
	}
	if k.after == nil {
		k.after = map[*func()]struct{}{}
	}
	key := &f
	k.after[key] = struct{}{}
	return func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		_, waiting := k.after[key]
		delete(k.after, key)
		return waiting
	}
}

// watch implements watchable.
func (x *serverStream) watch(s *clientStream, generation uint32) {
	k := &x.cancel
	k.mu.Lock()
	k.by, k.of = s, generation
	gone := k.gone.Load()
	k.mu.Unlock()
	if gone && s != nil {
		s.giveUp(generation)
	}
}

// cancelled implements canceller.
func (x *serverStream) cancelled() {
	k := &x.cancel
	k.mu.Lock()
	first := !k.gone.Swap(true)
	if first && k.done != nil {
		close(k.done)
		for f := range k.after {
			go (*f)()
		}
		k.after = nil
	}
	by, of := k.by, k.of
	k.mu.Unlock()
	if by != nil {
		by.giveUp(of)
	}
}

// end ends the context of a finished exchange and reports whether somebody may still hold it.
func (k *cancelState) end(x *serverStream) (used bool) {
	if k.used.Load() {
		x.cancelled()
		return true
	}
	k.gone.Store(false)
	return false
}

var _ context.Context = (*serverStream)(nil)
