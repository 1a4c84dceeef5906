package http1

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// serverExchange is one request with its answer. It is pooled apart from the connection, is the context.Context that the Handler
// gets, and the source of the request's body.
type serverExchange struct {
	req  protocol.Request
	conn *conn
	srv  *Server
	cfg  *ServerConfig

	head   head
	line   requestLine
	fields fieldParser
	in     inbound
	out    outbound
	made   protocol.Bytes // the body of an answer made here
	memory []byte         // what made hands over

	persist  bool // the client wants to keep the connection
	fatal    bool // something happened after which the connection cannot be used
	panicked bool
	gone     bool  // writing failed: nobody reads any more
	expects  bool  // the client waits for 100 Continue; under mu
	drainEnd int64 // once the answer is out: until when the rest of the body is awaited

	mu        sync.Mutex // orders interim answers before the answer
	answering bool
	cancel    canceller
}

func (s *Server) newExchange(c *conn) *serverExchange {
	x, _ := s.exchanges.Get().(*serverExchange)
	if x == nil {
		x = &serverExchange{srv: s}
		x.out.pool, x.out.splicer = &s.buffers, &s.splicer
	}
	x.conn, x.cfg = c, s.settings.Load()
	x.head.reset()
	x.fields = fieldParser{maxCount: x.cfg.Limits.HeaderCount}
	x.out.sock, x.out.limit = &c.sock, socket.Within(max(x.cfg.Timeouts.Write, 0))
	x.out.begin()
	x.in.kind, x.in.done = bodyNone, true
	x.in.seen.Store(0)
	x.persist, x.fatal, x.panicked, x.gone, x.expects, x.answering, x.drainEnd = false, false, false, false, false, false, 0
	return x
}

// endExchange makes everything that belonged to the exchange invalid. What a panic or a use of Done may have left a
// reference to is not used again.
func (s *Server) endExchange(x *serverExchange) {
	used := x.cancel.end(x)
	x.out.discard()
	x.req.Reset()
	x.conn = nil
	x.line = requestLine{}
	if used || x.panicked {
		return
	}
	s.exchanges.Put(x)
}

// run reads a request, has it answered and writes the answer. again says whether the connection can carry another
// request; if not, linger says whether unread bytes may be under way.
func (x *serverExchange) run() (again, linger bool) {
	x.req.Start = protocol.Now()
	if err := x.read(); err != nil {
		return x.refuse(err)
	}
	x.srv.inFlight.Add(1)
	again = x.answer()
	x.srv.inFlight.Add(-1)
	return again, !x.gone && (!x.in.whole() || x.panicked)
}

// answer calls the Handler and sends what it returned. A panic, wherever in the exchange, ends only this connection.
func (x *serverExchange) answer() (again bool) {
	defer func() {
		if p := recover(); p != nil {
			x.recovered(p)
			again = false
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
		return false
	}
	again = x.respond(resp)
	x.end(resp)
	if !again || x.fatal {
		return false
	}
	x.conn.sock.Resume()
	return x.in.whole() || x.drain()
}

var errNoAnswer = errors.New("handler returned neither a response nor an error")

// end closes the answer, and with it the exchange for everybody else.
func (x *serverExchange) end(resp *protocol.Response) {
	x.req.Record.RequestBytes = x.in.seen.Load()
	x.req.Record.ResponseBytes = x.out.sent
	if err := resp.Close(); err != nil {
		x.cfg.Logger.Debug("closing an answer failed", "listener", x.cfg.Name, "error", err)
	}
}

// failed renders an error as the answer. nil means that nobody is there to read one.
func (x *serverExchange) failed(err error) *protocol.Response {
	if open := x.req.OpenResponse(); open != nil {
		open.Fail(err)
		x.end(open)
	}
	e := protocol.AsError(err)
	if e.Status >= 500 {
		x.cfg.Logger.Warn("request failed", "listener", x.cfg.Name, "method", x.req.Method, "path", x.req.Path, "error", e)
	}
	if e.CloseConnection {
		x.fatal = true
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
func (x *serverExchange) problem(e *protocol.Error) *protocol.Response {
	x.req.Record.Code = e.Code
	if x.req.Record.Err == nil {
		x.req.Record.Err = e
	}
	resp := x.req.NewResponse()
	resp.Status = e.Status
	resp.Header.Add("Content-Type", protocol.ProblemType)
	if e.RetryAfter > 0 {
		resp.Header.Add("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if e.Allow != "" {
		resp.Header.Add("Allow", e.Allow)
	}
	x.memory = protocol.AppendProblem(x.memory[:0], e, x.req.ID)
	x.made.SetBytes(x.memory)
	resp.ContentLength = int64(len(x.memory))
	resp.Body = &x.made
	return resp
}

// recovered ends an exchange in which something panicked.
func (x *serverExchange) recovered(p any) {
	x.panicked = true
	cause := fmt.Errorf("panic: %v", p)
	x.cfg.Logger.Error("request handler panicked", "listener", x.cfg.Name, "method", x.req.Method, "path", x.req.Path,
		"panic", p, "stack", string(debug.Stack()))
	e := protocol.AsError(cause)
	resp := x.req.OpenResponse()
	if resp != nil {
		resp.Fail(cause)
		x.req.Record.Code, x.req.Record.Err = e.Code, cause
		if !x.out.wire {
			resp.Status = e.Status
		}
		x.guard(func() { x.end(resp) })
	}
	if x.out.wire {
		return
	}
	x.out.discard()
	x.guard(func() {
		resp := x.problem(e)
		x.fatal = true
		x.respond(resp)
		if resp != nil {
			x.end(resp)
		}
	})
}

// guard runs the end of a panicked exchange, in which the same code may panic again.
func (x *serverExchange) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			x.cfg.Logger.Error("ending the request panicked again", "listener", x.cfg.Name, "panic", p)
		}
	}()
	f()
}

// refuse answers a request that could not be understood. The Handler never sees it.
func (x *serverExchange) refuse(err error) (again, linger bool) {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return false, false // the client left, or sent nothing
	}
	x.srv.rejected.Add(1)
	x.cfg.Logger.Debug("request refused", "listener", x.cfg.Name, "peer", x.req.Peer, "error", e)
	x.fatal = true
	resp := x.problem(e)
	x.respond(resp)
	if x.cfg.OnRefused != nil {
		x.cfg.OnRefused(&x.req, e)
	}
	x.end(resp)
	return false, !x.gone
}

var _ context.Context = (*serverExchange)(nil)
