package grpc

import (
	"context"
	"encoding/binary"

	"github.com/sluice-gateway/sluice/protocol"
)

// Native is the filter of gRPC that stays gRPC. Other requests pass untouched.
type Native struct {
	// MessageLimit bounds each message in bytes, in either direction. 0 is no limit.
	MessageLimit int
}

// Filter is Native as a protocol.Filter. It obeys grpc-timeout and passes on what is left of it, tells the client by a status
// what else would be an answer that is no gRPC, or a stream that breaks off, and holds messages to the limit.
func (n Native) Filter(target protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if !IsCall(req) {
			return target.Serve(ctx, req)
		}
		if err := ApplyTimeout(req); err != nil {
			return nil, err
		}
		if err := PassTimeout(req); err != nil {
			return nil, err
		}
		if n.MessageLimit > 0 && req.Body != nil {
			was := req.Body
			req.Body = &limited{Body: was, meter: meter{limit: n.MessageLimit}}
			defer func() { req.Body = was }()
		}
		resp, err := target.Serve(ctx, req)
		if err != nil {
			return nil, late(err, req.Deadline)
		}
		n.mend(req, resp)
		return resp, nil
	})
}

// mend sees to it that the client gets a status whatever happens.
func (n Native) mend(req *protocol.Request, resp *protocol.Response) {
	if _, ok := ReadStatus(&resp.Header); ok {
		return
	}
	if mediaType := resp.Header.Value(protocol.NameContentType); resp.Status != 200 || !isGRPC(mediaType) {
		retell(resp, statusOfHTTP(resp), contentType)
		return
	}
	if resp.Body == nil {
		s := Status{Code: Internal, Message: errNoStatus.Error()}
		s.Append(&resp.Header)
		return
	}
	resp.Body = &mended{Body: resp.Body, resp: resp, deadline: req.Deadline, meter: meter{limit: n.MessageLimit}}
}

// mended is the body of an answer that ends with a status, also when it breaks off.
type mended struct {
	protocol.Body
	resp     *protocol.Response
	deadline int64
	meter    meter
	over     bool
}

// Next implements protocol.Body.
func (m *mended) Next() ([]byte, bool, error) {
	if m.over {
		return nil, false, nil
	}
	piece, more, err := m.Body.Next()
	if err == nil && m.meter.limit > 0 {
		if tooLarge := m.meter.pass(piece); tooLarge != nil {
			err = &protocol.Error{Status: 502, Code: protocol.CodeBodyTooLarge, Message: tooLarge.Error(), Cause: tooLarge}
		}
	}
	switch {
	case err != nil:
		m.over = true
		m.resp.Fail(err)
		s := statusOf(err, m.deadline)
		m.resp.Trailer.Reset()
		s.Append(&m.resp.Trailer)
		return nil, false, nil
	case !more:
		m.over = true
		if _, ok := m.resp.Trailer.Lookup(fieldStatus); !ok {
			s := Status{Code: Internal, Message: errNoStatus.Error()}
			s.Append(&m.resp.Trailer)
		}
	}
	return piece, more, nil
}

// Buffered implements protocol.Body.
func (m *mended) Buffered() int {
	if m.over {
		return 0
	}
	return m.Body.Buffered()
}

// Done implements protocol.Body.
func (m *mended) Done() bool { return m.over }

// limited is a request's body whose messages are held to a limit.
type limited struct {
	protocol.Body
	meter meter
}

// Next implements protocol.Body.
func (l *limited) Next() ([]byte, bool, error) {
	piece, more, err := l.Body.Next()
	if err == nil {
		if tooLarge := l.meter.pass(piece); tooLarge != nil {
			return nil, false, protocol.ErrBodyTooLarge.With(tooLarge)
		}
	}
	return piece, more, err
}

// Rewind implements protocol.Body.
func (l *limited) Rewind() bool {
	if !l.Body.Rewind() {
		return false
	}
	l.meter = meter{limit: l.meter.limit}
	return true
}

// meter watches messages pass, without holding any of them.
type meter struct {
	limit int
	head  [prefixLen]byte
	have  int   // of head
	left  int64 // of the message
}

// pass looks at a piece.
func (m *meter) pass(piece []byte) error {
	for len(piece) > 0 {
		if m.left > 0 {
			n := min(m.left, int64(len(piece)))
			m.left -= n
			piece = piece[n:]
			continue
		}
		n := copy(m.head[m.have:], piece)
		piece = piece[n:]
		if m.have += n; m.have < prefixLen {
			return nil
		}
		m.have, m.left = 0, int64(binary.BigEndian.Uint32(m.head[1:]))
		if m.left > int64(m.limit) {
			return &limitError{m.limit}
		}
	}
	return nil
}
