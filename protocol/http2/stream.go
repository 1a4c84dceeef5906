package http2

import (
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// canceller is told when a stream ended before its time. No lock is held.
type canceller interface{ cancelled() }

// stream is what both ends of a connection have in common about an exchange. It is embedded in a pooled object of theirs.
//
// The arena is the reading goroutine's until the stream has left the table. All below c is guarded by the connection's
// lock. At most one goroutine reads and one writes.
type stream struct {
	arena    protocol.Arena
	onCancel canceller
	rwake    chan struct{} // one token for who reads
	wwake    chan struct{} // one token for who writes

	c       *conn
	id      uint32
	listed  bool  // is in the table
	headed  bool  // a head has come, so DATA may
	recvEnd bool  // the peer has sent all of its side
	sendEnd bool  // we have sent all of ours
	err     error // why it ended early

	// The receiving half.
	in        []chunk // arrived, and not handed over yet
	ready     int     // octets in them
	taken     chunk   // handed over last
	again     bool    // taken is to be handed over once more
	handed    int64   // octets that were handed over
	received  int64
	expected  int64 // content-length, or -1
	recvWin   int64 // what the peer may send
	owed      int64 // what we may let it send in addition
	trailer   protocol.Header
	maxBody   int64 // octets that may be handed over; 0 is no limit
	shut      bool  // nobody wants to read any more
	rwaits    bool  // somebody waits for rwake
	rlimit    int64 // until when
	readBytes atomic.Int64

	// The sending half.
	sendWin int64 // what the peer lets us send
	wwaits  bool  // somebody waits for wwake
	wlimit  int64 // until when
	queued  bool  // in the connection's waiting list
	next    *stream
}

// chunk is a pooled buffer with n octets of a body.
type chunk struct {
	buf *socket.Buffer
	n   int
}

// open prepares a stream and puts it into the table. The lock is held.
func (s *stream) open(c *conn, id uint32) {
	if s.rwake == nil {
		s.rwake, s.wwake = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	s.c, s.id, s.listed = c, id, true
	s.headed, s.recvEnd, s.sendEnd, s.err = false, false, false, nil
	s.again, s.handed, s.received, s.expected, s.maxBody = false, 0, 0, protocol.UnknownLength, 0
	s.recvWin, s.owed, s.sendWin = c.limits.stream, 0, c.peer.window
	s.shut, s.rwaits, s.wwaits, s.queued = false, false, false, false
	s.readBytes.Store(0)
	c.streams[id] = s
}

// recycle forgets what the last exchange left. The stream is in nobody else's hands.
func (s *stream) recycle() {
	s.trailer.Reset()
	s.arena.Reset()
}

// signal leaves a token, if there is none yet.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// wakeReader lets the reader look again when the current batch of frames is over. Only the reading goroutine calls it,
// with the lock held.
func (s *stream) wakeReader() {
	if s.rwaits {
		s.rwaits = false
		s.c.toWake = append(s.c.toWake, s.rwake)
	}
}

// wakeWriter lets the writer look again. The lock is held.
func (s *stream) wakeWriter() {
	if s.wwaits {
		s.wwaits = false
		signal(s.wwake)
	}
}

// abort makes everybody who waits for the stream return err. The lock is held.
func (s *stream) abort(err error) {
	if s.err == nil {
		s.err = err
	}
	if s.rwaits {
		s.rwaits = false
		signal(s.rwake)
	}
	s.wakeWriter()
}

// receive takes a part of the body, of whose frame so much is still to come. The lock is held, by the reading goroutine.
func (s *stream) receive(p []byte, rest int) {
	s.received += int64(len(p))
	if s.shut {
		return // and no credit: the peer is not encouraged to go on
	}
	s.c.buffered += int64(len(p))
	s.ready += len(p)
	for len(p) > 0 {
		k := len(s.in) - 1
		if k < 0 || s.in[k].n == len(s.in[k].buf.B) {
			size := len(p) + rest
			if k >= 0 {
				size = socket.Large // its reader is slow, or there is much
			}
			s.in = append(s.in, chunk{buf: s.c.pool.Get(min(size, socket.Large))})
			k++
		}
		n := copy(s.in[k].buf.B[s.in[k].n:], p)
		s.in[k].n += n
		p = p[n:]
	}
	s.wakeReader()
}

// endReceiving takes the peer's end. The lock is held, by the reading goroutine.
func (s *stream) endReceiving() {
	s.recvEnd = true
	s.wakeReader()
	s.finished()
}

// endSending notes that our end is in the buffer. The lock is held.
func (s *stream) endSending() {
	s.sendEnd = true
	s.finished()
}

// finished takes the stream out of the table when both ends have been sent. What has arrived can still be read.
func (s *stream) finished() {
	if s.recvEnd && s.sendEnd {
		s.c.forget(s)
	}
}

// credit lets the peer send more, in steps of half a window so that small exchanges need no frame for it. The lock is held.
func (s *stream) credit() {
	if s.recvEnd || !s.listed || s.owed < s.c.limits.stream/2 {
		return
	}
	s.c.out = appendWindowUpdate(s.c.out, s.id, uint32(s.owed))
	s.recvWin += s.owed
	s.owed = 0
}

// release gives back what was handed over last, because it has been used. The lock is held.
func (s *stream) release() {
	if s.taken.buf != nil {
		n := int64(s.taken.n)
		s.taken.buf.Release()
		s.taken = chunk{}
		s.c.buffered -= n
		s.owed += n
		s.credit()
		s.c.credit()
	}
}

// drop gives up what has arrived and all that may still come. What was handed over last may be in use still: release is
// for when it is not. The lock is held.
func (s *stream) drop() {
	s.shut, s.again = true, false
	s.c.buffered -= int64(s.ready)
	for i := range s.in {
		s.in[i].buf.Release()
		s.in[i] = chunk{}
	}
	s.in, s.ready = s.in[:0], 0
	s.c.credit()
	if s.rwaits {
		s.rwaits = false
		signal(s.rwake)
	}
}
