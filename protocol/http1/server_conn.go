package http1

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// parkAfter is how long a connection waits with a goroutine before it is parked. Clients that come back within it never
// pay for a goroutine's start.
const parkAfter = time.Second

// Bounds of what is read and thrown away so that a connection can be used again, or closed without destroying the answer
// on its way.
const (
	drainBytes = 256 << 10
	drainTime  = 2 * time.Second
)

// conn is one client connection. It is kept small: there may be a hundred thousand idle ones.
type conn struct {
	srv  *Server
	sock socket.Conn
	in   stream
	tls  *tls.ConnectionState

	fresh   bool        // no request has come yet
	waiting atomic.Bool // for a request: Shutdown may interrupt

	prev, next *conn
}

// Socket implements socket.Parked.
func (c *conn) Socket() *socket.Conn { return &c.sock }

// Wake implements socket.Parked.
func (c *conn) Wake() { go c.serve() }

// Expire implements socket.Parked.
func (c *conn) Expire() { c.close() }

// close ends the connection.
func (c *conn) close() {
	c.in.abandon()
	_ = c.sock.Close()
	c.srv.remove(c)
}

// serve answers requests until the connection ends or is parked.
func (c *conn) serve() {
	if t, ok := c.sock.NetConn().(*tls.Conn); ok && c.tls == nil && !c.handshake(t) {
		c.close()
		return
	}
	if cfg := c.srv.settings.Load(); c.fresh && c.tls != nil && c.http2(cfg) {
		c.handOver(cfg) // before it says anything
		return
	}
	for {
		switch c.await() {
		case awaitParked:
			return
		case awaitEnded:
			c.close()
			return
		}
		if c.fresh {
			if cfg := c.srv.settings.Load(); c.tls == nil && c.http2(cfg) {
				c.handOver(cfg)
				return
			}
		}
		c.fresh = false
		x := c.srv.newExchange(c)
		again, linger := x.run()
		c.srv.endExchange(x)
		if !again {
			if linger || c.in.buffered() > 0 || c.sock.Peek() == socket.Data {
				c.linger()
			}
			c.close()
			return
		}
		c.in.release()
	}
}

func (c *conn) handshake(t *tls.Conn) bool {
	cfg := c.srv.settings.Load()
	if d := cfg.Timeouts.Header; d > 0 {
		_ = t.SetDeadline(time.Now().Add(d)) // fails on a closed connection only, as the handshake will
	}
	err := t.Handshake()
	if err != nil {
		cfg.Logger.Debug("TLS handshake failed", "listener", cfg.Name, "peer", c.sock.Peer(), "error", err)
		return false
	}
	_ = t.SetDeadline(time.Time{})
	state := t.ConnectionState()
	c.tls = &state
	return true
}

type awaited uint8

const (
	awaitRequest awaited = iota
	awaitParked
	awaitEnded
)

// await waits for the first byte of a request.
func (c *conn) await() awaited {
	if c.in.buffered() > 0 {
		return awaitRequest // pipelined
	}
	cfg := c.srv.settings.Load()
	idle := cfg.Timeouts.Idle
	if c.fresh {
		idle = cfg.Timeouts.Header
	}
	step := parkAfter
	if c.srv.parker == nil || !c.sock.Parkable() || idle > 0 && idle < step {
		step = idle
	}
	c.waiting.Store(true)
	for {
		if c.srv.draining.Load() {
			return awaitEnded
		}
		_, err := c.in.fillHead(socket.Small, socket.Within(max(step, 0)))
		switch {
		case err == nil:
			c.waiting.Store(false)
			return awaitRequest
		case errors.Is(err, socket.ErrInterrupted):
			c.sock.Resume()
			continue
		case !errors.Is(err, socket.ErrTimeout) || step == idle:
			return awaitEnded
		}
		until := int64(0)
		if idle > 0 {
			until = protocol.Now() + int64(idle-step)
		}
		// From here on c may be in other hands.
		if c.srv.parker.Park(c, until) {
			return awaitParked
		}
		step = idle // refused: once more, with a goroutine
	}
}

// linger lets the client read the last answer: closing while unread bytes lie in the socket would reset the connection and
// destroy what is on its way (RFC 9112 section 9.6).
func (c *conn) linger() {
	if c.sock.CloseWrite() != nil {
		return
	}
	c.sock.Resume()
	limit := socket.Limit{Until: protocol.Now() + int64(drainTime)}
	for {
		b, _, err := c.sock.ReadBuffer(&c.srv.buffers, socket.Medium, 0, limit)
		if err != nil {
			if errors.Is(err, socket.ErrInterrupted) {
				c.sock.Resume()
				continue
			}
			return
		}
		b.Release()
	}
}
