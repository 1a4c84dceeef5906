package http2

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// pool keeps the connections to one instance and the requests that wait for room on one.
//
// One connection carries as much as the instance allows, because many streams on one share system calls; more are dialled
// only when it is full. Locks are taken in the order pool, connection.
type pool struct {
	client *Client

	mu      sync.Mutex
	conns   []*clientConn      // that take new requests
	leaving []*clientConn      // that do not, and have requests still
	dials   map[*dial]struct{} // under way
	queue   waitQueue
	closed  bool
	waiting atomic.Int32 // length of the queue
}

// waiter is one request in the queue.
type waiter struct {
	prev, next *waiter
	queued     bool
	turn       chan error // buffered; nil means to look again
}

// waitQueue is first in, first out. Waiters leave from the middle when their time is up.
type waitQueue struct {
	first, last *waiter
	n           int
}

func (q *waitQueue) push(w *waiter) {
	w.prev, w.next, w.queued = q.last, nil, true
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.n++
}

func (q *waitQueue) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.n--
}

// begin puts a request on the first connection that has room. If there is none it dials, if that is allowed and useful, and
// queues the request as *w, without a stream and an error.
func (p *pool) begin(req *protocol.Request, path string, w **waiter) (*clientStream, error) {
	c := p.client
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, c.connectFailure(errClientClosed)
	}
	refused, unsettled := 0, false
	for _, cc := range p.conns {
		s, state := cc.begin(req, path)
		switch state {
		case usable:
			c.current.Store(cc)
			return s, nil
		case incapable:
			refused++
		case unknown:
			unsettled = true
		}
	}
	if refused > 0 && refused == len(p.conns) {
		return nil, c.failure(502, protocol.CodeUpstreamProtocol, "the service does not support this upgrade", "connect", true, errNoConnect)
	}
	limit := c.cfg.MaxConnections
	room := limit <= 0 || len(p.conns)+len(p.dials) < limit
	switch {
	case room && !unsettled && p.queue.n >= len(p.dials)*assumedStreams:
		p.startDial()
	case !room && len(p.dials) == 0 && !unsettled:
		if pending := c.cfg.MaxPending; pending < 0 || pending > 0 && p.queue.n >= pending {
			return nil, c.busyFailure()
		}
	}
	if *w == nil {
		*w = &waiter{turn: make(chan error, 1)}
	}
	p.queue.push(*w)
	p.waiting.Add(1)
	return nil, nil
}

// wait waits until it is worth while to look again, and asks each second whether the client is still there.
func (p *pool) wait(ctx context.Context, req *protocol.Request, w *waiter) error {
	c := p.client
	timer := time.NewTimer(time.Duration(askInterval))
	defer timer.Stop()
	for {
		pause := askInterval
		if req.Deadline != 0 {
			pause = min(pause, req.Deadline-protocol.Now())
		}
		timer.Reset(time.Duration(max(pause, 0)))
		var err error
		select {
		case err := <-w.turn:
			return err
		case <-timer.C:
			switch {
			case ctx.Err() != nil:
				err = c.clientGone("wait for a connection", true)
			case req.Deadline != 0 && protocol.Now() >= req.Deadline:
				err = c.timeout("wait for a connection", true, errNoConnection)
			default:
				continue
			}
		}
		p.mu.Lock()
		if w.queued {
			p.remove(w)
		} else {
			p.wake(1) // its turn came at the same moment, and is somebody else's now
		}
		p.mu.Unlock()
		return err
	}
}

// dial is a connection that is being made.
type dial struct{ cancel context.CancelFunc }

// startDial makes a connection in the background. The lock is held.
func (p *pool) startDial() {
	ctx, cancel := context.WithCancel(context.Background())
	d := &dial{cancel}
	p.dials[d] = struct{}{}
	c := p.client
	c.running.Add(1)
	go func() {
		cc, err := c.dialConn(ctx)
		cancel()
		p.mu.Lock()
		delete(p.dials, d)
		if err == nil && p.closed {
			_ = cc.sock.Close()
			err = errClientClosed
		}
		if err != nil {
			if len(p.conns) == 0 && len(p.dials) == 0 {
				p.fail(c.dialFailure(err))
			}
			p.mu.Unlock()
			c.running.Done()
			return
		}
		p.conns = append(p.conns, cc)
		c.current.Store(cc)
		p.wake(assumedStreams)
		p.mu.Unlock()
		cc.serve() // ends with running.Done
	}()
}

func (c *Client) dialFailure(err error) *protocol.Error {
	if isTimeout(err) {
		return c.timeout("connect", true, err)
	}
	return c.connectFailure(err)
}

// remove takes a waiter out of the queue. The lock is held.
func (p *pool) remove(w *waiter) {
	p.queue.remove(w)
	p.waiting.Add(-1)
}

// wake lets so many of those who wait longest look again. The lock is held.
func (p *pool) wake(n int) {
	for ; n > 0 && p.queue.first != nil; n-- {
		w := p.queue.first
		p.remove(w)
		w.turn <- nil
	}
}

// fail turns all who wait away. The lock is held.
func (p *pool) fail(err error) {
	for p.queue.first != nil {
		w := p.queue.first
		p.remove(w)
		w.turn <- err
	}
}

// crowded reports whether requests wait.
func (p *pool) crowded() bool { return p.waiting.Load() > 0 }

// roomMade is called when a connection may take more.
func (p *pool) roomMade(n int) {
	p.mu.Lock()
	p.wake(n)
	p.mu.Unlock()
}

// leave takes a connection out of use. It stays listed until it is gone.
func (p *pool) leave(cc *clientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(cc)
}

func (p *pool) leaveLocked(cc *clientConn) {
	p.client.current.CompareAndSwap(cc, nil)
	for i, other := range p.conns {
		if other == cc {
			p.conns = append(p.conns[:i], p.conns[i+1:]...)
			p.leaving = append(p.leaving, cc)
			p.wake(p.queue.n) // they dial, or find another
			return
		}
	}
}

// gone is called when a connection is closed.
func (p *pool) gone(cc *clientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(cc)
	for i, other := range p.leaving {
		if other == cc {
			p.leaving = append(p.leaving[:i], p.leaving[i+1:]...)
			return
		}
	}
}

func (p *pool) sweep(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var drop []*clientConn
	for _, cc := range p.conns {
		if cc.sweep(now) {
			drop = append(drop, cc)
		}
	}
	for _, cc := range p.leaving {
		cc.sweep(now)
	}
	for _, cc := range drop {
		p.leaveLocked(cc)
	}
}

// close shuts the idle connections and turns the waiting requests away. Busy connections are shut when they have no more
// requests.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.client.current.Store(nil)
	for d := range p.dials {
		d.cancel()
	}
	p.leaving = append(p.leaving, p.conns...)
	p.conns = nil
	busy := 0
	for _, cc := range p.leaving {
		if cc.drain() > 0 {
			busy++
		}
	}
	p.fail(p.client.connectFailure(errClientClosed))
	p.mu.Unlock()
	if busy == 0 {
		p.client.running.Wait()
	}
}
