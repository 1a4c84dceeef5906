package dubbo

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// connConfig is what a connection needs to know of its client.
type connConfig struct {
	target                target
	maxRequest, maxAnswer int
	heartbeat             time.Duration
	logger                *slog.Logger
	// drain is told that the provider stops, or takes calls again.
	drain func(c *conn, draining bool)
	// late counts answers that nobody waited for any more.
	late *atomic.Uint64
	// ended is told once, after the last pending call has failed.
	ended func(c *conn, err error)
}

// conn is one multiplexed connection. Its reader goroutine and its heartbeat end with it; wait waits for both.
type conn struct {
	nc  net.Conn
	w   writer
	cfg connConfig

	mu  sync.Mutex
	out output
	err error // why the connection ended; nil while it is usable

	pending *pending
	nextID  atomic.Uint64
	// lastRead is when something arrived last, on protocol.Now's clock.
	lastRead atomic.Int64
	// heard is true once a whole frame has arrived: what listens there speaks Dubbo.
	heard atomic.Bool
	// broken is err != nil, for those who do not hold mu.
	broken atomic.Bool

	tasks sync.WaitGroup
	stop  chan struct{}
}

// start begins to read. nc belongs to the connection from now on.
func startConn(nc net.Conn, cfg connConfig) *conn {
	c := &conn{nc: nc, cfg: cfg, pending: newPending(), stop: make(chan struct{})}
	c.w.init(nc)
	c.lastRead.Store(protocol.Now())
	c.tasks.Go(c.read)
	c.tasks.Go(c.beat)
	return c
}

// wait returns when everything that runs for the connection has ended, which fail makes it do.
func (c *conn) wait() { c.tasks.Wait() }

// fail ends the connection, once. Every pending call fails with err; whether it may have run depends on how far writing got.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	c.broken.Store(true)
	handed := c.out.handed
	c.out.buf, c.out.spare = nil, nil
	close(c.stop)
	c.mu.Unlock()

	_ = c.nc.Close() // what it could say is less than err
	for _, cl := range c.pending.takeAll() {
		cl.err, cl.notSent = err, cl.start >= handed
		cl.done <- struct{}{}
	}
	c.cfg.ended(c, err)
}

// read is the reader goroutine.
func (c *conn) read() {
	fr := frame.NewReader(stampingReader{c}, c.cfg.maxAnswer)
	for {
		f, err := fr.Next()
		if err != nil {
			c.fail(err)
			return
		}
		c.heard.Store(true)
		switch {
		case f.IsEvent():
			c.event(f)
		case f.IsRequest():
			// Providers call back only clients that exported a callback, which this one never does.
			c.cfg.logger.Debug("provider sent a request to its client; dropped", "id", f.ID)
		default:
			c.answer(fr, f)
		}
	}
}

// stampingReader notes when something arrives.
type stampingReader struct{ c *conn }

func (r stampingReader) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	if n > 0 {
		r.c.lastRead.Store(protocol.Now())
	}
	return n, err
}

// answer hands a frame to the call that waits for it.
func (c *conn) answer(fr *frame.Reader, f frame.Frame) {
	cl := c.pending.take(f.ID)
	if cl == nil {
		c.cfg.late.Add(1)
		return
	}
	cl.header = f.Header
	switch {
	case f.TooLong:
		cl.err = fmt.Errorf("%w: %d bytes", errAnswerTooLong, f.Length)
	case f.Own:
		cl.body, f.Body = f.Body, cl.body
		fr.Swap(f.Body)
	default:
		cl.body = append(cl.body[:0], f.Body...)
	}
	cl.done <- struct{}{}
}

// event handles what the provider says about the connection itself.
func (c *conn) event(f frame.Frame) {
	switch {
	case !f.IsRequest():
		// The answer to a heartbeat: that it arrived is all it says.
	case string(f.Body) == frame.ReadOnly:
		c.cfg.drain(c, true)
	case string(f.Body) == frame.Writeable:
		c.cfg.drain(c, false)
	case f.IsTwoWay():
		c.sendFrame(frame.AppendHeartbeatAnswer(nil, f.Serialization(), f.ID))
	}
}

// heartbeatMisses is how many heartbeats in a row may stay without any sign of life.
const heartbeatMisses = 3

// beat sends a heartbeat whenever nothing has arrived for an interval. Providers close what is silent for three minutes and
// send none themselves.
func (c *conn) beat() {
	timer := time.NewTimer(c.cfg.heartbeat)
	defer timer.Stop()
	misses, last := 0, c.lastRead.Load()
	for {
		select {
		case <-c.stop:
			return
		case <-timer.C:
		}
		if read := c.lastRead.Load(); read != last {
			misses, last = 0, read
		}
		if silent := time.Duration(protocol.Now() - last); silent < c.cfg.heartbeat {
			timer.Reset(c.cfg.heartbeat - silent)
			continue
		}
		if misses == heartbeatMisses {
			c.fail(errNoAnswer)
			return
		}
		misses++
		c.sendFrame(frame.AppendHeartbeat(nil, c.nextID.Add(1)))
		timer.Reset(c.cfg.heartbeat)
	}
}
