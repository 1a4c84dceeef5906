package http1

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// ClientConfig says how one instance is talked to. Durations of 0 are no limit, unless stated otherwise.
type ClientConfig struct {
	// Address is host:port. A host name is resolved anew for every connection.
	Address string
	// TLS, if not nil, encrypts. ServerName defaults to Address's host. The Client makes its own copy.
	TLS *tls.Config

	// MaxConnections bounds the connections, idle and busy together; 0 is no bound. Requests above it wait, first come,
	// first served: at most MaxPending of them (0 is no bound, negative lets none wait), the others get 503 upstream_busy.
	MaxConnections, MaxPending int
	// IdleTimeout and MaxAge end connections that were idle for so long, or were dialled so long ago. Shorter ones that the
	// instance announces in Keep-Alive are obeyed. Sweep acts on them, and so does every request.
	IdleTimeout, MaxAge time.Duration

	// ConnectTimeout bounds dialling with the TLS handshake.
	ConnectTimeout time.Duration
	// ResponseTimeout bounds the wait for the answer's head once the request is sent.
	ResponseTimeout time.Duration
	// BodyIdleTimeout bounds the time in which no byte of a body moves, in either direction. Upgraded connections may be
	// silent for as long as they like.
	BodyIdleTimeout time.Duration

	// PreserveHost sends Request.Authority as Host, and Address only when there is none.
	PreserveHost bool
	// MaxHeaderBytes and MaxHeaderCount bound an answer's head; 0 means 64 KB and 256 fields.
	MaxHeaderBytes, MaxHeaderCount int
}

// ClientStats is a moment's view of a Client.
type ClientStats struct {
	Open    int // connections, also those being dialled
	Idle    int // of them, those that wait for a request
	Pending int // requests that wait for a connection

	Dialled uint64 // connections made
	Reused  uint64 // exchanges begun on a connection that had served before
	Retried uint64 // exchanges sent again because such a connection turned out to be closed
}

const (
	defaultMaxHeaderBytes = 64 << 10
	defaultMaxHeaderCount = 256

	// wakeInterval is how often a wait looks at whether the client is still there.
	wakeInterval = time.Second
	// drainLimit is how much of an answer that nobody wants is read to save its connection.
	drainLimit = 64 << 10
	// inlineLimit is how much of a request's body is sent before the answer is read, if it is there already.
	inlineLimit = 64 << 10
	// workerIdle is how long a goroutine for uploads is kept warm.
	workerIdle = int64(10 * time.Second)
)

// Client speaks HTTP/1.1 to one instance over a pool of connections. It is a protocol.Handler.
//
// An exchange runs on the caller's goroutine and allocates nothing; only a request body that is not at hand completely is
// sent by another goroutine, so that an early answer is seen while it is under way. Errors are always *protocol.Error;
// NotSent tells whether the instance can have seen anything of the request.
//
// A connection that turns out to be closed when it is used again costs a retry on a fresh one and not the request:
// always, if that shows before anything was sent; for idempotent requests that can be replayed, if it shows before the
// first byte of an answer (RFC 9112 section 9.3.1).
type Client struct {
	cfg     ClientConfig
	tls     *tls.Config
	dialer  net.Dialer
	pool    pool
	workers workers
	buffers socket.Pool
	splicer socket.Splicer

	dialled, retried atomic.Uint64
}

// NewClient returns a Client that connects when it is first needed.
func NewClient(cfg ClientConfig) *Client {
	if cfg.MaxHeaderBytes <= 0 {
		cfg.MaxHeaderBytes = defaultMaxHeaderBytes
	}
	if cfg.MaxHeaderCount <= 0 {
		cfg.MaxHeaderCount = defaultMaxHeaderCount
	}
	c := &Client{cfg: cfg}
	c.pool.init(c)
	if cfg.TLS != nil {
		c.tls = cfg.TLS.Clone()
		if c.tls.ServerName == "" {
			c.tls.ServerName, _, _ = net.SplitHostPort(cfg.Address)
		}
		if c.tls.NextProtos == nil {
			c.tls.NextProtos = []string{"http/1.1"}
		}
		if c.tls.ClientSessionCache == nil {
			c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		}
	}
	return c
}

// Serve implements protocol.Handler. The Response is returned as soon as its head is there; its Close gives the
// connection back and waits until nobody reads req.Body any more.
func (c *Client) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	retried := false
	for {
		u, err := c.connection(ctx, req, retried)
		if err != nil {
			return nil, err
		}
		outcome, err := u.begin(ctx, req)
		switch outcome {
		case answered:
			return u.resp, nil
		case refused:
			// Nothing of the request was touched. This ends, because every round uses up an idle connection.
			u.abort()
			continue
		case unsent:
			u.abort()
			if u.used && req.Replayable() {
				continue
			}
		case stale:
			u.abort()
			if !retried && idempotent(req.Method) && req.Replayable() {
				retried = true
				c.retried.Add(1)
				continue
			}
		case failed:
			u.abort()
		}
		return nil, err
	}
}

// connection takes an idle connection or dials one. fresh asks for one that has not been used before.
func (c *Client) connection(ctx context.Context, req *protocol.Request, fresh bool) (*upstreamConn, error) {
	u, err := c.pool.take(ctx, req, fresh)
	if u != nil || err != nil {
		return u, err
	}
	u, err = c.dial(req)
	if err != nil {
		c.pool.forgo()
		return nil, err
	}
	return u, nil
}

// dial makes a connection. It derives no context and runs on the caller's goroutine, so that a client that leaves
// meanwhile is noticed only when it is over; ConnectTimeout bounds that.
func (c *Client) dial(req *protocol.Request) (*upstreamConn, error) {
	now := protocol.Now()
	by := req.Deadline
	if t := int64(c.cfg.ConnectTimeout); t > 0 && (by == 0 || now+t < by) {
		by = now + t
	}
	d := c.dialer
	if by != 0 {
		if by <= now {
			return nil, c.timeout("connect", true, errNoConnection)
		}
		d.Deadline = time.Now().Add(time.Duration(by - now))
	}
	nc, err := d.DialContext(context.Background(), "tcp", c.cfg.Address)
	if err == nil && c.tls != nil {
		nc, err = c.handshake(nc, d.Deadline)
	}
	if err != nil {
		if by != 0 && protocol.Now() >= by {
			return nil, c.timeout("connect", true, err)
		}
		return nil, c.connectFailure(err)
	}
	c.dialled.Add(1)
	return newUpstreamConn(c, nc), nil
}

func (c *Client) handshake(nc net.Conn, deadline time.Time) (net.Conn, error) {
	if err := nc.SetDeadline(deadline); err != nil {
		nc.Close()
		return nil, err
	}
	t := tls.Client(nc, c.tls)
	if err := t.HandshakeContext(context.Background()); err != nil {
		nc.Close()
		return nil, err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		nc.Close()
		return nil, err
	}
	return t, nil
}

// host is what the Host field says.
func (c *Client) host(req *protocol.Request) string {
	if c.cfg.PreserveHost && req.Authority != "" {
		return req.Authority
	}
	return c.cfg.Address
}

// Sweep drops idle connections that are too old or that the instance closed. The owner calls it every second or so;
// now is protocol.Now's.
func (c *Client) Sweep(now int64) {
	c.pool.sweep(now)
	c.workers.sweep(now - workerIdle)
}

// Close shuts idle connections now and busy ones when their exchange ends. Serve fails from now on. A second Close does
// nothing.
func (c *Client) Close() error {
	c.pool.close()
	c.workers.close()
	return nil
}

// Stats tells how the Client is doing.
func (c *Client) Stats() ClientStats {
	s := ClientStats{Dialled: c.dialled.Load(), Retried: c.retried.Load()}
	p := &c.pool
	p.mu.Lock()
	s.Open, s.Idle, s.Pending, s.Reused = p.open, len(p.idle), p.queue.n, p.reused
	p.mu.Unlock()
	return s
}
