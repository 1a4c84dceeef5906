package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options are what a connection begins with.
type Options struct {
	// SessionTimeout is asked of the server, which may bound it. A server that is silent for two thirds of what it granted
	// is given up.
	SessionTimeout time.Duration
	// LastZxid is the newest transaction seen on earlier connections: a server that is behind it refuses the handshake. 0
	// asks for nothing.
	LastZxid int64
	// Digest is user:password for the digest scheme, or nil.
	Digest []byte
	// OnEvent takes the events of watches, before any answer that came after them. It is called on the connection's own
	// goroutine and must not wait.
	OnEvent func(Event)
}

// Conn is a connection with its session. Its methods may be called by several goroutines; requests are sent without
// waiting for each other's answers.
type Conn struct {
	raw     net.Conn
	onEvent func(Event)
	// Timeout is the session's, as the server granted it.
	Timeout time.Duration
	// Session is the session's number.
	Session int64

	zxid atomic.Int64 // the newest transaction seen
	wake chan struct{}
	done chan struct{} // closed when the connection is over
	run  sync.WaitGroup

	mu      sync.Mutex
	out     []byte // requests not yet written
	pending []*call
	auth    *call // the authentication under way
	xid     int32
	err     error // why it is over
}

// call is a request that waits for its answer.
type call struct {
	xid  int32
	done chan struct{}
	body []byte
	err  error
}

// Open makes the handshake on a new connection, which it owns from now on, and authenticates. It must be over when ctx
// is, and ctx has nothing to do with the connection afterwards.
func Open(ctx context.Context, raw net.Conn, opts Options) (*Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := &Conn{raw: raw, onEvent: opts.OnEvent, wake: make(chan struct{}, 1), done: make(chan struct{})}
	p := &patient{raw: raw}
	r := bufio.NewReaderSize(p, 64<<10)
	if err := c.greet(r, opts); err != nil {
		_ = raw.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) { // which is the context's, perhaps a moment early
			<-ctx.Done()
			err = context.Cause(ctx)
		}
		return nil, err
	}
	if !stop() { // the deadline of a dead context may still be set
		_ = raw.Close()
		return nil, context.Cause(ctx)
	}
	_ = raw.SetDeadline(time.Time{})
	p.limit = c.Timeout * 2 / 3
	c.run.Go(func() { c.read(r) })
	c.run.Go(c.write)
	if opts.Digest != nil {
		if err := c.authenticate(ctx, "digest", opts.Digest); err != nil {
			c.end(err)
			c.run.Wait()
			return nil, fmt.Errorf("authenticate: %w", err)
		}
	}
	return c, nil
}

func (c *Conn) greet(r *bufio.Reader, opts Options) error {
	var e encoder
	e.int32(0) // length, set below
	e.int32(0) // version
	e.int64(opts.LastZxid)
	e.int32(int32(opts.SessionTimeout.Milliseconds()))
	e.int64(0) // a new session
	e.buffer(make([]byte, 16))
	e.bool(false) // a server without quorum is of no use
	seal(e.b, 0)
	if _, err := c.raw.Write(e.b); err != nil {
		if hungUp(err) {
			return ErrRefused
		}
		return fmt.Errorf("send the handshake: %w", err)
	}
	frame, err := readFrame(r, replyHeader, maxHandshake)
	switch {
	case errors.Is(err, io.EOF), hungUp(err):
		return ErrRefused
	case err != nil:
		return fmt.Errorf("read the handshake: %w", err)
	}
	d := decoder{b: frame}
	_ = d.int32() // version
	c.Timeout = time.Duration(d.int32()) * time.Millisecond
	c.Session = d.int64()
	_ = d.buffer() // the session's password, of no use without resuming it
	if d.err != nil {
		return fmt.Errorf("read the handshake: %w", d.err)
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("read the handshake: %w", ErrExpired)
	}
	return nil
}

// Done is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is why the connection is over; nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Zxid is the newest transaction that the server has told of.
func (c *Conn) Zxid() int64 { return c.zxid.Load() }

// Close ends the session, so that its ephemeral nodes go at once, and waits until everything of the connection is gone.
// At most a second is spent on a server that does not answer.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = c.call(ctx, opClose, nil)
	c.end(net.ErrClosed)
	c.run.Wait()
}

// Abort ends the connection at once and waits; the session lives on at the server until its timeout.
func (c *Conn) Abort() {
	c.end(net.ErrClosed)
	c.run.Wait()
}

// end makes the connection over, for the first reason given.
func (c *Conn) end(why error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = why
	}
	pending, auth := c.pending, c.auth
	c.pending, c.auth = nil, nil
	c.mu.Unlock()
	if !first {
		return
	}
	_ = c.raw.Close()
	if auth != nil {
		pending = append(pending, auth)
	}
	for _, p := range pending {
		p.err = ErrLost
		close(p.done)
	}
	close(c.done)
}

// call sends a request and waits for its answer, of which it returns what follows the header.
func (c *Conn) call(ctx context.Context, op int32, body func(*encoder)) ([]byte, error) {
	p := &call{done: make(chan struct{})}
	if err := c.send(p, op, body); err != nil {
		return nil, err
	}
	select {
	case <-p.done:
		return p.body, p.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// send puts a request into the line.
func (c *Conn) send(p *call, op int32, body func(*encoder)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return ErrLost
	}
	if op == opAuth {
		p.xid, c.auth = xidAuth, p
	} else {
		c.xid = max(c.xid+1, 1)
		p.xid = c.xid
		c.pending = append(c.pending, p)
	}
	c.enqueue(p.xid, op, body)
	return nil
}

// enqueue writes a request behind those that wait. The mutex is held.
func (c *Conn) enqueue(xid, op int32, body func(*encoder)) {
	at := len(c.out)
	e := encoder{c.out}
	e.int32(0)
	e.int32(xid)
	e.int32(op)
	if body != nil {
		body(&e)
	}
	seal(e.b, at)
	c.out = e.b
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write sends what waits, and pings when there is nothing to say.
func (c *Conn) write() {
	tick := time.NewTicker(c.Timeout / 3)
	defer tick.Stop()
	var spare []byte
	for {
		select {
		case <-c.wake:
		case <-tick.C:
			c.mu.Lock()
			c.enqueue(xidPing, opPing, nil)
			c.mu.Unlock()
			continue // the wake that this caused
		case <-c.done:
			return
		}
		c.mu.Lock()
		out := c.out
		c.out = spare[:0]
		c.mu.Unlock()
		if len(out) == 0 {
			spare = out
			continue
		}
		_ = c.raw.SetWriteDeadline(time.Now().Add(c.Timeout * 2 / 3))
		if _, err := c.raw.Write(out); err != nil {
			c.end(fmt.Errorf("write: %w", c.plain(err)))
			return
		}
		if spare = out; cap(spare) > 1<<20 {
			spare = nil
		}
	}
}

// patient reads with a deadline that moves with every piece that comes, once it has a limit.
type patient struct {
	raw   net.Conn
	limit time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	if p.limit > 0 {
		_ = p.raw.SetReadDeadline(time.Now().Add(p.limit))
	}
	return p.raw.Read(b)
}

// read hands out answers and events until the connection is over.
func (c *Conn) read(r *bufio.Reader) {
	for {
		frame, err := readFrame(r, replyHeader, MaxFrame)
		if err == nil {
			err = c.take(frame)
		}
		if err != nil {
			c.end(c.plain(err))
			return
		}
	}
}

// plain says in words what people on call see most.
func (c *Conn) plain(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v", c.Timeout*2/3)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed the connection")
	}
	return err
}

// take handles one answer.
func (c *Conn) take(frame []byte) error {
	d := decoder{b: frame}
	xid, zxid, code := d.int32(), d.int64(), d.int32()
	if zxid > 0 {
		c.zxid.Store(zxid)
	}
	switch xid {
	case xidEvent:
		e := Event{Type: EventType(d.int32())}
		_ = d.int32() // the session's state, which the connection itself tells
		e.Path = d.string()
		if d.err != nil {
			return fmt.Errorf("read an event: %w", d.err)
		}
		if c.onEvent != nil && e.Type > 0 {
			c.onEvent(e)
		}
		return nil
	case xidPing:
		return nil
	}
	c.mu.Lock()
	var p *call
	if xid == xidAuth {
		p, c.auth = c.auth, nil
	} else if len(c.pending) > 0 && c.pending[0].xid == xid {
		p = c.pending[0]
		c.pending[0] = nil
		if c.pending = c.pending[1:]; len(c.pending) == 0 {
			c.pending = nil
		}
	}
	c.mu.Unlock()
	if p == nil {
		return fmt.Errorf("an answer to request %d, which was not asked", xid)
	}
	p.body, p.err = d.b, failure(code)
	close(p.done)
	return nil
}

// hungUp reports whether the server closed the connection with our bytes unread, which is a reset.
func hungUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
