package http1

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// pump sends the rest of a request's body, on a worker, while the exchange reads the answer.
//
// Fields up to patience belong to the exchange. body to tunnel are set before the worker starts and are the worker's until it
// has signalled done; so is the connection's sending side.
type pump struct {
	u       *upstreamConn
	used    bool // prepared in this exchange
	active  bool // prepared and not yet stopped
	held    bool // prepared, but the instance has not said 100 (Continue) yet
	spoiled bool // the request is not whole, so the connection cannot serve another

	patience *time.Timer // of stopPump, made when it is first needed

	done   chan struct{}         // buffered: one signal for each start
	ending atomic.Bool           // nothing is left to read, only to write
	sentAt atomic.Int64          // when it ended
	broken atomic.Pointer[error] // why it ended otherwise

	body    protocol.Body
	trailer *protocol.Header
	length  int64
	chunked bool
	tunnel  bool
}

func (p *pump) reset() {
	p.active, p.held, p.spoiled = false, false, false
	if !p.used {
		return
	}
	p.used = false
	p.ending.Store(false)
	p.sentAt.Store(0)
	p.broken.Store(nil)
}

// prepare makes p ready to send the request's body, behind what outbound has collected. An upgraded connection has no
// framing.
func (p *pump) prepare(how framing) {
	req := p.u.req
	p.active, p.used = true, true
	p.body, p.trailer, p.length, p.chunked = req.Body, &req.Trailer, req.ContentLength, how == framingChunked
	p.tunnel = how == framingNone
	if p.tunnel {
		p.length = protocol.UnknownLength
		p.u.out.limit = socket.Limit{}
	}
}

func (p *pump) start() { p.u.client.workers.run(p) }

// release lets a held body go.
func (p *pump) release() {
	if p.held {
		p.held = false
		p.start()
	}
}

// send runs on the worker. A body that panics (filters may have wrapped it) ends its exchange and nothing else.
func (p *pump) send() {
	defer func() {
		if v := recover(); v != nil {
			p.fail(p.u.client.failure(500, protocol.CodeInternal, "the gateway failed to handle the request", "send body",
				false, fmt.Errorf("panic: %v\n%s", v, debug.Stack())))
			p.u.out.discard()
			p.u.sock.Interrupt()
			p.sentAt.Store(protocol.Now())
		}
	}()
	readErr, writeErr := p.transfer()
	p.u.out.discard()
	switch {
	case readErr != nil:
		p.fail(readErr)
		p.u.sock.Interrupt() // nobody will send the rest, so nobody may wait for an answer
	case errors.Is(writeErr, socket.ErrTimeout):
		p.fail(writeErr)
		p.u.sock.Interrupt()
	case writeErr != nil:
		p.fail(writeErr) // there may be an answer all the same, and the reading side finds out
	case p.tunnel:
		// The client has ended its direction; the instance may go on. If that cannot be told, closing at the end does.
		_ = p.u.sock.CloseWrite()
	}
	p.sentAt.Store(protocol.Now())
}

// transfer sends the rest of the body. What was at hand is sent already, so that a large rest can be spliced from its first
// byte.
func (p *pump) transfer() (readErr, writeErr error) {
	o := &p.u.out
	if s, ok := p.body.(splicer); ok && p.length >= 0 && o.sock.Direct() {
		if n, ok := s.spliceable(); ok && o.sent+n == p.length {
			return o.splice(s)
		}
	}
	return o.body(p.body, p.length, p.chunked, p.trailer)
}

func (p *pump) fail(err error) { p.broken.Store(&err) }

// failure is why p interrupted the exchange.
func (p *pump) failure() error {
	if err := p.failureIfAny(); err != nil {
		return err
	}
	return p.u.client.reset("send body", socket.ErrInterrupted)
}

// failureIfAny is why p ended early, or nil.
func (p *pump) failureIfAny() error {
	broken := p.broken.Load()
	if broken == nil {
		return nil
	}
	return p.u.bodyFailure(*broken)
}

// bodyFailure makes an error of what ended a request's body: the listener's own error, a body that is not what it
// announced, or the connection.
func (u *upstreamConn) bodyFailure(err error) error {
	var e *protocol.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, errLengthMismatch):
		return u.client.failure(500, protocol.CodeInternal, "the gateway failed to handle the request", "send body", false, err)
	case errors.Is(err, protocol.ErrBodyClosed), errors.Is(err, context.Canceled):
		return u.client.clientGone(u.ctx, "send body", false)
	case errors.Is(err, socket.ErrTimeout):
		return u.client.timeout("send body", false, errBodyStalled)
	}
	return u.client.reset("send body", err)
}

// awaitsContinue reports whether the client wants to send its body only after 100 (Continue), and has not sent it yet
// (RFC 9110 section 10.1.1).
func awaitsContinue(req *protocol.Request) bool {
	return req.Body.Buffered() == 0 && !req.Body.Done() && listHas(req.Header.Value(protocol.NameExpect), "100-continue")
}
