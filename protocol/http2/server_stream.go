package http2

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// serverStream is one request with its answer. It is pooled with its goroutine, is the context.Context that the Handler gets,
// and says for its stream's body how long to wait and where the trailers go.
type serverStream struct {
	stream
	req  protocol.Request
	body body
	srv  *Server
	conn *serverConn
	cfg  *ServerConfig

	start chan bool // true: an exchange; false: the end

	// Set by the reading goroutine before the start.
	target, authority, connect, expect string
	cookies                            int
	tooLarge, rejected                 bool

	expects   bool // the client waits for 100; under conn.mu
	answering bool // the final head is under way; under conn.mu
	patient   bool // silence within the body is all right
	panicked  bool
	stalled   bool           // the client took nothing for too long
	sent      int64          // octets of the answer's body
	made      protocol.Bytes // the body of an answer made here
	memory    []byte         // what made hands over
	cancel    cancelState
}

func newServerStream(s *Server) *serverStream {
	x := &serverStream{srv: s, start: make(chan bool, 1)}
	x.onCancel = x
	x.body = body{s: &x.stream, of: x}
	return x
}

// loop is the stream's goroutine.
func (x *serverStream) loop() {
	defer x.srv.work.Done()
	for <-x.start {
		clean := x.run()
		if clean {
			x.reset()
		}
		if !x.conn.retire(x, clean) {
			if !clean {
				return // somebody may still hold it
			}
			break
		}
	}
	x.conn = nil
	x.srv.spare.Put(x)
}

// reset forgets the exchange.
func (x *serverStream) reset() {
	x.req.Reset()
	x.recycle()
	x.target, x.authority, x.connect, x.expect = "", "", "", ""
	x.expects, x.answering, x.patient, x.rejected, x.stalled, x.sent = false, false, false, false, false, 0
}

// run handles one exchange and reports whether the object can be used again.
func (x *serverStream) run() (clean bool) {
	x.cfg = x.srv.settings.Load()
	if !x.rejected {
		x.req.Start = protocol.Now()
		if e := x.prepare(); e != nil {
			x.refuse(e)
		} else {
			x.srv.inFlight.Add(1)
			x.answer()
			x.srv.inFlight.Add(-1)
		}
	}
	return x.finish() && !x.panicked && !x.cancel.end(x)
}

// finish ends the stream if the answer did not, and reports whether both sides of it came to their ends.
func (x *serverStream) finish() (clean bool) {
	c := &x.conn.conn
	c.mu.Lock()
	x.drop()
	x.release()
	if x.listed {
		code := InternalError
		switch {
		case x.sendEnd:
			code = NoError // answered, and the rest of the request is not wanted: section 8.1
		case x.stalled:
			code = Cancel
		}
		c.resetStream(&x.stream, code)
	}
	clean = x.err == nil
	c.commit()
	return clean
}

// answer calls the Handler and sends what it returned. A panic, wherever in the exchange, ends only this stream.
func (x *serverStream) answer() {
	defer func() {
		if p := recover(); p != nil {
			x.recovered(p)
		}
	}()
	resp, err := x.srv.handler.Serve(x, &x.req)
	switch {
	case err != nil:
		resp = x.failed(err)
	case resp == nil:
		resp = x.failed(errNoAnswer)
	case resp.Status < 200 && !resp.Upgrade || resp.Status > 999 || resp.Upgrade && x.req.Upgrade == "":
		resp = x.failed(fmt.Errorf("handler answered with status %d", resp.Status))
	}
	if resp == nil {
		return
	}
	x.respond(resp)
	x.end(resp)
}

var errNoAnswer = errors.New("handler returned neither a response nor an error")

// end closes the answer, and with it the exchange for everybody else.
func (x *serverStream) end(resp *protocol.Response) {
	x.req.Record.RequestBytes = x.readBytes.Load()
	x.req.Record.ResponseBytes = x.sent
	if err := resp.Close(); err != nil {
		x.cfg.Logger.Debug("closing an answer failed", "listener", x.cfg.Name, "error", err)
	}
}

// failed renders an error as the answer. nil means that nobody is there to read one.
func (x *serverStream) failed(err error) *protocol.Response {
	if open := x.req.OpenResponse(); open != nil {
		open.Fail(err)
		x.end(open)
	}
	e := protocol.AsError(err)
	if e.Status >= 500 {
		x.cfg.Logger.Warn("request failed", "listener", x.cfg.Name, "method", x.req.Method, "path", x.req.Path, "error", e)
	}
	resp := x.problem(e)
	if e.Code == protocol.CodeClientGone {
		resp.Fail(e)
		x.end(resp)
		return nil
	}
	return resp
}

// problem makes the answer that tells e.
func (x *serverStream) problem(e *protocol.Error) *protocol.Response {
	x.req.Record.Code = e.Code
	if x.req.Record.Err == nil {
		x.req.Record.Err = e
	}
	resp := x.req.NewResponse()
	resp.Status = e.Status
	resp.Header.Add("content-type", protocol.ProblemType)
	if e.RetryAfter > 0 {
		resp.Header.Add("retry-after", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if e.Allow != "" {
		resp.Header.Add("allow", e.Allow)
	}
	x.memory = protocol.AppendProblem(x.memory[:0], e, x.req.ID)
	x.made.SetBytes(x.memory)
	resp.ContentLength = int64(len(x.memory))
	resp.Body = &x.made
	return resp
}

// recovered ends an exchange in which something panicked.
func (x *serverStream) recovered(p any) {
	x.panicked = true
	cause := fmt.Errorf("panic: %v", p)
	x.cfg.Logger.Error("request handler panicked", "listener", x.cfg.Name, "method", x.req.Method, "path", x.req.Path,
		"panic", p, "stack", string(debug.Stack()))
	e := protocol.AsError(cause)
	if resp := x.req.OpenResponse(); resp != nil {
		resp.Fail(cause)
		x.req.Record.Code, x.req.Record.Err = e.Code, cause
		if !x.headSent() {
			resp.Status = e.Status
		}
		x.guard(func() { x.end(resp) })
	}
	if x.headSent() {
		return
	}
	x.guard(func() {
		resp := x.problem(e)
		x.respond(resp)
		x.end(resp)
	})
}

func (x *serverStream) headSent() bool {
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	return x.answering
}

// guard runs the end of a panicked exchange, in which the same code may panic again.
func (x *serverStream) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			x.cfg.Logger.Error("ending the request panicked again", "listener", x.cfg.Name, "panic", p)
		}
	}()
	f()
}

// refuse answers a request that is over a limit or cannot be understood. The Handler never sees it.
func (x *serverStream) refuse(e *protocol.Error) {
	x.srv.rejected.Add(1)
	x.cfg.Logger.Debug("request refused", "listener", x.cfg.Name, "peer", x.req.Peer, "error", e)
	resp := x.problem(e)
	x.respond(resp)
	if x.cfg.OnRefused != nil {
		x.cfg.OnRefused(&x.req, e)
	}
	x.end(resp)
}

// prepare fills in what the request is about. It runs on the stream's goroutine, so that the reading one need not.
func (x *serverStream) prepare() *protocol.Error {
	req, l := &x.req, &x.cfg.Limits
	req.Informer = x
	req.Authority = x.authority
	path, query, has := strings.Cut(x.target, "?")
	req.RawQuery, req.HasQuery = query, has
	req.Path = path
	switch {
	case len(x.target) > l.URIBytes:
		return &protocol.Error{Status: 414, Code: protocol.CodeURITooLong, Message: "the request target is too long"}
	case x.tooLarge:
		return &protocol.Error{Status: 431, Code: protocol.CodeHeadersTooLarge, Message: "the header is too large"}
	case req.Method == "CONNECT" && x.connect == "":
		return &protocol.Error{Status: 501, Code: protocol.CodeUnsupported, Message: "CONNECT is not supported"}
	case req.Authority == "":
		return &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: "the request names no authority"}
	}
	if path != "*" {
		normal, err := protocol.NormalizePath(&req.Arena, path)
		if err != nil {
			return &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: err.Error()}
		}
		req.Path = normal
	}
	if x.cookies > 1 {
		joinCookies(&req.Arena, &req.Header)
	}
	req.Forward(x.cfg.TrustedProxies)
	return x.openBody()
}

// openBody finds out what follows the head.
func (x *serverStream) openBody() *protocol.Error {
	req := &x.req
	limit := x.cfg.Limits.BodyBytes
	c := &x.conn.conn
	c.mu.Lock()
	ended := x.recvEnd && x.ready == 0
	if ended {
		x.trailers(&x.trailer)
	}
	c.mu.Unlock()
	switch {
	case limit > 0 && x.expected > limit:
		return protocol.ErrBodyTooLarge
	case x.connect != "":
		x.upgrade()
	case !ended:
		req.ContentLength = x.expected
		req.Body = &x.body
		x.patient = strings.HasPrefix(req.Header.Value(protocol.NameContentType), "application/grpc")
	}
	x.maxBody = limit
	if x.expect == "" {
		return nil
	}
	if !protocol.EqualFold(x.expect, "100-continue") {
		return &protocol.Error{Status: 417, Code: protocol.CodeBadRequest, Message: "the expectation cannot be met"}
	}
	if req.Body != nil && req.Upgrade == "" {
		// The service decides (RFC 9110 section 10.1.1). Whoever reads the body without asking it makes beforeWait consent.
		x.expects = true
		req.Header.AddKnown(protocol.NameExpect, "expect", "100-continue")
	}
	return nil
}
