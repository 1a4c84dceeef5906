package http1

import (
	"io"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// source is whoever owns the connection that a body is read from: a server's exchange or a client's call. It says how long
// to wait, and turns what went wrong on the wire into what the body's reader shall see.
type source interface {
	// beforeRead is asked before each read that may have to wait.
	beforeRead() (socket.Limit, error)
	// readFailed is told that a read ended with err (socket.ErrTimeout, say). nil means to try again.
	readFailed(err error) error
	// malformed translates a violation of the framing, errTruncated among them.
	malformed(err error) error
}

// bodyKind is how the end of a body is found.
type bodyKind uint8

const (
	bodyNone    bodyKind = iota
	bodyFixed            // Content-Length
	bodyChunked          // Transfer-Encoding: chunked
	bodyClose            // until the connection ends: HTTP/1.0 answers, and upgraded connections
)

// inbound is a message's body as it comes from a connection. It implements protocol.Body and lives in a pooled exchange;
// start makes it ready.
type inbound struct {
	st      *stream
	src     source
	kind    bodyKind
	done    bool
	broke   error // what every further Next returns
	left    int64 // bytes that lack: of the body (fixed), of the current chunk (chunked)
	start0  int   // where the body begins in the head's buffer, for Rewind
	length  int64
	seen    atomic.Int64 // bytes handed over; the listener looks while another goroutine reads
	limit   int64        // most bytes of a chunked body; 0 is no limit
	chunk   chunkState
	trailer *protocol.Header
	ended   *endSignal // fires when Next has returned the end, and at Close; nil unless somebody waits for that

	closed atomic.Bool
	busy   atomic.Bool // a goroutine is in Next
}

// start makes b the body of the message whose head was just consumed from st. length counts for bodyFixed only, limit and
// trailer for bodyChunked only.
func (b *inbound) start(st *stream, src source, kind bodyKind, length, limit int64, trailer *protocol.Header) {
	b.st, b.src, b.kind, b.length, b.limit, b.trailer = st, src, kind, length, limit, trailer
	b.start0, b.ended = st.r, nil
	b.seen.Store(0)
	b.closed.Store(false)
	b.busy.Store(false)
	b.restart()
}

func (b *inbound) restart() {
	b.broke = nil
	b.left = 0
	b.chunk = chunkState{}
	b.done = b.kind == bodyNone
	if b.kind == bodyFixed {
		b.left, b.done = b.length, b.length == 0
	}
}

// Next implements protocol.Body.
func (b *inbound) Next() ([]byte, bool, error) {
	// Close looks at busy after it has set closed, Next the other way round: one of them sees the other.
	b.busy.Store(true)
	defer b.busy.Store(false)
	if b.closed.Load() {
		return nil, false, protocol.ErrBodyClosed
	}
	if b.broke != nil {
		return nil, false, b.broke
	}
	if b.done {
		return nil, false, nil
	}
	var piece []byte
	var err error
	switch b.kind {
	case bodyFixed:
		piece, err = b.nextFixed()
	case bodyChunked:
		piece, err = b.nextChunk()
	default:
		piece, err = b.nextUntilClose()
	}
	if err != nil {
		if b.closed.Load() {
			err = protocol.ErrBodyClosed
		}
		b.broke = err
		b.ended.fire()
		return nil, false, err
	}
	if b.done {
		b.ended.fire()
	}
	b.seen.Add(int64(len(piece)))
	return piece, !b.done, nil
}

func (b *inbound) nextFixed() ([]byte, error) {
	if b.st.buffered() == 0 {
		if err := b.fill(b.left, true); err != nil {
			return nil, err
		}
	}
	piece := b.take(b.left)
	b.left -= int64(len(piece))
	b.done = b.left == 0
	return piece, nil
}

func (b *inbound) nextUntilClose() ([]byte, error) {
	if b.st.buffered() == 0 {
		switch err := b.fillRaw(-1, false); err {
		case nil:
		case io.EOF:
			b.done = true
			return nil, nil
		default:
			return nil, err
		}
	}
	return b.take(int64(b.st.buffered())), nil
}

// take consumes at most max bytes of the window.
func (b *inbound) take(max int64) []byte {
	piece := b.st.window()
	if int64(len(piece)) > max {
		piece = piece[:max:max]
	}
	b.st.consume(len(piece))
	return piece
}

// fill reads more into the window; the end of the connection is an error. want and exact are stream.fill's.
func (b *inbound) fill(want int64, exact bool) error {
	err := b.fillRaw(want, exact)
	if err == io.EOF {
		return b.src.malformed(errTruncated)
	}
	return err
}

// fillRaw is fill that lets io.EOF through.
func (b *inbound) fillRaw(want int64, exact bool) error {
	for {
		if b.closed.Load() { // looked at after readFailed may have ended an interruption
			return protocol.ErrBodyClosed
		}
		limit, err := b.src.beforeRead()
		if err != nil {
			return err
		}
		err = b.st.fill(want, exact, limit)
		if err == nil || err == io.EOF {
			return err
		}
		if err = b.src.readFailed(err); err != nil {
			return err
		}
	}
}

// Buffered implements protocol.Body.
func (b *inbound) Buffered() int {
	switch {
	case b.done || b.broke != nil || b.closed.Load():
		return 0
	case b.kind == bodyChunked:
		b.advance()
		fallthrough
	case b.kind == bodyFixed:
		return int(min(b.left, int64(b.st.buffered())))
	}
	return b.st.buffered()
}

// Done implements protocol.Body.
func (b *inbound) Done() bool {
	if b.kind == bodyChunked && !b.done && b.broke == nil && !b.closed.Load() {
		b.advance()
	}
	return b.done
}

// Rewind implements protocol.Body. It works while all that was handed over still lies behind the head.
func (b *inbound) Rewind() bool {
	switch {
	case b.kind == bodyNone:
		return true
	case b.closed.Load() || b.broke != nil:
		return false
	case b.seen.Load() == 0 && !b.done:
		return true
	case b.kind == bodyClose || !b.st.inHead():
		return false
	}
	b.st.r = b.start0
	b.seen.Store(0)
	if b.trailer != nil {
		b.trailer.Reset()
	}
	b.restart()
	return true
}

// Close implements protocol.Body. It may come from another goroutine and wakes a Next that waits. What is left of the body
// is the connection's owner's business.
func (b *inbound) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if b.busy.Load() {
		b.st.sock.Interrupt()
	}
	b.ended.fire()
	return nil
}

// whole reports whether the body was consumed to its end.
func (b *inbound) whole() bool { return b.done && b.broke == nil }
