package http1

import (
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// stream is the receiving side of a connection: a window of unread bytes in a pooled buffer.
//
// The buffer in which a message's head lies is kept until release, because strings point into it. The body is read into
// its free end as long as that suffices (then the body can be rewound), and else into buffers of its own, which come and
// go. While a stream waits it holds no buffer but the head's.
type stream struct {
	sock *socket.Conn
	pool *socket.Pool

	head *socket.Buffer // holds the head of the current message; nil between messages
	data *socket.Buffer // is read into: head, or a buffer of the body's
	r, w int            // unread are data.B[r:w]
}

// window is what was read and not consumed. It is valid until the next fill or release.
func (s *stream) window() []byte {
	if s.data == nil {
		return nil
	}
	return s.data.B[s.r:s.w]
}

// buffered is len(window).
func (s *stream) buffered() int { return s.w - s.r }

// consume drops n bytes from the window's start.
func (s *stream) consume(n int) { s.r += n }

// fillHead reads more of a head into the window, growing the buffer up to max bytes. When it had to grow, the window lies
// elsewhere and moved is true: strings that point into it must be made anew.
func (s *stream) fillHead(max int, limit socket.Limit) (moved bool, err error) {
	if s.head == nil {
		b, n, err := s.sock.ReadBuffer(s.pool, socket.Small, 0, limit)
		if err != nil {
			return false, err
		}
		s.head, s.data, s.r, s.w = b, b, 0, n
		return false, nil
	}
	if s.w == len(s.head.B) {
		if s.buffered() >= max {
			return false, errHeadTooLarge
		}
		s.grow()
		moved = true
	}
	n, err := s.sock.Read(s.head.B[s.w:], limit)
	s.w += n
	return moved, err
}

// grow moves an incomplete head into a buffer of at least twice the size.
func (s *stream) grow() {
	b := s.pool.Get(2 * len(s.head.B))
	s.w = copy(b.B, s.head.B[s.r:s.w])
	s.r = 0
	s.head.Release()
	s.head, s.data = b, b
}

// begin makes n bytes of a head that were read elsewhere the window. There was none before.
func (s *stream) begin(b *socket.Buffer, n int) { s.head, s.data, s.r, s.w = b, b, 0, n }

// inHead reports whether everything read so far lies in the head's buffer.
func (s *stream) inHead() bool { return s.data == s.head }

// fill reads at least one byte more of a body into the window. want is how many bytes are certain to come, or -1; exact
// says that what comes after them belongs to another message and should, if possible, go into a buffer of its own.
func (s *stream) fill(want int64, exact bool, limit socket.Limit) error {
	if s.data != nil && s.room(want) {
		n, err := s.sock.Read(s.data.B[s.w:], limit)
		s.w += n
		return err
	}
	size := bodyBuffer(want, exact)
	if s.r < s.w { // the start of a chunk line at the end of a full buffer
		b := s.pool.Get(size)
		n := copy(b.B, s.data.B[s.r:s.w])
		s.dropData()
		s.data, s.r, s.w = b, 0, n
		k, err := s.sock.Read(b.B[n:], limit)
		s.w += k
		return err
	}
	s.dropData()
	b, n, err := s.sock.ReadBuffer(s.pool, size, readMax(size, want, exact), limit)
	if err != nil {
		return err
	}
	s.data, s.r, s.w = b, 0, n
	return nil
}

// room says whether the next read should go behind the window. In the head's buffer it should, if all of the rest fits;
// in a buffer of the body's only to complete something that has begun.
func (s *stream) room(want int64) bool {
	free := len(s.data.B) - s.w
	switch {
	case free == 0:
		return false
	case s.inHead():
		return want <= int64(free)
	}
	return s.r < s.w
}

func bodyBuffer(want int64, exact bool) int {
	switch {
	case want > socket.Medium:
		return socket.Large
	case exact && want <= socket.Small:
		return socket.Small
	}
	return socket.Medium
}

func readMax(size int, want int64, exact bool) int {
	if exact && want < int64(size) {
		return int(want)
	}
	return 0
}

// dropData gives the body's buffer back, but never the head's.
func (s *stream) dropData() {
	if s.data != s.head {
		s.data.Release()
	}
	s.data, s.r, s.w = nil, 0, 0
}

// release ends a message: its strings and pieces are no longer valid. Bytes that belong to the next message stay, at the
// start of a new head buffer.
func (s *stream) release() {
	var next *socket.Buffer
	n := 0
	if s.r < s.w {
		// Always another buffer, so that poisoning shows a string of the old message; pipelining is rare.
		rest := s.data.B[s.r:s.w]
		next = s.pool.Get(len(rest))
		n = copy(next.B, rest)
	}
	if s.data != s.head {
		s.data.Release()
	}
	s.head.Release()
	s.head, s.data, s.r, s.w = next, next, 0, n
}

// abandon ends a message on a connection that is not used again.
func (s *stream) abandon() {
	s.r, s.w = 0, 0
	s.release()
}
