package http2

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http2/hpack"
)

// respond sends resp. The caller ends it.
func (x *serverStream) respond(resp *protocol.Response) {
	if !sendable(&resp.Header) {
		open := x.req.OpenResponse()
		x.cfg.Logger.Warn("answer not sent: a header field is not valid", "listener", x.cfg.Name, "path", x.req.Path)
		open.Fail(errBadField)
		x.req.Record.Err = errBadField
		open.Status, open.Upgrade = http.StatusInternalServerError, false
		open.Header.Reset()
		x.sendHead(open, nil, protocol.UnknownLength)
		return
	}
	body, length := resp.Body, resp.ContentLength
	if resp.Upgrade {
		length = protocol.UnknownLength
	} else {
		switch {
		case protocol.NoBody(x.req.Method, resp.Status):
			if body = nil; resp.Status == http.StatusNotModified && length == 0 || resp.Status != http.StatusNotModified && x.req.Method != "HEAD" {
				length = protocol.UnknownLength // 0 would say that the resource has become empty, others are not allowed
			}
		case body == nil:
			length = 0
		}
	}
	if body == nil && resp.Upgrade {
		body = &x.made // an empty direction
		x.made.SetBytes(nil)
	}
	var first []byte
	more := true
	atHand := body != nil && !resp.Upgrade && (body.Buffered() > 0 || body.Done())
	if atHand {
		// The first piece goes with the head. If there is none after all, the client can still be told why.
		var err error
		if first, more, err = body.Next(); err != nil {
			resp.Fail(err)
			if resp = x.failed(err); resp != nil {
				x.respond(resp)
			}
			return
		}
	}
	x.sendHead(resp, body, length)
	if !atHand {
		x.conn.mu.Lock()
		x.conn.commit()
	}
	if body == nil {
		return
	}
	readErr, writeErr := x.sendBody(body, first, more, length, &resp.Trailer)
	switch {
	case writeErr != nil:
		x.lost(resp, writeErr)
	case readErr != nil:
		resp.Fail(readErr)
		x.req.Record.Err = readErr
	}
}

var errBadField = errors.New("a header field set by a filter is not valid")

// sendable reports whether all fields may be put on the wire: what a filter or an upstream brought must not become
// another field for whoever writes it down as HTTP/1.1.
func sendable(h *protocol.Header) bool {
	for i := range h.Len() {
		f := h.At(i)
		if f.ID() == protocol.NameOther && (!validToken(f.Name)) || !hpack.ValidValue(f.Value) {
			return false
		}
	}
	return true
}

// sendHead appends the answer's head. A nil body ends the stream.
func (x *serverStream) sendHead(resp *protocol.Response, body protocol.Body, length int64) {
	c := &x.conn.conn
	date := ""
	if _, ok := resp.Header.LookupKnown(protocol.NameDate); !ok {
		date = x.srv.httpDate()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x.answering, x.expects = true, false
	if !x.listed || x.sendEnd {
		return
	}
	status := resp.Status
	if resp.Upgrade {
		status = http.StatusOK // RFC 8441 section 5
	}
	start := c.beginHeaders()
	c.out = c.enc.Status(c.out, status)
	c.appendFields(&resp.Header, resp.Upgrade)
	if date != "" {
		c.out = c.enc.Known(c.out, protocol.NameDate, date)
	}
	if length >= 0 {
		var digits [20]byte
		c.out = c.enc.Once(c.out, protocol.NameContentLength, string(strconv.AppendInt(digits[:0], length, 10)))
	}
	c.endHeaders(start, x.id, body == nil)
	if body == nil {
		x.endSending()
	}
}

// appendFields appends all fields that are not HTTP/1's or ours. The lock is held, and the fields are sendable.
func (c *conn) appendFields(h *protocol.Header, upgraded bool) {
	for i := range h.Len() {
		f := h.At(i)
		switch id := f.ID(); {
		case id == protocol.NameOther:
			if upgraded && protocol.EqualFold(f.Name, acceptField) {
				continue // RFC 8441 section 5: it is HTTP/1.1's
			}
		case id == protocol.NameHost || id == protocol.NameContentLength || id.HopByHop():
			continue
		}
		c.out = c.enc.Field(c.out, f)
	}
}

// sendBody sends piece, which is the last one if there are no more, the pieces behind it as they come, and the trailers.
func (x *serverStream) sendBody(body protocol.Body, piece []byte, more bool, length int64, trailer *protocol.Header) (readErr, writeErr error) {
	c := &x.conn.conn
	for {
		x.sent += int64(len(piece))
		if length >= 0 && (x.sent > length || !more && x.sent != length) {
			return errLength, nil
		}
		trailers := !more && trailer.Len() > 0 && sendable(trailer)
		if len(piece) > 0 || !more && !trailers {
			if err := x.sendData(piece, !more && !trailers, x); err != nil {
				return nil, err
			}
		}
		if !more {
			c.mu.Lock()
			if trailers && x.listed && !x.sendEnd {
				x.appendTrailers(trailer)
			}
			err := x.err
			c.commit()
			return nil, err
		}
		if body.Buffered() == 0 && !body.Done() {
			c.mu.Lock()
			c.commit()
		}
		var err error
		if piece, more, err = body.Next(); err != nil {
			return err, nil
		}
	}
}

var errLength = errors.New("the body is not as long as its content-length")

// appendTrailers ends our side with a header block. The lock is held, and the fields are sendable.
func (s *stream) appendTrailers(h *protocol.Header) {
	c := s.c
	start := c.beginHeaders()
	c.appendFields(h, false)
	c.endHeaders(start, s.id, true)
	s.endSending()
}

// lost records that the client did not take the answer.
func (x *serverStream) lost(resp *protocol.Response, err error) {
	x.stalled = errors.Is(err, errWriteStalled)
	e := clientGone(err)
	resp.Fail(e)
	x.req.Record.Err = e
}

// writeStall implements sender.
func (x *serverStream) writeStall() int64 { return int64(max(x.cfg.Timeouts.Write, 0)) }

// Inform implements protocol.Informer.
func (x *serverStream) Inform(status int, header *protocol.Header) {
	if status < 100 || status > 199 || status == 101 || header != nil && !sendable(header) {
		return
	}
	c := &x.conn.conn
	c.mu.Lock()
	x.inform(status, header)
	c.commit()
}

// inform appends an interim head. The lock is held.
func (x *serverStream) inform(status int, header *protocol.Header) {
	if x.answering || !x.listed {
		return
	}
	if status == http.StatusContinue {
		x.expects = false
	}
	c := x.c
	start := c.beginHeaders()
	c.out = c.enc.Status(c.out, status)
	if header != nil {
		c.appendFields(header, false)
	}
	c.endHeaders(start, x.id, false)
}

// dateText is a rendered date field that is right until the time of protocol.Now.
type dateText struct {
	text  string
	until int64
}

// httpDate renders the time once a second.
func (s *Server) httpDate() string {
	now := protocol.Now()
	if d := s.date.Load(); d != nil && now < d.until {
		return d.text
	}
	t := time.Now()
	d := &dateText{text: t.UTC().Format(http.TimeFormat), until: now + int64(time.Second) - int64(t.Nanosecond())}
	s.date.Store(d)
	return d.text
}
