package http1

import (
	"context"
	"errors"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// outcome is how begin ended.
type outcome uint8

const (
	answered outcome = iota // the Response is in upstreamConn.resp
	failed                  // the error is final
	refused                 // the connection was closed while it was idle, and the request is untouched
	unsent                  // the connection took no byte of the request
	stale                   // a connection that had served before ended without a byte of an answer
)

// begin sends req and reads the head of its answer. After anything but answered the caller aborts.
func (u *upstreamConn) begin(ctx context.Context, req *protocol.Request) (outcome, error) {
	c := u.client
	u.ctx, u.req = ctx, req
	if i, ok := ctx.(protocol.Interrupter); ok {
		i.Interrupt(u.sock.Interrupt)
	}
	u.resp = req.NewResponse()
	u.resp.OnClose(u) // already now, for the case that a panic below leaves the Response to its listener
	u.sentAt, u.lasting = 0, false
	u.ended.Store(false)
	u.pump.reset()
	u.head.reset()
	ask := u.used && req.Body == nil && u.sock.Direct()
	if u.used && !ask && !u.quiet() {
		return refused, nil
	}
	how := requestFraming(req)
	if err := u.collectHead(how); err != nil {
		return failed, c.unsendable(err)
	}
	send := u.send
	if ask {
		send = u.ask
	}
	if result, err := send(how); result != answered {
		return result, err
	}
	result, err := u.answer()
	if result != answered {
		return result, err
	}
	u.used = true
	return answered, nil
}

// collectHead renders the head into the sending buffer.
func (u *upstreamConn) collectHead(how framing) error {
	o := &u.out
	o.begin()
	o.limit = socket.Limit{Until: u.req.Deadline, Stall: int64(u.client.cfg.BodyIdleTimeout)}
	room := o.space(socket.Small)
	head, err := appendRequestHead(room[:0], u.req, u.client.host(u.req), how)
	if err != nil {
		return err
	}
	if len(head) > len(room) { // outgrew the buffer
		o.buf.Release()
		o.buf = &socket.Buffer{B: head[:cap(head)]}
	}
	o.n = len(head)
	return nil
}

// ask is send for a request without a body on a connection that was idle: the look at the connection, the write and the
// first read are one step.
func (u *upstreamConn) ask(framing) (outcome, error) {
	o := &u.out
	out, n := o.buf, o.n
	u.sentAt = protocol.Now()
	buf, m, state, sent, err := u.sock.Ask(out, n, u.st.pool, socket.Small, u.headLimit())
	if state != socket.Quiet {
		return refused, nil
	}
	o.wire = sent > 0
	if sent < n {
		_, err = u.sock.Write(out.B[sent:n], o.limit)
		o.discard()
		return u.flushed(err)
	}
	o.buf, o.n = nil, 0
	if err != nil {
		if result, err := u.headFailed(err); err != nil {
			return result, err
		}
		return answered, nil
	}
	u.st.begin(buf, m)
	return answered, nil
}

// send sends the head with as much of the body as is at hand, and leaves the rest to a pump.
func (u *upstreamConn) send(how framing) (outcome, error) {
	o, req := &u.out, u.req
	if req.Upgrade != "" || req.Body == nil {
		return u.flushed(o.flush())
	}
	if awaitsContinue(req) {
		u.pump.prepare(how)
		u.pump.held = true
		return u.flushed(o.flush())
	}
	whole, readErr, writeErr := u.sendBuffered(how == framingChunked)
	switch {
	case readErr != nil:
		return failed, u.bodyFailure(readErr)
	case writeErr != nil:
		u.pump.spoiled = true
		return u.flushed(writeErr)
	case whole:
		u.sentAt = protocol.Now()
		return answered, nil
	}
	u.pump.prepare(how)
	u.pump.start()
	return answered, nil
}

// sendBuffered sends the head and the pieces of the body that are at hand. whole is true when that was all of it.
func (u *upstreamConn) sendBuffered(chunked bool) (whole bool, readErr, writeErr error) {
	o, b, length := &u.out, u.req.Body, u.req.ContentLength
	for o.sent < inlineLimit && length-o.sent <= inlineLimit {
		// Large pieces are the pump's: an instance that answers without reading them would block us here.
		if n := b.Buffered(); n > inlineLimit || n == 0 && !b.Done() {
			break
		}
		piece, more, err := b.Next()
		if err != nil {
			return false, err, nil
		}
		o.sent += int64(len(piece))
		if length >= 0 && (o.sent > length || !more && o.sent != length) {
			return false, errLengthMismatch, nil
		}
		more = more && o.sent != length
		if err := o.piece(piece, more, chunked, &u.req.Trailer); err != nil {
			return false, nil, err
		}
		if !more {
			return true, nil, o.flush()
		}
	}
	return false, nil, nil
}

// flushed judges the first write. An instance may answer and close before it has read everything, so an error of the
// write is not the last word: the answer is looked for all the same.
func (u *upstreamConn) flushed(err error) (outcome, error) {
	u.sentAt = protocol.Now()
	switch {
	case err == nil:
		return answered, nil
	case errors.Is(err, socket.ErrTimeout):
		return failed, u.client.timeout("send request", false, errBodyStalled)
	case u.used && !u.out.wire:
		e := u.client.reset("send request", err)
		e.NotSent = true
		return unsent, e
	}
	u.pump.spoiled = true
	return answered, nil
}
