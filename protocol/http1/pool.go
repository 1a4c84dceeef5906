package http1

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// pool keeps the connections to one instance: the idle ones, the count of all, and the requests that wait for one.
//
// Idle connections are reused last in, first out, so that load decides how many stay warm and the rest grow old at the
// bottom, where sweep finds them: picking alone would never reach them.
type pool struct {
	client  *Client
	waiters sync.Pool // of *waiter

	mu     sync.Mutex
	idle   []*upstreamConn // newest last
	open   int             // idle, busy and being dialled
	queue  waitQueue
	closed bool
	reused uint64
	socks  []*socket.Conn  // of sweep
	polls  []socket.PollFd // of sweep
}

// turn is what a waiter gets: a connection, or leave to dial one, or the news that the pool is closed.
type turn struct {
	conn *upstreamConn
	dial bool
}

// waiter is one request in the queue.
type waiter struct {
	prev, next *waiter
	queued     bool
	turn       chan turn // buffered: whoever gives a turn never waits
	timer      *time.Timer
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

func (p *pool) init(c *Client) { p.client = c }

// take returns an idle connection, or leave to dial (nil, nil), for which the caller owes a put or a drop. Above the limit
// it waits, and asks each second whether the client is still there. fresh asks for leave to dial: one idle connection makes
// room for it if there is no other way.
func (p *pool) take(ctx context.Context, req *protocol.Request, fresh bool) (*upstreamConn, error) {
	c := p.client
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, c.connectFailure(errClientClosed)
		}
		limit := c.cfg.MaxConnections
		room := limit <= 0 || p.open < limit
		if n := len(p.idle); n > 0 && !(fresh && room) {
			u := p.idle[n-1]
			p.idle[n-1] = nil
			p.idle = p.idle[:n-1]
			if !fresh && !p.expired(u, protocol.Now()) {
				p.reused++
				p.mu.Unlock()
				return u, nil
			}
			p.mu.Unlock()
			p.drop(u)
			continue
		}
		if room {
			p.open++
			p.mu.Unlock()
			return nil, nil
		}
		if pending := c.cfg.MaxPending; pending < 0 || pending > 0 && p.queue.n >= pending {
			p.mu.Unlock()
			return nil, c.busyFailure()
		}
		w := p.newWaiter()
		p.queue.push(w)
		p.mu.Unlock()
		return p.wait(ctx, req, w)
	}
}

func (p *pool) newWaiter() *waiter {
	if w, ok := p.waiters.Get().(*waiter); ok {
		return w
	}
	w := &waiter{turn: make(chan turn, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}

func (p *pool) wait(ctx context.Context, req *protocol.Request, w *waiter) (*upstreamConn, error) {
	c := p.client
	defer p.waiters.Put(w)
	defer w.timer.Stop()
	for {
		pause := int64(wakeInterval)
		if req.Deadline != 0 {
			pause = min(pause, req.Deadline-protocol.Now())
		}
		w.timer.Reset(time.Duration(max(pause, 0)))
		var err error
		select {
		case t := <-w.turn:
			return p.accept(t)
		case <-w.timer.C:
			switch {
			case ctx.Err() != nil:
				err = c.clientGone(ctx, "wait for a connection", true)
			case req.Deadline != 0 && protocol.Now() >= req.Deadline:
				err = c.timeout("wait for a connection", true, errNoConnection)
			default:
				continue
			}
		}
		p.mu.Lock()
		if w.queued {
			p.queue.remove(w)
			p.mu.Unlock()
			return nil, err
		}
		p.mu.Unlock()
		// A turn came at the same moment; it is taken rather than wasted, and the caller's own deadlines judge the rest.
		return p.accept(<-w.turn)
	}
}

func (p *pool) accept(t turn) (*upstreamConn, error) {
	if t.conn == nil && !t.dial {
		return nil, p.client.connectFailure(errClientClosed)
	}
	return t.conn, nil
}

// put gives a clean connection back: to the request that waits longest, or to the idle ones.
func (p *pool) put(u *upstreamConn, now int64) {
	u.idleSince = now
	if p.tooOld(u, now) {
		p.drop(u)
		return
	}
	p.mu.Lock()
	switch w := p.queue.first; {
	case p.closed:
		p.open--
		p.mu.Unlock()
		u.shut()
		return
	case w != nil:
		p.queue.remove(w)
		p.reused++
		w.turn <- turn{conn: u}
	default:
		p.idle = append(p.idle, u)
	}
	p.mu.Unlock()
}

// drop closes a connection and lets the longest waiting request dial instead.
func (p *pool) drop(u *upstreamConn) {
	u.shut()
	p.forgo()
}

// forgo gives up the leave to dial.
func (p *pool) forgo() {
	p.mu.Lock()
	p.leave(1)
	p.mu.Unlock()
}

// leave counts n connections less. p.mu is held.
func (p *pool) leave(n int) {
	p.open -= n
	limit := p.client.cfg.MaxConnections
	for p.queue.first != nil && (limit <= 0 || p.open < limit) {
		w := p.queue.first
		p.queue.remove(w)
		p.open++
		w.turn <- turn{dial: true}
	}
}

func (p *pool) tooOld(u *upstreamConn, now int64) bool {
	age := int64(p.client.cfg.MaxAge)
	return age > 0 && now-u.dialledAt >= age
}

// expired reports whether an idle connection is too old, or idle for longer than we or its instance want to keep it.
func (p *pool) expired(u *upstreamConn, now int64) bool {
	idle, limit := now-u.idleSince, int64(p.client.cfg.IdleTimeout)
	return p.tooOld(u, now) || limit > 0 && idle >= limit || u.keepAlive > 0 && idle >= u.keepAlive
}

// sweep drops the idle connections that are expired, or that the instance closed or sent unasked bytes on: both show as
// readable, and one poll asks for all of them.
func (p *pool) sweep(now int64) {
	var drop []*upstreamConn
	p.mu.Lock()
	p.socks = p.socks[:0]
	for _, u := range p.idle {
		p.socks = append(p.socks, &u.sock)
	}
	p.polls = socket.Sweep(p.socks, p.polls, func(i int) { p.idle[i].dead = true })
	clear(p.socks)
	keep := p.idle[:0]
	for _, u := range p.idle {
		if u.dead || p.expired(u, now) {
			drop = append(drop, u)
			continue
		}
		keep = append(keep, u)
	}
	clear(p.idle[len(keep):])
	p.idle = keep
	p.leave(len(drop))
	p.mu.Unlock()
	for _, u := range drop {
		u.shut()
	}
}

// close shuts the idle connections and turns the waiting requests away. Busy connections are shut when they come back.
func (p *pool) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.open -= len(idle)
	for p.queue.first != nil {
		w := p.queue.first
		p.queue.remove(w)
		w.turn <- turn{}
	}
	p.mu.Unlock()
	for _, u := range idle {
		u.shut()
	}
}
