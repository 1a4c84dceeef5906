package http2

import (
	"errors"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http2/hpack"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// role is what differs between the two ends of a connection. Its methods are called by the reading goroutine.
type role interface {
	// headersFor decides about a header block: which stream it is for, and what it is. A nil stream means that the block is
	// decoded for the table's sake only, and that all else has been done.
	headersFor(id uint32, end bool) (s *stream, kind headKind, err error)
	// headersDone is called when the block is decoded into conn.head.
	headersDone(s *stream, kind headKind, end bool) error
	// goAway is called when the peer announced its end.
	goAway(last uint32, code ErrCode, reason string)
	// changed is called, with the lock held, when the peer's settings have changed.
	changed()
	// closed is called, with the lock held, when a stream has left the table.
	closed(s *stream)
	// pinged is called with the payload of a PING's acknowledgement.
	pinged(data uint64)
	// readLimit says how long the next read may wait, and expired what happens when it has.
	readLimit() socket.Limit
	expired() error
	// batchEnd is called when all that was read has been looked at.
	batchEnd()
}

// windows are the bounds of what a connection holds of received bodies.
type windows struct {
	stream int64 // octets that one stream may hold
	conn   int64 // octets that may be under way
	held   int64 // octets that all streams of the connection may hold and have under way, together
}

// conn is what the two ends of a connection have in common.
type conn struct {
	sock   socket.Conn
	role   role
	server bool
	pool   *socket.Pool
	limits windows

	// Of the reading goroutine.
	in        *socket.Buffer // what was read and not yet looked at is in.B[r:w]
	r, w      int
	since     int64 // when the frame or block began that is not complete yet; 0 if there is none
	settled   bool  // the peer's first SETTINGS have come
	data      dataState
	head      headBlock
	block     blockState
	decoder   *hpack.Decoder
	budget    budget
	toWake    []chan struct{}
	cancelled []*stream
	stopping  bool // nothing more is read: a frame said so

	mu       sync.Mutex
	dead     error // why the connection is over
	out      []byte
	spare    []byte
	big      *bigBuffer // whose memory out is; nil if it is small
	bigs     *sync.Pool // of *bigBuffer
	flight   int        // octets being written, outside of out
	rest     []byte     // the unwritten part of restBuf, of the goroutine that carries on
	restBuf  []byte
	restBig  *bigBuffer
	promised bool          // somebody will write
	flushed  chan struct{} // made by who waits for the promise to be kept
	broken   bool          // the socket is closed, or good for nothing
	writer   *tlsWriter    // on TLS only
	enc      *hpack.Encoder
	peer     peerSettings
	answered int   // streams that ended well, see budget
	earned   int   // frames that the peer may answer ours with, see budget
	sendWin  int64 // what the peer lets us send
	recvWin  int64 // what we let the peer send
	buffered int64 // octets that streams hold
	streams  map[uint32]*stream
	last     uint32 // highest stream that the peer has opened (server), or that we have (client)
	resets   resetRing
	waiting  waitList
	timer    *time.Timer
	timerAt  int64 // 0: not running
	pending  sync.WaitGroup
	batches  uint64 // how often something was read
	stall    int64  // nanoseconds that the peer may take nothing
}

// peerSettings is what the peer has announced (RFC 9113 section 6.5.2).
type peerSettings struct {
	window     int64
	frame      int
	streams    uint32 // how many streams we may have open
	connect    bool
	headerList uint32
}

func (c *conn) init(r role, server bool, pool *socket.Pool, bigs *sync.Pool, limits windows, stall time.Duration) {
	c.role, c.server, c.pool, c.bigs, c.limits = r, server, pool, bigs, limits
	c.stall = int64(stall)
	c.decoder = hpack.NewDecoder(hpack.DefaultTableSize)
	c.enc = hpack.NewEncoder(hpack.DefaultTableSize)
	c.peer = peerSettings{window: defaultWindow, frame: maxFrame, streams: assumedStreams, headerList: maxWindow}
	c.sendWin, c.recvWin = defaultWindow, defaultWindow
	c.streams = make(map[uint32]*stream)
	c.budget.init(protocol.Now())
}

// assumedStreams is how many streams a client opens before it has seen the server's settings. RFC 9113 section 6.5.2
// recommends that servers allow no fewer.
const assumedStreams = 100

// openWindow appends what makes the connection's window as large as we want it.
func (c *conn) openWindow() {
	if n := c.limits.conn - c.recvWin; n > 0 {
		c.out = appendWindowUpdate(c.out, 0, uint32(n))
		c.recvWin += n
	}
}

// kill ends all streams for the reason err, which is the connection's own when it dies. The lock is held; the caller calls
// afterKill when it has let go.
func (c *conn) kill(err error) (cancelled []*stream) {
	if c.dead != nil {
		return nil
	}
	c.dead = err
	for _, s := range c.streams {
		s.abort(err)
		cancelled = append(cancelled, s)
	}
	for _, s := range cancelled {
		c.forget(s)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	return cancelled
}

// die is kill for whoever does not hold the lock, when the socket is good for nothing any more. It is closed, so that the
// reading goroutine ends.
func (c *conn) die(err error) {
	c.mu.Lock()
	cancelled := c.kill(err)
	c.broken = true
	if c.writer != nil {
		c.writer.kick()
	}
	c.mu.Unlock()
	_ = c.sock.Close()
	notify(cancelled)
}

// The last things: how long the peer may take to read our farewell, and how long we listen to what it had sent before, so
// that closing does not destroy the farewell on its way.
const (
	farewellTime = time.Second
	lingerTime   = time.Second
)

// finish ends the connection for the reason with which reading ended. last is what GOAWAY says. Only the reading goroutine
// calls it.
func (c *conn) finish(err error, last uint32) {
	var told *connError
	polite := errors.As(err, &told)
	c.mu.Lock()
	if polite && c.dead == nil {
		c.out = appendGoAway(c.out, last, told.code, told.reason)
	}
	cancelled := c.kill(err)
	c.commit()
	notify(cancelled)
	notify(c.cancelled)
	c.cancelled = nil
	if polite {
		c.flush(farewellTime)
		if c.server || told.code != NoError {
			c.linger()
		}
	}
	c.die(err)
	c.pending.Wait()
	if c.in != nil {
		c.in.Release()
		c.in = nil
	}
}

func (c *conn) linger() {
	if c.sock.CloseWrite() != nil {
		return
	}
	limit := socket.Limit{Until: protocol.Now() + int64(lingerTime)}
	for {
		b, _, err := c.sock.ReadBuffer(c.pool, socket.Medium, 0, limit)
		if err != nil {
			return
		}
		b.Release()
	}
}

// notify tells the exchanges of streams that ended early. No lock is held.
func notify(cancelled []*stream) {
	for _, s := range cancelled {
		if s.onCancel != nil {
			s.onCancel.cancelled()
		}
	}
}

// forget takes a stream out of the table. The lock is held.
func (c *conn) forget(s *stream) {
	if s.listed {
		s.listed = false
		delete(c.streams, s.id)
		c.role.closed(s)
	}
}

// resetStream ends one stream of ours with RST_STREAM. The lock is held.
func (c *conn) resetStream(s *stream, code ErrCode) {
	if !s.listed {
		return
	}
	c.out = appendRSTStream(c.out, s.id, code)
	c.resets.add(s.id, true)
	s.abort(&resetError{code: code, ours: true})
	c.forget(s)
}

// refuse answers frames of a stream that is not in the table with RST_STREAM. The lock is held.
func (c *conn) refuse(id uint32, code ErrCode) {
	c.out = appendRSTStream(c.out, id, code)
	c.resets.add(id, true)
}

// resetRing remembers the streams that were reset last, because late frames of those mean nothing bad.
type resetRing struct {
	ids   []uint32 // shifted left by one; the lowest bit says that it was us
	next  int
	below uint32 // streams up to this one may have been reset and are no longer remembered
}

const rememberedResets = 256

func (r *resetRing) add(id uint32, ours bool) {
	v := id << 1
	if ours {
		v |= 1
	}
	if len(r.ids) < rememberedResets {
		r.ids = append(r.ids, v)
		return
	}
	r.below = max(r.below, r.ids[r.next]>>1)
	r.ids[r.next] = v
	r.next = (r.next + 1) % rememberedResets
}

// find reports whether a stream was reset, and by whom. unsure is true when it may have been and that is forgotten.
func (r *resetRing) find(id uint32) (ours, theirs, unsure bool) {
	for i := len(r.ids) - 1; i >= 0; i-- {
		if r.ids[i]>>1 == id {
			return r.ids[i]&1 != 0, r.ids[i]&1 == 0, false
		}
	}
	return false, false, id <= r.below
}
