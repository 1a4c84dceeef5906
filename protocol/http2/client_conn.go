package http2

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http2/hpack"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// clientConn is a connection to an instance.
type clientConn struct {
	conn
	client    *Client
	dialledAt int64
	grown     bool // the reading goroutine's: settings have changed, so there may be room

	// Guarded by conn.mu.
	nextID    uint32
	leaving   bool // takes no more requests
	idleSince int64
	free      []*clientStream // last in, first out
	quietAt   int64           // when sweep saw that nothing had come since the time before; 0 if something had
	seen      uint64          // batches that sweep saw
	pinged0   bool            // a ping of ours is under way
}

func newClientConn(c *Client, nc net.Conn) *clientConn {
	cc := &clientConn{client: c, dialledAt: protocol.Now(), nextID: 1}
	cc.idleSince = cc.dialledAt
	cc.sock.Init(nc)
	l := Limits{StreamWindow: c.cfg.StreamWindow, ConnWindow: c.cfg.ConnWindow}
	cc.init(cc, false, &c.buffers, &c.bigs, l.windows(), c.cfg.BodyIdleTimeout)
	cc.head.maxBytes, cc.head.maxCount = c.cfg.MaxHeaderBytes, c.cfg.MaxHeaderCount
	if n := c.limit.Load(); n > 0 {
		cc.peer.streams = n // nothing is refused while the settings are on their way
	}
	cc.out = appendSettings(append(cc.out, preface...),
		setting{settingEnablePush, 0},
		setting{settingInitialWindowSize, uint32(cc.limits.stream)},
		setting{settingMaxHeaderListSize, uint32(cc.head.maxBytes)})
	cc.openWindow()
	return cc
}

// serve reads until the connection ends.
func (cc *clientConn) serve() {
	defer cc.client.running.Done()
	cc.mu.Lock()
	cc.commit()
	err := cc.read()
	cc.client.pool.leave(cc)
	cc.finish(err, 0)
	cc.client.pool.gone(cc)
}

// beginState says whether a connection can take a request.
type beginState uint8

const (
	usable    beginState = iota
	full                 // no room, or going away
	incapable            // the instance cannot do what the request needs
	unknown              // it has not said yet whether it can
)

// begin sends the head of a request. Nothing is written before a commit.
func (cc *clientConn) begin(req *protocol.Request, path string) (*clientStream, beginState) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.dead != nil || cc.leaving || cc.peer.streams > 0 && uint32(len(cc.streams)) >= cc.peer.streams {
		return nil, full
	}
	if cc.peer.streams == 0 && cc.settled {
		return nil, unknown // it wants none now, on any connection
	}
	if req.Upgrade != "" && !cc.peer.connect {
		if cc.settled {
			return nil, incapable
		}
		return nil, unknown
	}
	var s *clientStream
	if n := len(cc.free); n > 0 {
		s = cc.free[n-1]
		cc.free[n-1] = nil
		cc.free = cc.free[:n-1]
	} else {
		s = newClientStream(cc)
	}
	s.open(&cc.conn, cc.nextID)
	s.generation++
	s.headless, s.upgrading = req.Method == "HEAD", req.Upgrade != ""
	cc.last = cc.nextID
	if cc.nextID += 2; cc.nextID > maxWindow {
		cc.leaving = true // stream numbers are used up
	}
	cc.appendRequest(s, req, path)
	return s, usable
}

// appendRequest appends a request's head. The lock is held.
func (cc *clientConn) appendRequest(s *clientStream, req *protocol.Request, path string) {
	c := &cc.conn
	start := c.beginHeaders()
	if req.Upgrade != "" {
		c.out = c.enc.Method(c.out, "CONNECT")
		c.out = c.enc.Protocol(c.out, req.Upgrade)
	} else {
		c.out = c.enc.Method(c.out, req.Method)
	}
	scheme := "http"
	if cc.client.tls != nil {
		scheme = "https"
	}
	c.out = c.enc.Scheme(c.out, scheme)
	c.out = c.enc.Path(c.out, path)
	c.out = c.enc.Authority(c.out, cc.client.authority(req))
	c.appendRequestFields(&req.Header, req.Upgrade != "")
	if n := req.ContentLength; n > 0 || n == 0 && (req.Body != nil || expectsContent(req.Method)) {
		var digits [20]byte
		c.out = c.enc.Once(c.out, protocol.NameContentLength, string(strconv.AppendInt(digits[:0], n, 10)))
	}
	c.endHeaders(start, s.id, req.Body == nil)
	if req.Body == nil {
		s.endSending()
	}
}

// expectsContent reports whether servers expect content with a method, so that its absence is stated (RFC 9110 section 8.6).
func expectsContent(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// appendRequestFields is appendFields with what is different in requests. The lock is held.
func (c *conn) appendRequestFields(h *protocol.Header, upgrade bool) {
	for i := range h.Len() {
		f := h.At(i)
		switch id := f.ID(); {
		case id == protocol.NameOther:
			if upgrade && protocol.EqualFold(f.Name, keyField) {
				continue
			}
		case id == protocol.NameTE:
			if hasTrailers(f.Value) {
				c.out = c.enc.Known(c.out, id, "trailers") // all that may be said here: section 8.2.2
			}
			continue
		case id == protocol.NameHost || id == protocol.NameContentLength || id.HopByHop():
			continue
		}
		c.out = c.enc.Field(c.out, f)
	}
}

// headersFor implements role.
func (cc *clientConn) headersFor(id uint32, end bool) (*stream, headKind, error) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	s := cc.streams[id]
	if s == nil {
		return nil, 0, cc.strayFrame(id, "HEADERS")
	}
	code := NoError
	switch {
	case s.recvEnd:
		code = StreamClosed
	case s.headed && !end:
		code = ProtocolError // trailers end a stream
	}
	switch {
	case code != NoError:
		if !cc.faulty(s, code) {
			return nil, 0, errRapidReset
		}
		return nil, 0, nil
	case s.headed:
		cc.head.begin(headTrailers, &s.trailer)
		return s, headTrailers, nil
	}
	x := s.onCancel.(*clientStream)
	x.arriving.Reset()
	cc.head.begin(headResponse, &x.arriving)
	return s, headResponse, nil
}

// headersDone implements role.
func (cc *clientConn) headersDone(s *stream, kind headKind, end bool) error {
	h := &cc.head
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if !s.listed {
		return nil // given up meanwhile
	}
	fault := h.fault
	switch {
	case fault != "":
	case h.over:
		fault = "the header is too large"
	case kind == headTrailers && s.expected >= 0 && s.received != s.expected:
		fault = "the content is shorter than content-length says"
	case kind == headResponse && !h.has(hpack.PseudoStatus):
		fault = ":status is missing"
	case kind == headResponse:
		fault = s.onCancel.(*clientStream).head(h, end)
	}
	if fault != "" {
		s.abort(&messageError{fault})
		if !cc.faulty(s, ProtocolError) {
			return errRapidReset
		}
		return nil
	}
	if end {
		s.endReceiving()
	}
	s.wakeReader()
	return nil
}

// goAway implements role: what the instance will not look at can be sent elsewhere.
func (cc *clientConn) goAway(last uint32, code ErrCode, reason string) {
	err := &goAwayError{code: code, reason: reason}
	cc.mu.Lock()
	cc.leaving = true
	for id, s := range cc.streams {
		if id > last {
			s.abort(err)
			cc.cancelled = append(cc.cancelled, s)
		}
	}
	for _, s := range cc.cancelled {
		cc.forget(s)
	}
	cc.interruptIfOver()
	cc.mu.Unlock()
	cc.client.pool.leave(cc)
}

// interruptIfOver lets the reading goroutine look whether that was the last request. The lock is held.
func (cc *clientConn) interruptIfOver() {
	if cc.leaving && len(cc.streams) == 0 {
		cc.sock.Interrupt()
	}
}

// changed implements role.
func (cc *clientConn) changed() {
	cc.grown = true
	cc.client.limit.Store(cc.peer.streams)
}

// closed implements role.
func (cc *clientConn) closed(*stream) {
	if len(cc.streams) == 0 {
		cc.idleSince = protocol.Now()
		cc.interruptIfOver()
	}
}

// pinged implements role.
func (cc *clientConn) pinged(uint64) {}

// readLimit implements role.
func (cc *clientConn) readLimit() socket.Limit { return socket.Limit{} }

// expired implements role: the connection was interrupted because it may be over.
func (cc *clientConn) expired() error {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.leaving && len(cc.streams) == 0 {
		return errDrained
	}
	return nil
}

// batchEnd implements role.
func (cc *clientConn) batchEnd() {
	if cc.grown {
		cc.grown = false
		cc.client.pool.roomMade(int(min(cc.peer.streams, 1<<16)))
	}
}

// count is how many requests are under way.
func (cc *clientConn) count() int {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return len(cc.streams)
}

// drain takes the connection out of use and returns how many requests it still has.
func (cc *clientConn) drain() int {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.leaving = true
	cc.interruptIfOver()
	return len(cc.streams)
}

// sweep reports whether the connection is not to be used any more.
func (cc *clientConn) sweep(now int64) (drop bool) {
	cfg := &cc.client.cfg
	cc.mu.Lock()
	n := len(cc.streams)
	idle, age := int64(cfg.IdleTimeout), int64(cfg.MaxAge)
	if idle > 0 && n == 0 && now-cc.idleSince >= idle || age > 0 && now-cc.dialledAt >= age {
		cc.leaving, drop = true, true
		cc.interruptIfOver()
	}
	if cc.seen != cc.batches || n == 0 {
		cc.seen, cc.quietAt, cc.pinged0 = cc.batches, now, false
	}
	silent := now - cc.quietAt
	interval := int64(cfg.PingInterval)
	switch {
	case interval <= 0 || n == 0:
	case !cc.pinged0 && silent >= interval:
		cc.pinged0 = true
		cc.out = appendPing(cc.out, 0, keepAlivePing[:])
	case cc.pinged0 && silent >= interval+int64(cfg.PingTimeout):
		cc.mu.Unlock()
		cc.die(errPingTimeout)
		return true
	}
	cc.commit()
	return drop
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
