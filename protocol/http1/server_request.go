package http1

import (
	"errors"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// maxEmptyLines is how many empty lines may stand before a request (RFC 9112 section 2.2).
const maxEmptyLines = 4

// read reads a head and fills the request in. A *protocol.Error is to be answered; any other error means that the client
// left.
func (x *serverExchange) read() error {
	x.req.Peer = x.conn.sock.Peer()
	if err := x.readHead(); err != nil {
		return err
	}
	req, hd := &x.req, &x.head
	if err := hd.framing(req.Version); err != nil {
		return refusal(err)
	}
	if err := x.line.resolve(req, hd); err != nil {
		return refusal(err)
	}
	hd.dropNamed(&req.Header)
	x.persist = !hd.close && (req.Version >= protocol.HTTP11 || hd.keepAlive)
	if req.Version >= protocol.HTTP11 {
		req.Informer = x
	}
	req.TLS = x.conn.tls
	req.Forward(x.cfg.TrustedProxies)
	return x.openBody()
}

func (x *serverExchange) readHead() error {
	c := x.conn
	limits := &x.cfg.Limits
	var limit socket.Limit
	if d := x.cfg.Timeouts.Header; d > 0 {
		limit.Until = x.req.Start + int64(d)
	}
	line, empty := 0, 0
	for {
		w := c.in.window()
		for line == 0 && len(w) >= 2 && w[0] == '\r' && w[1] == '\n' && empty < maxEmptyLines {
			c.in.consume(2)
			w = w[2:]
			empty++
		}
		if line == 0 && len(w) > 0 && (w[0] != '\r' || len(w) > 1) {
			n, err := parseRequestLine(w, limits.URIBytes, &x.line)
			if err != nil {
				return refusal(err)
			}
			if line = n; n > 0 {
				x.fields.pos = n
				x.req.Method, x.req.Version = x.line.method, x.line.version
			}
		}
		if line > 0 {
			done, err := x.fields.parse(w, &x.req.Header, &x.head)
			if err == nil && (x.fields.pos-line > limits.HeaderBytes || !done && len(w)-line > limits.HeaderBytes) {
				err = errHeadTooLarge
			}
			if err != nil {
				return refusal(err)
			}
			if done {
				c.in.consume(x.fields.pos)
				return nil
			}
		}
		moved, err := c.in.fillHead(limits.URIBytes+limits.HeaderBytes+socket.Small, limit)
		switch {
		case errors.Is(err, socket.ErrInterrupted):
			c.sock.Resume() // Shutdown took us for idle
			continue
		case errors.Is(err, socket.ErrTimeout):
			return errHeadTimeout
		case err != nil:
			var p *parseError
			if errors.As(err, &p) {
				return refusal(err)
			}
			return err
		}
		if moved {
			line = 0
			x.req.Header.Reset()
			x.head.reset()
			x.fields = fieldParser{maxCount: limits.HeaderCount}
			x.line = requestLine{}
		}
	}
}

var errHeadTimeout = &protocol.Error{Status: 408, Code: protocol.CodeRequestTimeout, CloseConnection: true,
	Message: "the request head did not arrive in time"}

// refusal makes what a client is told of a violation.
func refusal(err error) *protocol.Error {
	var p *parseError
	if !errors.As(err, &p) {
		return protocol.AsError(err)
	}
	e := &protocol.Error{Status: p.status, Code: protocol.CodeBadRequest, Message: p.text, CloseConnection: true}
	switch p.status {
	case 0:
		e.Status = 400
	case 414:
		e.Code = protocol.CodeURITooLong
	case 431:
		e.Code = protocol.CodeHeadersTooLarge
	case 501, 505:
		e.Code = protocol.CodeUnsupported
	}
	return e
}

// openBody finds out what follows the head.
func (x *serverExchange) openBody() error {
	req, hd, c := &x.req, &x.head, x.conn
	limit := x.cfg.Limits.BodyBytes
	switch {
	case hd.chunked:
		req.ContentLength = protocol.UnknownLength
		x.in.start(&c.in, x, bodyChunked, 0, limit, &req.Trailer)
		req.Body = &x.in
	case hd.contentLength > 0:
		if limit > 0 && hd.contentLength > limit {
			e := *protocol.ErrBodyTooLarge
			e.CloseConnection = true
			return &e
		}
		req.ContentLength = hd.contentLength
		x.in.start(&c.in, x, bodyFixed, hd.contentLength, 0, nil)
		req.Body = &x.in
	case hd.switches && hd.upgrade != "" && req.Version >= protocol.HTTP11:
		if req.Upgrade = chooseUpgrade(hd.upgrade); req.Upgrade != "" {
			req.ContentLength = protocol.UnknownLength
			x.in.start(&c.in, x, bodyClose, 0, 0, nil)
			x.in.ended = newEndSignal()
			req.Body = &x.in
		}
	}
	if hd.expect == "" {
		return nil
	}
	if !protocol.EqualFold(hd.expect, "100-continue") {
		return refusal(errExpectation)
	}
	if x.expects = req.Version >= protocol.HTTP11 && (hd.chunked || hd.contentLength > 0); x.expects {
		// The service decides (RFC 9110 section 10.1.1). Whoever reads the body without asking it makes beforeRead consent.
		req.Header.AddKnown(protocol.NameExpect, "expect", "100-continue")
	}
	return nil
}

// chooseUpgrade takes the first protocol of the list. h2c is never passed on: a backend that accepts it would get requests
// that no filter has seen. An upgrade of a request with content is not looked at either (the content would come first).
func chooseUpgrade(list string) string {
	for name := ""; list != ""; {
		name, list = nextToken(list)
		if name != "" && !protocol.EqualFold(name, "h2c") && validToken(strings.Replace(name, "/", "", 1)) {
			return name
		}
	}
	return ""
}

// beforeRead implements source.
func (x *serverExchange) beforeRead() (socket.Limit, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.expects && !x.answering {
		x.expects = false
		if x.in.seen.Load() == 0 && x.conn.in.buffered() == 0 {
			if _, err := x.conn.sock.Write(continueLine, x.out.limit); err != nil {
				return socket.Limit{}, clientGone(err)
			}
		}
	}
	switch {
	case x.drainEnd != 0:
		return socket.Limit{Until: x.drainEnd}, nil
	case x.in.kind == bodyClose:
		return socket.Limit{}, nil // an upgraded connection may be silent as long as it likes
	}
	return socket.Within(max(x.cfg.Timeouts.Body, 0)), nil
}

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// readFailed implements source.
func (x *serverExchange) readFailed(err error) error {
	switch {
	case errors.Is(err, socket.ErrInterrupted):
		if x.in.closed.Load() {
			return protocol.ErrBodyClosed
		}
		x.conn.sock.Resume() // Shutdown took us for idle
		return nil
	case errors.Is(err, socket.ErrTimeout):
		return errBodyTimeout
	}
	return clientGone(err)
}

var errBodyTimeout = &protocol.Error{Status: 408, Code: protocol.CodeRequestTimeout, CloseConnection: true,
	Message: "the request body did not arrive in time"}

// malformed implements source.
func (x *serverExchange) malformed(err error) error {
	if errors.Is(err, errTruncated) {
		return clientGone(err)
	}
	e := *refusal(err)
	e.CloseConnection = true
	return &e
}

func clientGone(err error) *protocol.Error {
	return &protocol.Error{Status: 499, Code: protocol.CodeClientGone, Message: "the client closed the connection", CloseConnection: true, Cause: err}
}

// Inform implements protocol.Informer.
func (x *serverExchange) Inform(status int, header *protocol.Header) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.answering || status < 100 || status > 199 || status == 101 || x.req.Version < protocol.HTTP11 {
		return
	}
	if status == 100 {
		x.expects = false
	}
	x.out.statusLine(status)
	if header != nil {
		x.out.fields(header)
	}
	x.out.str("\r\n")
	_ = x.out.flush() // a client that left shows at the answer
	x.out.begin()
}

// drain throws the rest of the request's body away, if that is little enough, so that the next request can be read.
func (x *serverExchange) drain() bool {
	b := &x.in
	switch {
	case b.kind == bodyClose:
		return b.seen.Load() == 0 // the upgrade was declined: what follows is HTTP
	case b.broke != nil && !errors.Is(b.broke, protocol.ErrBodyClosed), b.kind == bodyFixed && b.left > drainBytes:
		return false
	}
	b.broke = nil
	b.closed.Store(false)
	x.drainEnd = protocol.Now() + int64(drainTime)
	for rest := b.seen.Load() + drainBytes; !b.done; {
		if _, _, err := b.Next(); err != nil || b.seen.Load() > rest {
			return false
		}
	}
	return true
}
