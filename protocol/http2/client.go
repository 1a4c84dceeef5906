package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// ClientConfig says how one instance is talked to. Durations of 0 are no limit, unless stated otherwise.
type ClientConfig struct {
	// Address is host:port. A host name is resolved anew for every connection.
	Address string
	// TLS, if not nil, encrypts; without it the client speaks HTTP/2 by prior knowledge (RFC 9113 section 3.3). ServerName
	// defaults to Address's host. The Client makes its own copy.
	TLS *tls.Config

	// MaxConnections bounds the connections; 0 is no bound. One connection is used until the instance's limit of concurrent
	// streams is reached. Requests above all limits wait, first come, first served: at most MaxPending of them (0 is no
	// bound, negative lets none wait), the others get 503 upstream_busy.
	MaxConnections, MaxPending int
	// IdleTimeout ends connections that were without a request for so long, MaxAge stops using connections that were
	// dialled so long ago and closes them when their last request has ended. Sweep acts on both.
	IdleTimeout, MaxAge time.Duration
	// PingInterval is the silence on a connection with requests after which the instance is asked whether it is still
	// there; a connection without an answer within PingTimeout (20 s by default) is given up. Sweep acts on it.
	PingInterval, PingTimeout time.Duration

	// ConnectTimeout bounds dialling with the TLS handshake.
	ConnectTimeout time.Duration
	// ResponseTimeout bounds the wait for the answer's head once the request is sent.
	ResponseTimeout time.Duration
	// BodyIdleTimeout bounds the time in which no octet of a body moves although somebody waits for it, in either
	// direction. gRPC's streams and upgraded connections may be silent for as long as they like.
	BodyIdleTimeout time.Duration

	// PreserveHost sends Request.Authority as ":authority", and Address only when there is none.
	PreserveHost bool
	// MaxHeaderBytes and MaxHeaderCount bound an answer's head; 0 means 64 KB and 256 fields.
	MaxHeaderBytes, MaxHeaderCount int
	// StreamWindow is how many octets of an answer's body are held for a reader that does not take them, 256 KiB by
	// default; ConnWindow is that for all answers of a connection together, 32 MiB by default.
	StreamWindow, ConnWindow int
}

// ClientStats is a moment's view of a Client.
type ClientStats struct {
	Open    int // connections, without those being dialled
	Idle    int // of them, those without a request
	Pending int // requests that wait for a connection
	Streams int // requests that are under way

	Dialled uint64 // connections made
	Retried uint64 // exchanges sent again because the instance had not processed them
}

const (
	defaultMaxHeaderBytes = 64 << 10
	defaultMaxHeaderCount = 256

	// askInterval is how often a wait asks a context that cannot tell by itself whether the client is still there.
	askInterval = int64(time.Second)
	// workerIdle is how long a goroutine for uploads is kept warm.
	workerIdle = int64(10 * time.Second)
)

// Client speaks HTTP/2 to one instance. It is a protocol.Handler.
//
// An exchange runs on the caller's goroutine and allocates nothing; only a request body that is not at hand completely is
// sent by another goroutine, so that both directions move at once. Errors are always *protocol.Error; NotSent tells whether
// the instance can have seen anything of the request: it is true for streams that the instance refused (REFUSED_STREAM) or
// said that it will not look at (GOAWAY).
//
// A request that was not processed is sent again once, on another connection if need be, as long as its body can be
// replayed; so is an idempotent one whose connection broke before the answer (RFC 9113 section 8.7).
type Client struct {
	cfg     ClientConfig
	tls     *tls.Config
	dialer  net.Dialer
	current atomic.Pointer[clientConn] // the connection that is tried first
	pool    pool
	workers workers
	buffers socket.Pool
	bigs    sync.Pool      // of *bigBuffer
	running sync.WaitGroup // dialling and reading goroutines

	limit            atomic.Uint32 // how many streams the instance allowed last; 0 if it has not said
	dialled, retried atomic.Uint64
}

// NewClient returns a Client that connects when it is first needed.
func NewClient(cfg ClientConfig) *Client {
	setDefault(&cfg.MaxHeaderBytes, defaultMaxHeaderBytes)
	setDefault(&cfg.MaxHeaderCount, defaultMaxHeaderCount)
	setDefault(&cfg.StreamWindow, 256<<10)
	setDefault(&cfg.ConnWindow, 32<<20)
	setDefault(&cfg.PingTimeout, 20*time.Second)
	c := &Client{cfg: cfg}
	c.pool.client = c
	c.pool.dials = map[*dial]struct{}{}
	if cfg.TLS != nil {
		c.tls = cfg.TLS.Clone()
		if c.tls.ServerName == "" {
			c.tls.ServerName, _, _ = net.SplitHostPort(cfg.Address)
		}
		c.tls.NextProtos = []string{"h2"}
		if c.tls.ClientSessionCache == nil {
			c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		}
	}
	return c
}

// Serve implements protocol.Handler. The Response is returned as soon as its head is there; its Close ends the stream and
// waits until nobody reads req.Body any more.
func (c *Client) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	if err := c.judge(req); err != nil {
		return nil, err
	}
	for retried := false; ; retried = true {
		s, err := c.begin(ctx, req)
		if err != nil {
			return nil, err
		}
		resp, err := s.exchange(ctx, req)
		if err == nil {
			return resp, nil
		}
		lost := s.lost()
		s.finish()
		var e *protocol.Error
		if retried || !errors.As(err, &e) || !e.NotSent && (!lost || !idempotent(req.Method)) || !req.Replayable() {
			return nil, err
		}
		c.retried.Add(1)
	}
}

// begin puts the request's head on a connection.
func (c *Client) begin(ctx context.Context, req *protocol.Request) (*clientStream, error) {
	path := req.Path
	if req.HasQuery || req.RawQuery != "" {
		path = req.Arena.Concat(path, "?", req.RawQuery)
	}
	if cc := c.current.Load(); cc != nil {
		if s, state := cc.begin(req, path); state == usable {
			return s, nil
		}
	}
	var w *waiter
	for {
		s, err := c.pool.begin(req, path, &w)
		if s != nil || err != nil {
			return s, err
		}
		if err := c.pool.wait(ctx, req, w); err != nil {
			return nil, err
		}
	}
}

// authority is what ":authority" says.
func (c *Client) authority(req *protocol.Request) string {
	if c.cfg.PreserveHost && req.Authority != "" {
		return req.Authority
	}
	return c.cfg.Address
}

// Warm dials a connection if there is none, without waiting for it.
func (c *Client) Warm() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if len(c.pool.conns) == 0 && len(c.pool.dials) == 0 && !c.pool.closed {
		c.pool.startDial()
	}
}

// Sweep ends connections that are idle or old, and asks silent ones whether they still live. The owner calls it every
// second or so; now is protocol.Now's.
func (c *Client) Sweep(now int64) {
	c.pool.sweep(now)
	c.workers.sweep(now - workerIdle)
}

// Close shuts idle connections now and busy ones when their last exchange ends. Serve fails from now on. A second Close
// does nothing.
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
	defer p.mu.Unlock()
	s.Pending = p.queue.n
	for _, list := range [][]*clientConn{p.conns, p.leaving} {
		for _, cc := range list {
			n := cc.count()
			s.Open++
			s.Streams += n
			if n == 0 {
				s.Idle++
			}
		}
	}
	return s
}

// dialConn makes a connection.
func (c *Client) dialConn(ctx context.Context) (*clientConn, error) {
	if t := c.cfg.ConnectTimeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	nc, err := c.dialer.DialContext(ctx, "tcp", c.cfg.Address)
	if err != nil {
		return nil, err
	}
	if c.tls != nil {
		t := tls.Client(nc, c.tls)
		err := t.HandshakeContext(ctx)
		if err == nil && t.ConnectionState().NegotiatedProtocol != "h2" {
			err = errNoALPN
		}
		if err != nil {
			_ = nc.Close()
			return nil, err
		}
		nc = t
	}
	c.dialled.Add(1)
	return newClientConn(c, nc), nil
}
