package http2

import (
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http2/hpack"
)

// headersFor implements role.
func (c *serverConn) headersFor(id uint32, end bool) (*stream, headKind, error) {
	if id&1 == 0 {
		return nil, 0, violation(ProtocolError, "a client's stream has an even number")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil {
		code := NoError
		switch {
		case s.recvEnd:
			code = StreamClosed // section 5.1, half-closed (remote)
		case !end:
			code = ProtocolError // trailers end a stream: section 8.1
		}
		if code != NoError {
			if !c.faulty(s, code) {
				return nil, 0, errRapidReset
			}
			return nil, 0, nil
		}
		c.head.begin(headTrailers, &s.trailer)
		return s, headTrailers, nil
	}
	if id <= c.last {
		return nil, 0, c.strayFrame(id, "HEADERS")
	}
	c.last = id
	switch limit := c.cfg.Limits.Streams; {
	case c.drained && id > c.drainMax:
		c.refuse(id, RefusedStream) // it was said, and is true: nothing was processed
		return nil, 0, nil
	case len(c.streams) >= limit || c.running >= limit+max(limit, spareWork):
		// The second bound is the one that a client cannot undo by RST_STREAM: what it started is still at work. It is not
		// the first one, because an exchange may have something to do still when its answer is out.
		c.refuse(id, RefusedStream)
		return nil, 0, nil
	}
	x := c.take()
	x.open(&c.conn, id)
	x.headed = true
	if len(c.streams) == 1 && c.running == 0 {
		c.srv.busy.Add(1)
	}
	c.running++
	c.opening = x
	c.head.begin(headRequest, &x.req.Header)
	return &x.stream, headRequest, nil
}

// spareWork is how many exchanges may be at work on a connection beyond its open streams, at least.
const spareWork = 16

// closed implements role.
func (c *serverConn) closed(*stream) {}

// take gives a stream with a goroutine that waits for it. The lock is held.
func (c *serverConn) take() *serverStream {
	if n := len(c.free); n > 0 {
		x := c.free[n-1]
		c.free[n-1] = nil
		c.free = c.free[:n-1]
		return x
	}
	x, _ := c.srv.spare.Get().(*serverStream)
	if x == nil {
		x = newServerStream(c.srv)
	}
	x.conn = c
	c.srv.work.Add(1)
	go x.loop()
	return x
}

// headersDone implements role.
func (c *serverConn) headersDone(s *stream, kind headKind, end bool) error {
	h := &c.head
	if kind == headTrailers {
		return c.trailersDone(s)
	}
	x := c.opening
	c.opening = nil
	x.take(h)
	fault := h.fault
	if fault == "" && !h.over {
		fault = x.check(h, end)
	}
	if fault != "" {
		return c.malformed(x, fault)
	}
	x.expected = h.length
	if end {
		c.mu.Lock()
		s.endReceiving()
		c.mu.Unlock()
	}
	c.starting = append(c.starting, x)
	return nil
}

func (c *serverConn) trailersDone(s *stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head.fault != "" || c.head.over || s.expected >= 0 && s.received != s.expected {
		if !c.faulty(s, ProtocolError) {
			return errRapidReset
		}
		return nil
	}
	s.endReceiving()
	return nil
}

// malformed ends a stream whose head breaks the rules (section 8.1.1). The Handler never sees it.
func (c *serverConn) malformed(x *serverStream, fault string) error {
	c.mu.Lock()
	c.resetStream(&x.stream, ProtocolError)
	ok := c.spendReset()
	c.mu.Unlock()
	e := &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: fault}
	c.srv.rejected.Add(1)
	c.cfg.Logger.Debug("request refused", "listener", c.cfg.Name, "peer", x.req.Peer, "error", e)
	if f := c.srv.settings.Load().OnRefused; f != nil {
		f(&x.req, e)
	}
	x.rejected = true
	c.starting = append(c.starting, x) // its goroutine only cleans up
	if !ok {
		return errRapidReset
	}
	return nil
}

// batchEnd implements role: now the requests that have come start, with what has come of their bodies.
func (c *serverConn) batchEnd() {
	for i, x := range c.starting {
		x.start <- true
		c.starting[i] = nil
	}
	c.starting = c.starting[:0]
	c.activity()
	if c.until != 0 && !c.leaving && protocol.Now() >= c.until {
		c.mu.Lock()
		c.drain()
		c.mu.Unlock()
	}
}

// retire takes a stream back whose exchange is over and reports whether its goroutine shall wait for another one.
func (c *serverConn) retire(x *serverStream, clean bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if clean {
		c.answered++
	}
	if c.running == 0 && len(c.streams) == 0 {
		c.srv.busy.Add(-1)
		c.interruptIfOver()
	}
	if !clean || c.dead != nil || c.leaving {
		return false
	}
	c.free = append(c.free, x)
	return true
}

// take keeps what the head's pseudo-header fields and special fields say.
func (x *serverStream) take(h *headBlock) {
	req := &x.req
	req.Version = protocol.HTTP2
	req.Peer, req.TLS = x.conn.peerAddr, x.conn.tls
	req.Method = h.method
	x.target, x.authority, x.expect = h.path, h.authority, h.expect
	x.tooLarge, x.connect, x.cookies = h.over, "", h.cookies
	if h.has(hpack.PseudoProtocol) {
		x.connect = h.protocol
	}
	if h.hosts > 0 && x.authority == "" {
		x.authority = h.host
	}
}

// check holds a request's head to section 8.3.1 and returns what is wrong, or "".
func (x *serverStream) check(h *headBlock, end bool) string {
	switch {
	case !h.has(hpack.PseudoMethod) || !validToken(h.method):
		return ":method is missing or not valid"
	case h.method == "CONNECT" && !h.has(hpack.PseudoProtocol):
		if h.has(hpack.PseudoScheme) || h.has(hpack.PseudoPath) || h.authority == "" {
			return "CONNECT has a scheme or a path, or no authority" // section 8.5
		}
		return ""
	case h.has(hpack.PseudoProtocol) && (h.method != "CONNECT" || !validToken(h.protocol)):
		return ":protocol without CONNECT" // RFC 8441 section 4
	case !h.has(hpack.PseudoScheme) || h.scheme == "":
		return ":scheme is missing"
	case h.path == "":
		return ":path is missing or empty"
	case h.path[0] != '/' && (h.path != "*" || h.method != "OPTIONS"):
		return ":path does not begin with a slash"
	case !validTarget(h.path):
		return ":path holds a character that is not allowed"
	case h.has(hpack.PseudoAuthority) && h.authority != "" && !protocol.ValidAuthority(h.authority),
		h.hosts > 0 && !protocol.ValidAuthority(h.host):
		return "the authority is not valid"
	case h.hosts > 0 && h.authority != "" && !protocol.EqualFold(h.host, h.authority):
		return "host and :authority name different authorities"
	case end && h.length > 0:
		return "content-length without content"
	}
	return ""
}

// validToken accepts what RFC 9110 section 5.6.2 calls a token.
func validToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			continue
		}
		if !hpack.ValidName(s[i : i+1]) {
			return false
		}
	}
	return s != ""
}

// validTarget accepts visible ASCII without "#".
func validTarget(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}
