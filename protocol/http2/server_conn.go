package http2

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

const (
	// parkAfter is how long a connection without requests waits with a goroutine, before and after it was seen so.
	parkAfter = time.Second
	// maxPatience bounds the wait between two looks at a connection that has requests.
	maxPatience = 15 * time.Second
)

// serverConn is a client's connection.
type serverConn struct {
	conn
	srv      *Server
	cfg      *ServerConfig // of the connection's start: what was announced
	tls      *tls.ConnectionState
	peerAddr netip.AddrPort

	// Of the reading goroutine.
	greeted  bool // the preface has come
	began    int64
	until    int64 // age at which it has to go, as a time; 0 for never
	patience time.Duration
	silent   time.Duration // time without anything read
	idle     time.Duration // time without a request
	seenIdle bool
	pinging  bool
	starting []*serverStream
	opening  *serverStream // whose head is being decoded

	// Guarded by conn.mu.
	free     []*serverStream // with a goroutine that waits, last in first out
	running  int             // streams whose goroutine works, also those that were reset
	drained  bool            // GOAWAY with the last stream was sent
	drainMax uint32          // streams above it are not looked at
	leaving  bool            // the first GOAWAY was sent

	prev, next *serverConn // guarded by Server.mu
}

func newServerConn(s *Server, nc net.Conn, early []byte) *serverConn {
	cfg := s.settings.Load()
	c := &serverConn{srv: s, cfg: cfg, began: protocol.Now(), patience: parkAfter, drainMax: maxWindow}
	c.sock.Init(nc)
	c.peerAddr = c.sock.Peer()
	c.init(c, true, &s.buffers, &s.bigs, cfg.Limits.windows(), max(cfg.Timeouts.Write, 0))
	if age := cfg.Timeouts.age(); age > 0 {
		c.until = c.began + age
	}
	c.head.maxBytes, c.head.maxCount = cfg.Limits.HeaderBytes+cfg.Limits.URIBytes, cfg.Limits.HeaderCount
	if len(early) > 0 {
		c.in = c.pool.Get(len(early))
		c.w = copy(c.in.B, early)
	}
	return c
}

// Socket implements socket.Parked.
func (c *serverConn) Socket() *socket.Conn { return &c.sock }

// Wake implements socket.Parked.
func (c *serverConn) Wake() {
	c.srv.work.Add(1)
	go c.serve()
}

// Expire implements socket.Parked.
func (c *serverConn) Expire() {
	c.srv.work.Add(1)
	go func() {
		defer c.srv.work.Done()
		c.close(errIdle)
	}()
}

var (
	errParked  = errors.New("connection is parked")
	errIdle    = violation(NoError, "idle for too long")
	errDrained = violation(NoError, "")
	errPreface = errors.New("connection does not begin with the preface")
	errSlow    = violation(ProtocolError, errHeadTimeout.Error())
)

// serve reads until the connection ends or is parked.
func (c *serverConn) serve() {
	defer c.srv.work.Done()
	err := c.greet()
	if err == nil {
		err = c.read()
	}
	if !errors.Is(err, errParked) {
		c.close(err)
	}
}

func (c *serverConn) close(err error) {
	var told *connError
	if errors.As(err, &told) && told.code != NoError {
		c.srv.abused.Add(1)
		c.cfg.Logger.Debug("connection closed for what the client did", "listener", c.cfg.Name, "peer", c.sock.Peer(), "error", err)
	}
	c.finish(err, c.last)
	if x := c.opening; x != nil { // its head could not be decoded
		x.rejected = true
		x.start <- true
	}
	c.mu.Lock()
	c.dismiss()
	c.mu.Unlock()
	c.srv.remove(c)
}

// dismiss ends the goroutines that wait for streams. The lock is held.
func (c *serverConn) dismiss() {
	for i, x := range c.free {
		x.start <- false
		c.free[i] = nil
	}
	c.free = c.free[:0]
}

// greet reads the client's preface and sends ours (RFC 9113 section 3.4).
func (c *serverConn) greet() error {
	if c.greeted {
		return nil
	}
	if t, ok := c.sock.NetConn().(*tls.Conn); ok {
		if err := c.handshake(t); err != nil {
			return err
		}
	}
	for {
		have := min(c.w-c.r, len(preface))
		if have > 0 && string(c.in.B[c.r:c.r+have]) != preface[:have] {
			return errPreface
		}
		if have == len(preface) {
			break
		}
		c.keepRest()
		if err := c.fill(); err != nil {
			return err
		}
	}
	c.r += len(preface)
	c.greeted = true
	l := &c.cfg.Limits
	c.mu.Lock()
	c.out = appendSettings(c.out,
		setting{settingMaxConcurrentStreams, uint32(l.Streams)},
		setting{settingInitialWindowSize, uint32(c.limits.stream)},
		setting{settingMaxHeaderListSize, uint32(c.head.maxBytes)},
		setting{settingEnableConnect, 1})
	c.openWindow()
	c.mu.Unlock()
	err := c.handle()
	c.endBatch()
	return err
}

func (c *serverConn) handshake(t *tls.Conn) error {
	if d := c.cfg.Timeouts.Header; d > 0 {
		_ = t.SetDeadline(time.Now().Add(d)) // fails on a closed connection only, as the handshake will
	}
	if err := t.Handshake(); err != nil {
		c.cfg.Logger.Debug("TLS handshake failed", "listener", c.cfg.Name, "peer", c.sock.Peer(), "error", err)
		return err
	}
	_ = t.SetDeadline(time.Time{})
	state := t.ConnectionState()
	c.tls = &state
	return nil
}

// readLimit implements role.
func (c *serverConn) readLimit() socket.Limit {
	since := c.since
	if !c.settled {
		since = c.began
	}
	if d := c.cfg.Timeouts.Header; since != 0 && d > 0 {
		return socket.Limit{Until: since + int64(d)}
	}
	return socket.Within(c.patience)
}

// activity notes that something was read.
func (c *serverConn) activity() {
	c.patience, c.silent, c.pinging, c.seenIdle, c.idle = parkAfter, 0, false, false, 0
}

// expired implements role: nothing was read for as long as readLimit said, or Shutdown wants us to look.
func (c *serverConn) expired() error {
	now := protocol.Now()
	if since := c.since; since != 0 || !c.settled {
		if !c.settled {
			since = c.began
		}
		if d := c.cfg.Timeouts.Header; d > 0 && now >= since+int64(d) {
			if !c.settled {
				return errHeadTimeout
			}
			return errSlow
		}
		if !c.srv.draining.Load() {
			return nil
		}
	}
	waited := c.patience
	c.silent += waited
	c.mu.Lock()
	if c.leaving {
		c.lastWord() // the client does not answer our ping
	}
	if c.srv.draining.Load() || c.until != 0 && now >= c.until {
		c.drain()
	}
	n := len(c.streams) + c.running
	if n == 0 && c.drained {
		c.mu.Unlock()
		return errDrained
	}
	if n > 0 {
		c.patience = min(2*c.patience, maxPatience)
		c.seenIdle, c.idle = false, 0
		err := c.keepAlive()
		c.commit()
		return err
	}
	c.commit()
	if !c.seenIdle {
		c.seenIdle, c.patience = true, parkAfter
		return nil
	}
	c.idle += waited
	limit := c.cfg.Timeouts.Idle
	if limit > 0 && c.idle >= limit {
		return errIdle
	}
	return c.park(limit)
}

// park gives up the goroutine of a connection without requests.
func (c *serverConn) park(limit time.Duration) error {
	c.mu.Lock()
	c.dismiss()
	quiet := len(c.out) == 0 && !c.promised && !c.leaving
	if quiet && c.srv.parker != nil && c.sock.Parkable() && c.in == nil {
		c.stopWriter()
		c.out, c.spare = nil, nil
		c.enc.Trim()
		c.decoder.Trim()
		c.mu.Unlock()
		until := int64(0)
		if limit > 0 {
			until = protocol.Now() + int64(limit-c.idle)
		}
		if c.until != 0 && (until == 0 || c.until < until) {
			until = c.until
		}
		// From here on c may be in other hands.
		if c.srv.parker.Park(c, until) {
			return errParked
		}
		c.mu.Lock()
	}
	c.commit()
	c.patience = min(2*c.patience, maxPatience)
	return nil
}

// keepAlive asks a silent client whether it is still there. The lock is held.
func (c *serverConn) keepAlive() error {
	t := &c.cfg.Timeouts
	switch {
	case t.Ping <= 0 || c.silent < t.Ping:
		return nil
	case !c.pinging:
		c.pinging = true
		c.out = appendPing(c.out, 0, keepAlivePing[:])
		c.patience = min(c.patience, max(t.PingReply, time.Millisecond))
		return nil
	case c.silent >= t.Ping+t.PingReply:
		return errPingTimeout
	}
	return nil
}

// The payloads of our pings, which tell them apart.
var (
	keepAlivePing = [8]byte{'a', 'l', 'i', 'v', 'e'}
	drainPing     = [8]byte{'d', 'r', 'a', 'i', 'n'}
)

// drain begins to end the connection politely: GOAWAY that lets requests on their way come, and the last word when the
// client has seen it (RFC 9113 section 6.8). The lock is held.
func (c *serverConn) drain() {
	if c.leaving {
		return
	}
	c.leaving = true
	if !c.settled {
		c.lastWord()
		return
	}
	c.out = appendGoAway(c.out, maxWindow, NoError, "")
	c.out = appendPing(c.out, 0, drainPing[:])
}

// lastWord tells which streams were the last. The lock is held.
func (c *serverConn) lastWord() {
	if c.drained {
		return
	}
	c.drained, c.drainMax = true, c.last
	c.out = appendGoAway(c.out, c.last, NoError, "")
}

// pinged implements role.
func (c *serverConn) pinged(data uint64) {
	if data != binary.BigEndian.Uint64(drainPing[:]) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		c.lastWord()
		c.interruptIfOver()
	}
}

// interruptIfOver lets the reading goroutine look whether that was the last request of a connection that is to go. The lock
// is held.
func (c *serverConn) interruptIfOver() {
	if c.leaving && c.running == 0 && len(c.streams) == 0 {
		c.sock.Interrupt()
	}
}

// goAway implements role: the client opens no more streams, and will end the connection itself.
func (c *serverConn) goAway(uint32, ErrCode, string) {}

// changed implements role.
func (c *serverConn) changed() {}
