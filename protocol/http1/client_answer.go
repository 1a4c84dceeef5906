package http1

import (
	"runtime"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// accept makes the Response of a final head.
func (u *upstreamConn) accept(status int, version protocol.Version) error {
	hd, resp, req := &u.head, u.resp, u.req
	if err := hd.framing(version); err != nil {
		return err
	}
	hd.dropNamed(&resp.Header)
	resp.Status, resp.ContentLength = status, hd.contentLength
	u.lasting = !hd.close && (version >= protocol.HTTP11 || hd.keepAlive)
	if hd.keptFor != "" {
		u.keepAlive = keepAliveTime(hd.keptFor)
	}

	kind, length := bodyClose, int64(0)
	switch {
	case status == 101:
		if req.Upgrade == "" || !protocol.EqualFold(hd.upgrade, req.Upgrade) {
			return errUnasked
		}
		u.lasting, resp.Upgrade = false, true
		resp.ContentLength = protocol.UnknownLength
		if req.Body != nil {
			u.pump.prepare(framingNone)
			u.pump.start()
		}
	case protocol.NoBody(req.Method, status):
		kind = bodyNone
		if status == 204 {
			resp.ContentLength = protocol.UnknownLength // RFC 9110 section 8.6: never sent with 204
		}
	case hd.chunked:
		kind = bodyChunked
	case hd.contentLength >= 0:
		kind, length = bodyFixed, hd.contentLength
	default:
		u.lasting = false
	}
	u.waited, u.again = 0, false
	u.body.start(&u.st, u, kind, length, 0, &resp.Trailer)
	if kind == bodyNone && !u.pump.active {
		return nil // a nil Body; Finish does what is left
	}
	resp.Body = &u.body
	return nil
}

// keepAliveTime is for how long a connection may be idle by what the instance announced in Keep-Alive
// (draft-thomson-hybi-http-timeout, and everybody: "timeout=5, max=100"), less a margin for a request under way while the
// instance closes; 0 if it did not say.
func keepAliveTime(list string) int64 {
	for param := ""; list != ""; {
		param, list = nextToken(list)
		name, value, _ := strings.Cut(param, "=")
		seconds, ok := parseLength(value)
		if !ok || seconds > 1e9 || !protocol.EqualFold(name, "timeout") {
			continue
		}
		t := seconds * int64(time.Second)
		return max(t-min(int64(time.Second), t/2), 1)
	}
	return 0
}

// answerBody is the Response's Body: what comes from the instance, and the duty to stop who sends to it.
type answerBody struct {
	inbound
	u *upstreamConn
}

// Close implements protocol.Body. It waits until the request's body is in nobody's hands.
func (b *answerBody) Close() error {
	u := b.u
	if u.ended.Load() {
		return nil
	}
	if b.busy.Load() {
		// Somebody waits in Next, so this is another goroutine: it only wakes it, and Finish does the rest.
		return b.inbound.Close()
	}
	u.ended.Store(true)
	u.stopPump()
	if u.lasting && !u.pump.spoiled && !b.done {
		u.drain()
	}
	return b.inbound.Close()
}

// drain reads the rest of an answer if it is here already and small: cheaper than another connection.
func (u *upstreamConn) drain() {
	for n := 0; n <= drainLimit; {
		piece, more, err := u.body.Next()
		if err != nil || !more {
			return
		}
		n += len(piece)
	}
}

// stopPump sees to it that nobody reads the request's body or writes to the connection any more.
func (u *upstreamConn) stopPump() {
	p := &u.pump
	if !p.active {
		return
	}
	p.active = false
	if p.held {
		p.spoiled = true // the body was announced and never sent
		return
	}
	for i := 0; i < lastWriteYields && p.ending.Load() && len(p.done) == 0; i++ {
		runtime.Gosched()
	}
	if p.ending.Load() && len(p.done) == 0 {
		// The instance has answered because it has the whole request, and the worker has only to notice; or it does not
		// care for the rest, and the worker is stuck in its last write.
		if p.patience == nil {
			p.patience = time.NewTimer(lastWritePatience)
		} else {
			p.patience.Reset(lastWritePatience)
		}
		select {
		case <-p.done:
			p.done <- struct{}{}
		case <-p.patience.C:
		}
		p.patience.Stop()
	}
	if len(p.done) == 0 {
		p.spoiled = true
		_ = p.body.Close() // wakes its reader
		u.shut()           // wakes its writer
	}
	<-p.done
	if p.broken.Load() != nil {
		p.spoiled = true
	}
}

// A worker that has only to notice is done after a few yields, which cost less than a timer; when the machine is busy it
// takes longer.
const (
	lastWriteYields   = 20
	lastWritePatience = 20 * time.Millisecond
)

// beforeRead implements source.
func (u *upstreamConn) beforeRead() (socket.Limit, error) {
	if u.ended.Load() {
		return socket.Limit{Until: 1}, nil // draining: what is not here is not waited for
	}
	if !u.again {
		u.waited = 0
	}
	u.again = false
	if u.resp.Upgrade {
		return socket.Limit{}, nil
	}
	limit := socket.Limit{Until: u.req.Deadline, Stall: int64(wakeInterval)}
	if idle := int64(u.client.cfg.BodyIdleTimeout); idle > 0 {
		limit.Stall = max(1, min(limit.Stall, idle-u.waited))
	}
	return limit, nil
}

// readFailed implements source.
func (u *upstreamConn) readFailed(err error) error {
	c := u.client
	if u.ended.Load() {
		return err
	}
	switch err {
	case socket.ErrTimeout:
		idle := int64(c.cfg.BodyIdleTimeout)
		u.waited += int64(wakeInterval)
		switch {
		case u.req.Deadline != 0 && protocol.Now() >= u.req.Deadline:
			return u.fail(c.timeout("read body", false, errAnswerLate))
		case idle > 0 && u.waited >= idle:
			return u.fail(c.timeout("read body", false, errBodyStalled))
		case u.ctx.Err() != nil:
			return u.fail(c.clientGone(u.ctx, "read body", false))
		}
		u.again = true
		return nil
	case socket.ErrInterrupted:
		if u.body.closed.Load() {
			return protocol.ErrBodyClosed
		}
		return u.fail(u.pump.failure())
	}
	return u.fail(c.reset("read body", err))
}

// malformed implements source.
func (u *upstreamConn) malformed(err error) error {
	if err == errTruncated {
		return u.fail(u.client.reset("read body", err))
	}
	return u.fail(u.client.malformed("read body", err))
}

// fail records why the answer is not whole.
func (u *upstreamConn) fail(err error) error {
	u.lasting = false
	u.resp.Fail(err)
	return err
}
