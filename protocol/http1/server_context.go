package http1

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol/socket"
)

// canceller is what makes an exchange a context. As long as only Err is used it costs nothing; Done and AfterFunc register
// the exchange with the server's watcher.
type canceller struct {
	gone atomic.Bool
	used atomic.Bool // Done or AfterFunc was called: somebody may hold on to the context

	mu     sync.Mutex
	done   chan struct{}
	after  map[*func()]struct{}
	listed int // place in the watcher's list plus one
}

// Deadline implements context.Context. The time by which an answer is worth having is Request.Deadline.
func (x *serverExchange) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context. Typed slots of the Request carry what others put there.
func (x *serverExchange) Value(any) any { return nil }

// Err implements context.Context. Unless the answer is known already, it asks the client's socket: call it about once a
// second, not in a loop.
func (x *serverExchange) Err() error {
	if x.cancel.gone.Load() {
		return context.Canceled
	}
	if c := x.conn; c != nil && !c.sock.Gone() {
		return nil
	}
	x.cancelNow()
	return context.Canceled
}

// Done implements context.Context.
func (x *serverExchange) Done() <-chan struct{} {
	k := &x.cancel
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done == nil {
		k.done = make(chan struct{})
		k.used.Store(true)
		if k.gone.Load() || !x.srv.watch.add(x) {
			k.gone.Store(true)
			close(k.done)
		}
	}
	return k.done
}

// AfterFunc lets package context derive from x without a goroutine.
func (x *serverExchange) AfterFunc(f func()) (stop func() bool) {
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

// cancelNow ends the context.
func (x *serverExchange) cancelNow() {
	k := &x.cancel
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone.Swap(true) || k.done == nil {
		return
	}
	close(k.done)
	for f := range k.after {
		go (*f)()
	}
	k.after = nil
}

// end ends the context of a finished exchange and reports whether somebody may still hold it.
func (k *canceller) end(x *serverExchange) (used bool) {
	if k.used.Load() {
		x.srv.watch.remove(x)
		x.cancelNow()
		return true
	}
	k.gone.Store(false)
	return false
}

// watchEvery is how often the sockets of waiting exchanges are asked.
const watchEvery = 200 * time.Millisecond

// watcher asks the sockets of all exchanges whose Done somebody waits for, by one system call for all.
type watcher struct {
	mu     sync.Mutex
	list   []*serverExchange
	socks  []*socket.Conn
	kick   chan struct{} // nil until the goroutine runs
	closed bool
	wg     sync.WaitGroup
}

func (w *watcher) add(x *serverExchange) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.list, w.socks = append(w.list, x), append(w.socks, &x.conn.sock)
	x.cancel.listed = len(w.list)
	if w.kick == nil {
		w.kick = make(chan struct{}, 1)
		w.wg.Go(w.run)
	}
	if len(w.list) == 1 {
		w.wake()
	}
	return true
}

func (w *watcher) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *watcher) remove(x *serverExchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := x.cancel.listed - 1
	if i < 0 {
		return
	}
	last := len(w.list) - 1
	w.list[i], w.socks[i] = w.list[last], w.socks[last]
	w.list[i].cancel.listed = i + 1
	w.list[last], w.socks[last] = nil, nil
	w.list, w.socks = w.list[:last], w.socks[:last]
	x.cancel.listed = 0
}

// run asks while somebody waits and sleeps otherwise.
func (w *watcher) run() {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	var scratch []socket.PollFd
	var gone []*serverExchange
	for {
		w.mu.Lock()
		closed, n := w.closed, len(w.list)
		// The lock keeps the connections open meanwhile: they leave the list first.
		scratch = socket.SweepGone(w.socks, scratch, func(i int) { gone = append(gone, w.list[i]) })
		if closed {
			gone = append(gone[:0], w.list...)
		}
		w.mu.Unlock()
		for _, x := range gone {
			x.cancelNow() // an exchange that has ended meanwhile is not used again, because its Done was
		}
		clear(gone)
		gone = gone[:0]
		switch {
		case closed:
			return
		case n == 0:
			<-w.kick
			continue
		}
		timer.Reset(watchEvery)
		select {
		case <-timer.C:
		case <-w.kick:
		}
	}
}

// close cancels all who wait and ends the goroutine.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	if w.kick != nil {
		w.wake()
	}
	w.mu.Unlock()
	w.wg.Wait()
}
