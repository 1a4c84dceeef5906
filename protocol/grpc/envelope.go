package grpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sluice-gateway/sluice/protocol"
)

const (
	// prefixLen is the length of what precedes each message: a byte of flags and four of the length.
	prefixLen = 5

	flagCompressed = 0x01 // gRPC, gRPC-Web and Connect
	flagTrailers   = 0x80 // gRPC-Web

	// DefaultMessageLimit is what gRPC's own servers and clients accept by default.
	DefaultMessageLimit = 4 << 20
)

var (
	errTruncated   = errors.New("the stream ends within a message")
	errFlags       = errors.New("a message has flags that are not defined")
	errNotNamed    = errors.New("a message is compressed, and nothing says how")
	errOneMessage  = errors.New("more than one message where one was expected")
	errNoMessage   = errors.New("no message where one was expected")
	errUnsupported = errors.New("a message is compressed in a way that was not offered")
)

// limitError is a message that is larger than allowed.
type limitError struct{ limit int }

func (e *limitError) Error() string {
	return fmt.Sprintf("a message is larger than the limit of %d bytes", e.limit)
}

// putPrefix writes the prefix of a message of n bytes.
func putPrefix(dst []byte, flags byte, n int) {
	dst[0] = flags
	binary.BigEndian.PutUint32(dst[1:prefixLen], uint32(n))
}

// envelopes takes a body apart into its messages. It holds one piece, and of a message only what a piece before brought.
type envelopes struct {
	body  protocol.Body
	limit int

	piece []byte // what is left of the piece that was handed over last
	ended bool   // no piece will follow it
	held  []byte // a message that did not come in one piece
}

// reset prepares e for another body. It keeps its memory.
func (e *envelopes) reset(body protocol.Body, limit int) {
	e.body, e.limit, e.piece, e.ended = body, limit, nil, body == nil
	if cap(e.held) > keptBuffer {
		e.held = nil
	}
	e.held = e.held[:0]
}

// keptBuffer is the largest buffer that is kept for the next exchange.
const keptBuffer = 64 << 10

// next returns the next message and its flags. The message is valid until the next call. io.EOF is the end after a whole
// message; the trailers are there by then.
func (e *envelopes) next() (flags byte, message []byte, err error) {
	e.held = e.held[:0]
	head, err := e.take(prefixLen, 0)
	if err != nil {
		return 0, nil, err
	}
	flags = head[0]
	n := binary.BigEndian.Uint32(head[1:prefixLen])
	if uint64(n) > uint64(e.limit) {
		return 0, nil, &limitError{e.limit}
	}
	e.held = e.held[:0]
	message, err = e.take(int(n), prefixLen)
	return flags, message, err
}

// take returns the next n bytes: a part of the piece if they all are in it. after is what was read of the message before.
func (e *envelopes) take(n, after int) ([]byte, error) {
	for {
		if have := len(e.held) + len(e.piece); have >= n {
			break
		}
		e.held = append(e.held, e.piece...)
		e.piece = nil
		if e.ended {
			if len(e.held)+after > 0 {
				return nil, errTruncated
			}
			return nil, io.EOF
		}
		piece, more, err := e.body.Next()
		if err != nil {
			return nil, err
		}
		e.piece, e.ended = piece, !more
	}
	if len(e.held) == 0 {
		message := e.piece[:n]
		e.piece = e.piece[n:]
		return message, nil
	}
	rest := n - len(e.held)
	e.held = append(e.held, e.piece[:rest]...)
	e.piece = e.piece[rest:]
	return e.held, nil
}

// ready reports whether next can return a message without waiting.
func (e *envelopes) ready() bool {
	return len(e.piece) >= prefixLen && uint64(len(e.piece)-prefixLen) >= uint64(binary.BigEndian.Uint32(e.piece[1:prefixLen]))
}

// drained reports whether nothing is left, known without waiting.
func (e *envelopes) drained() bool {
	return len(e.piece) == 0 && (e.ended || e.body.Done())
}
