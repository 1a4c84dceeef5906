package http1

import (
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// outbound is the sending side of a connection. It collects a head and small pieces in one buffer, so that a small message
// is one write, and sends larger pieces beside it by writev. It holds a buffer only while something is collected.
type outbound struct {
	sock    *socket.Conn
	pool    *socket.Pool
	splicer *socket.Splicer
	limit   socket.Limit // the longest time in which the peer takes nothing

	buf  *socket.Buffer
	n    int // collected in buf
	vec  [3][]byte
	sent int64 // body bytes handed to the socket or collected
	wire bool  // something of this message is on the wire

	ending *atomic.Bool // if not nil, told by body when nothing is left to read but what is being written
}

// errLengthMismatch is a body that is longer or shorter than its ContentLength said.
var errLengthMismatch = errors.New("body does not have the announced length")

// begin makes o ready for the next message.
func (o *outbound) begin() { o.n, o.sent, o.wire = 0, 0, false }

// discard forgets what was collected and not sent.
func (o *outbound) discard() {
	o.n = 0
	o.buf.Release()
	o.buf = nil
}

// space makes room for n bytes behind what is collected.
func (o *outbound) space(n int) []byte {
	if o.buf == nil {
		o.buf = o.pool.Get(max(n, socket.Small))
	} else if len(o.buf.B)-o.n < n {
		b := o.pool.Get(max(o.n+n, 2*len(o.buf.B)))
		copy(b.B, o.buf.B[:o.n])
		o.buf.Release()
		o.buf = b
	}
	return o.buf.B[o.n:]
}

func (o *outbound) str(s string) { o.n += copy(o.space(len(s)), s) }

func (o *outbound) int(v int64) {
	o.n += len(strconv.AppendInt(o.space(20)[:0], v, 10))
}

// field collects one field line. A value that holds a line break or another control character, which only a Handler can
// have made, is sent with blanks in their place; a field whose name is no token is left out. So nothing that a filter
// copied from a request can end a line.
func (o *outbound) field(f *protocol.Field) {
	if f.ID() == protocol.NameOther && (f.Name == "" || !validToken(f.Name)) {
		return
	}
	o.rawField(f.Name, f.Value)
}

func (o *outbound) rawField(name, value string) {
	b := o.space(len(name) + len(value) + 4)
	i := copy(b, name)
	i += copy(b[i:], ": ")
	v := b[i : i+copy(b[i:], value)]
	for k := scanValue(v); k < len(v); k += scanValue(v[k:]) {
		v[k] = ' '
	}
	i += len(v)
	i += copy(b[i:], "\r\n")
	o.n += i
}

func validToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&classToken == 0 {
			return false
		}
	}
	return s != ""
}

// fields collects all of h but what concerns one connection only, or frames the message.
func (o *outbound) fields(h *protocol.Header) {
	for i := range h.Len() {
		f := h.At(i)
		if id := f.ID(); id == protocol.NameContentLength || id.HopByHop() {
			continue
		}
		o.field(f)
	}
}

// flush sends what is collected.
func (o *outbound) flush() error {
	if o.n == 0 {
		return nil
	}
	n, err := o.sock.Write(o.buf.B[:o.n], o.limit)
	o.wire = o.wire || n > 0
	o.discard()
	return err
}

// body sends b behind the collected head and flushes. length is the announced length or protocol.UnknownLength; chunked
// says how an unknown length is framed (false: the connection's end is the body's end). trailer, which may be nil, is
// rendered when b has ended. Errors of b and of the connection are told apart.
func (o *outbound) body(b protocol.Body, length int64, chunked bool, trailer *protocol.Header) (readErr, writeErr error) {
	for {
		if o.n > 0 && b.Buffered() == 0 && !b.Done() {
			// Nothing follows at once: what we have shall not wait (server-sent events, slow answers).
			if err := o.flush(); err != nil {
				return nil, err
			}
		}
		piece, more, err := b.Next()
		if err != nil {
			return err, nil
		}
		o.sent += int64(len(piece))
		if length >= 0 && (o.sent > length || !more && o.sent != length) {
			o.sent -= int64(len(piece))
			return errLengthMismatch, nil
		}
		more = more && o.sent != length // a body need not know that it was its last piece
		if !more {
			o.end()
		}
		if err := o.piece(piece, more, chunked, trailer); err != nil {
			return nil, err
		}
		if !more {
			return nil, o.flush()
		}
		if s, ok := b.(splicer); ok && length >= 0 && o.sock.Direct() {
			if n, ok := s.spliceable(); ok && o.sent+n == length {
				return o.splice(s)
			}
		}
	}
}

func (o *outbound) end() {
	if o.ending != nil {
		o.ending.Store(true)
	}
}

func (o *outbound) splice(s splicer) (readErr, writeErr error) {
	o.end()
	if err := o.flush(); err != nil {
		return nil, err
	}
	n, readErr, writeErr := s.spliceTo(o.splicer, o.sock, o.limit)
	o.sent += n
	return readErr, writeErr
}

// piece collects a small piece, or sends a large one together with what is collected.
func (o *outbound) piece(p []byte, more, chunked bool, trailer *protocol.Header) error {
	if chunked && len(p) > 0 {
		o.n += len(strconv.AppendInt(o.space(20)[:0], int64(len(p)), 16))
		o.str("\r\n")
	}
	if o.n+len(p) <= socket.Small-64 {
		o.n += copy(o.space(len(p)), p)
		o.chunkEnd(len(p) > 0, more, chunked, trailer)
		return nil
	}
	before := o.n
	o.chunkEnd(true, more, chunked, trailer)
	k := 0
	add := func(b []byte) {
		if len(b) > 0 {
			o.vec[k] = b
			k++
		}
	}
	if o.buf != nil {
		add(o.buf.B[:before])
	}
	add(p)
	if o.n > before {
		add(o.buf.B[before:o.n])
	}
	n, err := o.sock.Writev(o.vec[:k], o.limit)
	o.wire = o.wire || n > 0
	clear(o.vec[:])
	o.discard()
	return err
}

func (o *outbound) chunkEnd(data, more, chunked bool, trailer *protocol.Header) {
	if !chunked {
		return
	}
	if data {
		o.str("\r\n")
	}
	if more {
		return
	}
	o.str("0\r\n")
	if trailer != nil {
		for i := range trailer.Len() {
			if f := trailer.At(i); !forbiddenTrailer(f.ID()) {
				o.field(f)
			}
		}
	}
	o.str("\r\n")
}
