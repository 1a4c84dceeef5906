package protocol

import (
	"errors"
	"io"
)

// UnknownLength is the ContentLength of a body whose size is known only at its end.
const UnknownLength int64 = -1

// Body hands over content in pieces, so that a connection's window can be written to another connection without a copy.
//
// One goroutine at a time calls Next; Close may be called from another one and makes a blocked Next return.
type Body interface {
	// Next returns the next piece, blocking until there is one. piece is valid until the next call of Next or Close and
	// must not be changed. more is false with the last piece (which may be empty); trailers are set by then. After an
	// error, or after more was false, Next returns no further data.
	Next() (piece []byte, more bool, err error)

	// Buffered says how many bytes the next Next can return without blocking, so that a writer knows whether to send
	// what it has or to wait and send more at once. A body that is at its end reports 0; see Done.
	Buffered() int

	// Done reports whether everything has been handed over: Next would return an empty last piece without blocking.
	Done() bool

	// Rewind puts the body back to its start for a retry and reports whether that was possible: it is as long as
	// nothing has left the window.
	Rewind() bool

	// Close gives the body up, read or unread. It is safe to call twice.
	Close() error
}

// ErrBodyClosed is returned by Next after Close.
var ErrBodyClosed = errors.New("body is closed")

// Bytes is a Body over memory, for answers that the gateway makes itself.
type Bytes struct {
	data []byte
	done bool
}

// NewBytes returns a Body that hands over data in one piece. data must stay unchanged until Close.
func NewBytes(data []byte) *Bytes { return &Bytes{data: data} }

// SetBytes makes b hand over data from its start; it lets a pooled Bytes be used again.
func (b *Bytes) SetBytes(data []byte) { b.data, b.done = data, false }

// Next implements Body.
func (b *Bytes) Next() ([]byte, bool, error) {
	if b.done {
		return nil, false, nil
	}
	b.done = true
	return b.data, false, nil
}

// Buffered implements Body.
func (b *Bytes) Buffered() int {
	if b.done {
		return 0
	}
	return len(b.data)
}

// Done implements Body.
func (b *Bytes) Done() bool { return b.done || len(b.data) == 0 }

// Rewind implements Body.
func (b *Bytes) Rewind() bool { b.done = false; return true }

// Close implements Body.
func (b *Bytes) Close() error { b.done = true; return nil }

// ReadAll appends the rest of body to dst. It stops with ErrBodyTooLarge when more than limit bytes came; dst then holds
// what was read. A nil body is empty.
func ReadAll(dst []byte, body Body, limit int64) ([]byte, error) {
	if body == nil {
		return dst, nil
	}
	var n int64
	for {
		piece, more, err := body.Next()
		n += int64(len(piece))
		if n > limit {
			return dst, ErrBodyTooLarge
		}
		dst = append(dst, piece...)
		if err != nil || !more {
			return dst, err
		}
	}
}

// ErrBodyTooLarge is returned when a body exceeds a limit.
var ErrBodyTooLarge = &Error{Status: 413, Code: CodeBodyTooLarge, Message: "the request body is larger than this route allows"}

// Reader adapts a Body to io.Reader for code that wants one.
type Reader struct {
	Body  Body
	piece []byte
	end   bool
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.end || r.Body == nil {
			return 0, io.EOF
		}
		piece, more, err := r.Body.Next()
		if err != nil {
			return 0, err
		}
		r.piece, r.end = piece, !more
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}
