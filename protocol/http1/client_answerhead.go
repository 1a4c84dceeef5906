package http1

import (
	"errors"
	"io"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// answer reads interim answers and the head of the final one.
func (u *upstreamConn) answer() (outcome, error) {
	for interims := 0; ; interims++ {
		status, version, result, err := u.readHead()
		if err != nil {
			return result, err
		}
		if status >= 200 || status == 101 {
			if err := u.accept(status, version); err != nil {
				return failed, u.client.malformed("read head", err)
			}
			return answered, nil
		}
		if interims == maxInterims {
			return failed, u.client.malformed("read head", errManyInterims)
		}
		u.head.dropNamed(&u.resp.Header)
		if u.req.Informer != nil {
			u.req.Informer.Inform(status, &u.resp.Header)
		}
		u.resp.Header.Reset()
		if status == 100 {
			u.pump.release()
		}
	}
}

// maxInterims bounds 1xx answers to one request: an instance that sends nothing else would keep us for ever.
const maxInterims = 64

// readHead reads one status line with its fields. The window then begins with what follows.
func (u *upstreamConn) readHead() (status int, version protocol.Version, result outcome, err error) {
	max := u.client.cfg.MaxHeaderBytes
	h := &u.resp.Header
	u.head.reset()
	line := 0
	for {
		if w := u.st.window(); len(w) > 0 {
			if line == 0 {
				status, version, line, err = statusLine(w)
				u.fields = fieldParser{pos: line, maxCount: u.client.cfg.MaxHeaderCount}
			}
			done := false
			if err == nil && line > 0 {
				done, err = u.fields.parse(w, h, &u.head)
			}
			if err == nil && (u.fields.pos > max || !done && len(w) >= max) {
				err = errHeadTooLarge
			}
			if err != nil {
				return 0, 0, failed, u.client.malformed("read head", err)
			}
			if done {
				u.st.consume(u.fields.pos)
				return status, version, answered, nil
			}
		}
		moved, err := u.st.fillHead(max, u.headLimit())
		if err != nil {
			if result, err = u.headFailed(err); err != nil {
				return 0, 0, result, err
			}
		}
		if moved {
			// Strings of the head so far point into a buffer that is gone.
			h.Reset()
			u.head.reset()
			line = 0
		}
	}
}

// statusLine parses the first line of an answer (RFC 9112 section 4). n is its length with CRLF, 0 while it is incomplete;
// what cannot become a status line is refused at once. The blank before a missing reason may be missing too.
func statusLine(b []byte) (status int, version protocol.Version, n int, err error) {
	const form = "HTTP/1.d ddd"
	for i := 0; i < len(form); i++ {
		if i == len(b) {
			return 0, 0, 0, nil
		}
		if want := form[i]; b[i] != want && (want != 'd' || b[i] < '0' || b[i] > '9') {
			return 0, 0, 0, errStatusLine
		}
	}
	status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	version = protocol.HTTP11
	if b[7] == '0' {
		version = protocol.HTTP10
	}
	if status < 100 || status > 599 || b[7] > '1' {
		return 0, 0, 0, errStatusLine
	}
	rest := b[len(form):]
	end := scanValue(rest)
	switch {
	case len(rest) > 0 && rest[0] != ' ' && rest[0] != '\r', end > maxReason:
		return 0, 0, 0, errStatusLine
	case end == len(rest), end+1 == len(rest) && rest[end] == '\r':
		return 0, 0, 0, nil
	case rest[end] != '\r' || rest[end+1] != '\n':
		return 0, 0, 0, errStatusLine
	}
	return status, version, len(form) + end + 2, nil
}

const maxReason = 1 << 10

var errStatusLine = &parseError{text: "the status line is not valid"}

// headLimit says how long the next read of a head may wait. Waking early costs little and shows whether the client left.
func (u *upstreamConn) headLimit() socket.Limit {
	limit := socket.Limit{Until: u.req.Deadline, Stall: int64(wakeInterval)}
	timeout := int64(u.client.cfg.ResponseTimeout)
	if timeout <= 0 {
		return limit
	}
	sent := u.sentAt
	if u.pump.active {
		if sent = u.pump.sentAt.Load(); sent == 0 {
			limit.Stall = min(limit.Stall, timeout)
			return limit
		}
	}
	if by := sent + timeout; limit.Until == 0 || by < limit.Until {
		limit.Until = by
	}
	return limit
}

// headFailed judges a read of a head that failed. A nil error means to read on.
func (u *upstreamConn) headFailed(err error) (outcome, error) {
	c := u.client
	switch {
	case err == socket.ErrInterrupted:
		if _, ok := u.ctx.(protocol.Interrupter); ok && u.pump.failureIfAny() == nil {
			return failed, c.clientGone(u.ctx, "read head", false)
		}
		return failed, u.pump.failure()
	case err == socket.ErrTimeout:
		if err := u.headOverdue(); err != nil {
			return failed, err
		}
		u.pump.release() // a body that waits for 100 waits no longer than one wake-up
		return failed, nil
	}
	if e := u.pump.failureIfAny(); e != nil {
		return failed, e
	}
	if err == io.EOF {
		err = errEarlyEnd
	}
	var p *parseError
	if errors.As(err, &p) {
		return failed, c.malformed("read head", err)
	}
	e := c.reset("read head", err)
	if u.used && u.st.buffered() == 0 && u.st.head == nil {
		return stale, e
	}
	return failed, e
}

// headOverdue is asked when the wait for a head woke: nil means that there is time left.
func (u *upstreamConn) headOverdue() error {
	now := protocol.Now()
	if by := u.headLimit().Until; by != 0 && now >= by {
		return u.client.timeout("read head", false, errAnswerLate)
	}
	if u.ctx.Err() != nil {
		return u.client.clientGone(u.ctx, "read head", false)
	}
	return nil
}
