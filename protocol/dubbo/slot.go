package dubbo

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// slot holds one of a client's connections, or says why there is none.
type slot struct {
	conn atomic.Pointer[conn]

	mu sync.Mutex
	// dialing is set while a dial is in progress.
	dialing *dialing
	// failures counts dials, or connections that never said a word, in a row. No dial before retryAt, on protocol.Now's
	// clock; until then lastErr is the answer.
	failures int
	retryAt  int64
	lastErr  error
}

// dialing is one dial, for all who wait for it.
type dialing struct {
	done chan struct{}
	conn *conn
	err  error
}

// The pause after a failed dial doubles from first to most. It is short, because the balancer decides whether a broken
// instance is tried at all; it only keeps a crowd of calls from turning into a crowd of dials.
const (
	firstPause = 50 * time.Millisecond
	mostPause  = 2 * time.Second
)

// connection returns a connection that was usable a moment ago, and dials if there is none.
func (c *Client) connection(ctx context.Context, deadline int64) (*conn, error) {
	s := &c.slots[0]
	if len(c.slots) > 1 {
		s = &c.slots[c.turn.Add(1)%uint32(len(c.slots))]
	}
	if conn := s.conn.Load(); conn != nil && !conn.broken.Load() {
		return conn, nil
	}
	d, err := c.dial(s)
	if err != nil {
		return nil, connectError(err)
	}
	var expired <-chan time.Time
	if deadline != 0 {
		timer := time.NewTimer(time.Duration(deadline - protocol.Now()))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-d.done:
		if d.err != nil {
			return nil, connectError(d.err)
		}
		return d.conn, nil
	case <-expired:
		e := timeoutError(errSilent)
		e.Message, e.NotSent = "no connection to the provider could be made in time", true
		return nil, e
	case <-ctx.Done():
		return nil, goneError(context.Cause(ctx))
	}
}

// dial joins the dial in progress or starts one.
func (c *Client) dial(s *slot) (*dialing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialing != nil {
		return s.dialing, nil
	}
	d := &dialing{done: make(chan struct{})}
	if conn := s.conn.Load(); conn != nil && !conn.broken.Load() {
		d.conn = conn
		close(d.done)
		return d, nil
	}
	if c.ctx.Err() != nil {
		return nil, errClientClosed // Close has looked at this slot, or is about to
	}
	if s.retryAt != 0 && protocol.Now() < s.retryAt {
		return nil, s.lastErr
	}
	s.dialing = d
	c.tasks.Go(func() { c.connect(s, d) })
	return d, nil
}

func (c *Client) connect(s *slot, d *dialing) {
	defer close(d.done)
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.ConnectTimeout)
	defer cancel()
	nc, err := c.cfg.Dial(ctx, "tcp", c.cfg.Address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialing = nil
	if err != nil {
		d.err = err
		s.failed(err)
		c.cfg.Logger.Debug("cannot connect to provider", "error", err)
		return
	}
	d.conn = startConn(nc, connConfig{
		target:     target{group: c.cfg.Group, version: c.cfg.Version, path: c.cfg.Path},
		maxRequest: c.cfg.MaxRequest,
		maxAnswer:  c.cfg.MaxAnswer,
		heartbeat:  c.cfg.Heartbeat,
		logger:     c.cfg.Logger,
		late:       &c.late,
		drain:      c.drain,
		ended:      func(conn *conn, err error) { c.ended(s, conn, err) },
	})
	s.conn.Store(d.conn)
	c.tasks.Go(d.conn.wait)
}

// failed sets the pause before the next dial. s.mu is held.
func (s *slot) failed(err error) {
	s.lastErr = err
	pause := min(mostPause, firstPause<<min(s.failures, 10))
	s.failures++
	s.retryAt = protocol.Now() + int64(pause/2+rand.N(pause/2+1))
}

// ended is called when a connection of s has broken or was closed.
func (c *Client) ended(s *slot, conn *conn, err error) {
	// connect holds the mutex until the connection is in its slot, however quickly that broke.
	s.mu.Lock()
	s.conn.CompareAndSwap(conn, nil)
	if conn.heard.Load() {
		s.failures, s.retryAt = 0, 0
	} else {
		s.failed(err)
	}
	s.mu.Unlock()
	if !c.closing.Load() {
		c.cfg.Logger.Debug("connection to provider ended", "error", err)
	}
	c.drain(conn, false)
}

// drain notes what a connection says of its provider. The instance drains while any of its connections does.
func (c *Client) drain(conn *conn, draining bool) {
	c.drainMu.Lock()
	defer c.drainMu.Unlock()
	before := len(c.draining)
	if draining && !conn.broken.Load() {
		c.draining[conn] = struct{}{}
	} else {
		delete(c.draining, conn)
	}
	after := len(c.draining)
	if (before == 0) != (after == 0) {
		c.cfg.Logger.Info("provider announced", "draining", after != 0)
		if c.cfg.OnDrain != nil {
			c.cfg.OnDrain(after != 0)
		}
	}
}

// Close takes no further calls, lets those in flight end, which their deadlines make them do, and closes the connections
// when the last has, or when ctx ends. It returns when nothing of the client runs any more.
func (c *Client) Close(ctx context.Context) error {
	c.closing.Store(true)
	var err error
	for c.inFlight.Load() > 0 && err == nil {
		select {
		case <-c.idle:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	c.cancel()
	for i := range c.slots {
		s := &c.slots[i]
		s.mu.Lock()
		d := s.dialing
		s.mu.Unlock()
		if d != nil {
			<-d.done
		}
		if conn := s.conn.Load(); conn != nil {
			conn.fail(errClientClosed)
		}
	}
	c.tasks.Wait()
	return err
}
