package dubbo

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// ClientConfig says how one instance is reached. The zero value of every field but Address is usable.
type ClientConfig struct {
	// Address is host:port.
	Address string
	// Group, Version and Path are what this instance exports: they stand in where an Invocation asks for Any, and Path
	// where the service's path differs from its interface.
	Group, Version, Path string
	// ConnectTimeout bounds a dial. Default 3 s.
	ConnectTimeout time.Duration
	// Heartbeat is the silence after which a heartbeat is sent; three without an answer end the connection. Default 60 s:
	// providers close connections that are silent for 180.
	Heartbeat time.Duration
	// MaxPending bounds the calls in flight; further ones fail at once. Default 1024.
	MaxPending int
	// Connections is how many connections calls are spread over. Default 1: a connection carries any number of calls.
	Connections int
	// MaxRequest and MaxAnswer bound the encoded call and its answer. Default 8 MiB, which is the limit of providers; a 2.7
	// provider never answers on a connection again after a longer request.
	MaxRequest, MaxAnswer int
	// OnDrain, if not nil, is told when the provider announces its stop, and when the instance may be used as before. It is
	// called from the connection's reader and must return quickly.
	OnDrain func(draining bool)
	// Dial, if not nil, replaces the plain TCP dial.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger; nil discards.
	Logger *slog.Logger
}

func (cfg *ClientConfig) setDefaults() {
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = 3 * time.Second
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = time.Minute
	}
	if cfg.MaxPending <= 0 {
		cfg.MaxPending = 1024
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 1
	}
	if cfg.MaxRequest <= 0 {
		cfg.MaxRequest = 8 << 20
	}
	if cfg.MaxAnswer <= 0 {
		cfg.MaxAnswer = 8 << 20
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With("instance", cfg.Address)
}

// Client calls one instance. It implements protocol.Handler for requests whose Call is an *Invocation, dials when the first
// of them comes, and is safe for concurrent use.
type Client struct {
	cfg   ClientConfig
	slots []slot
	turn  atomic.Uint32
	calls calls
	// answers pools the bodies of responses.
	answers answers

	inFlight atomic.Int64
	late     atomic.Uint64

	closing atomic.Bool
	// idle gets a token when the last call leaves a closing client.
	idle chan struct{}
	// ctx ends when dials in progress are given up, at the end of Close.
	ctx    context.Context //nolint:containedctx // the lifetime of the client's own goroutines, not of a request
	cancel context.CancelFunc
	// tasks are dials in progress, and connections until their end.
	tasks sync.WaitGroup

	drainMu sync.Mutex
	// draining are the connections whose provider has announced its stop.
	draining map[*conn]struct{}
}

// NewClient returns a client that has not dialled yet. Close it.
func NewClient(cfg ClientConfig) *Client {
	cfg.setDefaults()
	c := &Client{cfg: cfg, slots: make([]slot, cfg.Connections), idle: make(chan struct{}, 1), draining: map[*conn]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Serve implements protocol.Handler.
func (c *Client) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	inv, ok := req.Call.(*Invocation)
	if !ok {
		return nil, &protocol.Error{Status: 500, Code: protocol.CodeInternal, Message: "the route leads to a Dubbo instance without saying which method to call", NotSent: true}
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	cl := c.calls.get()
	defer c.calls.put(cl)
	if err := c.exchange(ctx, cl, inv, req.Deadline); err != nil {
		return nil, err
	}
	return c.respond(req, cl, inv)
}

// Call sends inv and returns the answer's JSON, for callers that have no HTTP exchange.
func (c *Client) Call(ctx context.Context, inv *Invocation) ([]byte, error) {
	req := &protocol.Request{Call: inv}
	if deadline, ok := ctx.Deadline(); ok {
		req.NarrowDeadline(int64(time.Until(deadline)))
	}
	resp, err := c.Serve(ctx, req)
	if err != nil {
		return nil, err
	}
	body, err := protocol.ReadAll(nil, resp.Body, math.MaxInt64)
	if cerr := resp.Close(); err == nil {
		err = cerr
	}
	return body, err
}

// Pending is the number of calls in flight.
func (c *Client) Pending() int { return int(c.inFlight.Load()) }

// Late is how many answers arrived after their call had been given up.
func (c *Client) Late() uint64 { return c.late.Load() }

// enter counts a call in, before it looks at closing: so either it sees that the client closes, or Close sees the call.
func (c *Client) enter() error {
	n := c.inFlight.Add(1)
	switch {
	case c.closing.Load():
		c.leave()
		return connectError(errClientClosed)
	case n > int64(c.cfg.MaxPending):
		c.leave()
		return overloadedError(errTooManyCalls)
	}
	return nil
}

func (c *Client) leave() {
	if c.inFlight.Add(-1) == 0 && c.closing.Load() {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// exchange sends inv and waits until cl holds the answer's frame. When it returns no connection knows cl any more.
func (c *Client) exchange(ctx context.Context, cl *call, inv *Invocation, deadline int64) error {
	for again := true; ; again = false {
		conn, err := c.connection(ctx, deadline)
		if err != nil {
			return err
		}
		timeout := int64(0)
		if deadline != 0 {
			left := deadline - protocol.Now()
			if left <= 0 {
				e := timeoutError(errSilent)
				e.NotSent = true
				return e
			}
			timeout = max(1, left/int64(time.Millisecond))
		}
		err = conn.send(cl, inv, timeout)
		switch {
		case err == nil:
			return await(ctx, conn, cl, deadline)
		case errors.Is(err, errClosed) && again:
			// It broke between the two calls. Its slot is empty by now, or about to be.
		case errors.Is(err, errClosed):
			return resetError(err, true)
		case errors.Is(err, errBacklog):
			return overloadedError(err)
		default:
			return err
		}
	}
}

// patience is how long a call waits before it asks to be woken up when its client leaves. Asking costs the exchange its
// place in the listener's pool, so calls that are answered quickly never do.
const patience = 250 * time.Millisecond

// await blocks until the call is done, the deadline has passed, or the client is gone. The deadline is this side's business
// alone: providers neither stop at a timeout nor answer at it.
func await(ctx context.Context, conn *conn, cl *call, deadline int64) error {
	wait := patience
	if deadline != 0 {
		wait = min(wait, time.Duration(deadline-protocol.Now()))
	}
	cl.timer.Reset(wait)
	var gone <-chan struct{}
	for {
		select {
		case <-cl.done:
			cl.timer.Stop()
			return outcome(cl)
		case <-cl.timer.C:
			if deadline != 0 {
				left := time.Duration(deadline - protocol.Now())
				if left <= 0 {
					return giveUp(conn, cl, timeoutError(errSilent))
				}
				cl.timer.Reset(left)
			}
			gone = ctx.Done()
		case <-gone:
			cl.timer.Stop()
			return giveUp(conn, cl, goneError(context.Cause(ctx)))
		}
	}
}

// giveUp takes the call back, with err as its outcome, unless its answer is arriving this very moment.
func giveUp(conn *conn, cl *call, err error) error {
	if conn.pending.take(cl.id) != nil {
		return err
	}
	<-cl.done
	return outcome(cl)
}

func outcome(cl *call) error {
	switch {
	case cl.err == nil:
		return nil
	case errors.Is(cl.err, errAnswerTooLong):
		e := invalidAnswer(cl.err)
		e.Message = "the provider's answer is larger than the gateway allows"
		return e
	}
	return resetError(cl.err, cl.notSent)
}
