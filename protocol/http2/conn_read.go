package http2

import (
	"encoding/binary"
	"errors"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// dataState is a DATA frame of which a part has not come yet. Its payload is handed on as it arrives.
type dataState struct {
	stream uint32
	left   int // octets of data
	pad    int // octets of padding behind them
	end    bool
}

// blockState is a header block that CONTINUATION frames go on with.
type blockState struct {
	active bool
	stream uint32
	end    bool
	frames int
	octets []byte
}

// maxContinuations bounds how many frames a header block may be cut into (CVE-2024-27316).
const maxContinuations = 32

// read reads and handles frames until the connection ends. The error says why: a *connError that the peer has to be told,
// or anything else.
func (c *conn) read() error {
	for {
		err := c.fill()
		switch {
		case err == nil:
			err = c.handle()
			c.endBatch()
		case errors.Is(err, socket.ErrTimeout):
			err = c.role.expired()
		case errors.Is(err, socket.ErrInterrupted):
			c.sock.Resume()
			err = c.role.expired()
		}
		if err != nil {
			return err
		}
	}
}

// fill reads what there is. Nothing is held while an idle connection waits, except on TLS.
func (c *conn) fill() error {
	limit := c.role.readLimit()
	if c.in == nil {
		size := socket.Large
		if !c.sock.Direct() {
			size = socket.Medium
		}
		buf, n, err := c.sock.ReadBuffer(c.pool, size, 0, limit)
		if err != nil {
			return err
		}
		c.in, c.r, c.w = buf, 0, n
		return nil
	}
	n, err := c.sock.Read(c.in.B[c.w:], limit)
	if err != nil {
		return err
	}
	c.w += n
	return nil
}

// keepRest sees to it that the frame that has begun fits into the buffer, in one that is no larger than needed.
func (c *conn) keepRest() {
	n := c.w - c.r
	if n == 0 {
		if c.in != nil {
			c.in.Release()
		}
		c.in, c.r, c.w = nil, 0, 0
		if !c.block.active {
			c.since = 0
		} else if c.since == 0 {
			c.since = protocol.Now()
		}
		return
	}
	if c.since == 0 {
		c.since = protocol.Now()
	}
	need := frameHeaderLen + 1
	if n >= frameHeaderLen {
		need = frameHeaderLen + parseFrame(c.in.B[c.r:]).length
	}
	need = max(need, len(preface)+1)
	if need <= socket.Small && len(c.in.B) > socket.Small || need > len(c.in.B) {
		buf := c.pool.Get(need)
		copy(buf.B, c.in.B[c.r:c.w])
		c.in.Release()
		c.in = buf
	} else {
		copy(c.in.B, c.in.B[c.r:c.w])
	}
	c.r, c.w = 0, n
}

// endBatch lets those go on who wait for what was read, and writes what it made necessary.
func (c *conn) endBatch() {
	c.keepRest()
	for i, ch := range c.toWake {
		signal(ch)
		c.toWake[i] = nil
	}
	c.toWake = c.toWake[:0]
	if len(c.cancelled) > 0 {
		notify(c.cancelled)
		clear(c.cancelled)
		c.cancelled = c.cancelled[:0]
	}
	c.role.batchEnd()
	c.mu.Lock()
	c.batches++
	c.commit()
}

// handle looks at the frames in the buffer.
func (c *conn) handle() error {
	for !c.stopping {
		b := c.in.B[c.r:c.w]
		if c.data.stream != 0 {
			if len(b) == 0 {
				return nil
			}
			n, err := c.moreData(b)
			c.r += n
			if err != nil {
				return err
			}
			continue
		}
		if len(b) < frameHeaderLen {
			return nil
		}
		f := parseFrame(b)
		if f.length > maxFrame {
			return violation(FrameSizeError, "frame is larger than SETTINGS_MAX_FRAME_SIZE")
		}
		if err := c.inOrder(&f); err != nil {
			return err
		}
		if f.kind == frameData {
			n, err := c.beginData(&f, b[frameHeaderLen:])
			if err != nil || n == 0 {
				return err
			}
			c.r += n
			continue
		}
		if len(b) < frameHeaderLen+f.length {
			return nil
		}
		c.r += frameHeaderLen + f.length
		if err := c.frame(&f, b[frameHeaderLen:][:f.length]); err != nil {
			return err
		}
	}
	c.r = c.w
	return nil
}

var (
	errNotSettled  = violation(ProtocolError, "the first frame is not SETTINGS")
	errInterleaved = violation(ProtocolError, "a header block is interrupted by another frame")
)

// inOrder checks what a frame's header tells about its place in the sequence.
func (c *conn) inOrder(f *frame) error {
	switch {
	case !c.settled && (f.kind != frameSettings || f.has(flagAck)):
		return errNotSettled
	case c.block.active && (f.kind != frameContinuation || f.stream != c.block.stream):
		return errInterleaved // RFC 9113 section 6.10
	}
	return nil
}

// frame handles one whole frame.
func (c *conn) frame(f *frame, p []byte) error {
	switch f.kind {
	case frameHeaders:
		return c.headers(f, p)
	case frameContinuation:
		return c.continuation(f, p)
	case frameWindowUpdate:
		return c.windowUpdate(f, p)
	case frameRSTStream:
		return c.rstStream(f, p)
	case frameSettings:
		return c.settings(f, p)
	case framePing:
		return c.ping(f, p)
	case frameGoAway:
		if f.stream != 0 {
			return violation(ProtocolError, "GOAWAY on a stream")
		}
		if len(p) < 8 {
			return violation(FrameSizeError, "GOAWAY is too short")
		}
		c.role.goAway(binary.BigEndian.Uint32(p)&maxWindow, ErrCode(binary.BigEndian.Uint32(p[4:])), string(p[8:min(len(p), 8+maxReason)]))
		return nil
	case framePriority:
		return c.priority(f, p)
	case framePushPromise:
		return violation(ProtocolError, "PUSH_PROMISE, which was not allowed")
	}
	return c.idleFrame() // of a kind that we do not know: ignored, section 4.1
}

// maxReason is how much of a GOAWAY's text is looked at.
const maxReason = 200

// idleFrame pays for a frame that does nothing.
func (c *conn) idleFrame() error {
	if !c.budget.frame(protocol.Now) {
		return errFlood
	}
	return nil
}

// beginData handles the head of a DATA frame (section 6.1) and returns its length, or 0 if it has not come yet.
func (c *conn) beginData(f *frame, p []byte) (n int, err error) {
	n = frameHeaderLen
	d := dataState{stream: f.stream, left: f.length, end: f.has(flagEndStream)}
	if f.stream == 0 {
		return 0, violation(ProtocolError, "DATA on stream 0")
	}
	if f.has(flagPadded) {
		if f.length == 0 {
			return 0, violation(FrameSizeError, "padded DATA without a length")
		}
		if len(p) == 0 {
			return 0, nil
		}
		d.pad = int(p[0])
		d.left -= 1 + d.pad
		n++
		if d.left < 0 {
			return 0, violation(ProtocolError, "DATA has more padding than payload")
		}
	}
	if d.left > 0 {
		c.budget.earn(earnedByData)
	} else if !d.end {
		if err := c.idleFrame(); err != nil {
			return 0, err
		}
	}
	c.data = d
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recvWin -= int64(f.length); c.recvWin < 0 {
		return 0, violation(FlowControlError, "DATA is over the connection's window")
	}
	s := c.streams[f.stream]
	if s == nil {
		err := c.strayFrame(f.stream, "DATA")
		c.credit()
		return c.finishData(n, err)
	}
	switch {
	case s.recvEnd:
		if !c.faulty(s, StreamClosed) {
			return 0, errRapidReset
		}
	case !s.headed:
		if !c.faulty(s, ProtocolError) {
			return 0, errRapidReset
		}
	default:
		if s.recvWin -= int64(f.length); s.recvWin < 0 {
			if !c.faulty(s, FlowControlError) {
				return 0, errRapidReset
			}
			break
		}
		if extra := f.length - d.left; extra > 0 {
			s.owed += int64(extra) // padding is never held
			s.credit()
		}
	}
	c.credit()
	return c.finishData(n, nil)
}

// finishData ends the frame at once if nothing is left of it.
func (c *conn) finishData(n int, err error) (int, error) {
	if err == nil && c.data.left == 0 && c.data.pad == 0 {
		err = c.endData()
	}
	return n, err
}

// moreData hands on a part of a DATA frame's payload.
func (c *conn) moreData(b []byte) (n int, err error) {
	d := &c.data
	c.mu.Lock()
	defer c.mu.Unlock()
	if n = min(len(b), d.left); n > 0 {
		d.left -= n
		if s := c.streams[d.stream]; s != nil {
			if s.expected >= 0 && s.received+int64(n) > s.expected {
				if !c.faulty(s, ProtocolError) { // more than content-length says: section 8.1.1
					return n, errRapidReset
				}
			} else {
				s.receive(b[:n], d.left)
				c.credit()
			}
		}
	}
	if d.left == 0 {
		k := min(len(b)-n, d.pad)
		d.pad -= k
		n += k
		if d.pad == 0 {
			err = c.endData()
		}
	}
	return n, err
}

// endData ends the frame. The lock is held.
func (c *conn) endData() error {
	d := c.data
	c.data = dataState{}
	if !d.end {
		return nil
	}
	if s := c.streams[d.stream]; s != nil {
		if s.expected >= 0 && s.received != s.expected {
			if !c.faulty(s, ProtocolError) {
				return errRapidReset
			}
			return nil
		}
		s.endReceiving()
	}
	return nil
}

// faulty resets a stream because of what the peer did there, and reports whether it may go on. The lock is held.
func (c *conn) faulty(s *stream, code ErrCode) bool {
	c.resetStream(s, code)
	c.cancelled = append(c.cancelled, s)
	return c.spendReset()
}

// strayFrame is for DATA and HEADERS of a stream that is not in the table (section 5.1). The lock is held.
func (c *conn) strayFrame(id uint32, what string) error {
	if c.idle(id) {
		return violation(ProtocolError, what+" on an idle stream")
	}
	ours, theirs, unsure := c.resets.find(id)
	switch {
	case ours, unsure: // sent before the peer knew
		return c.idleFrame()
	case theirs:
		c.refuse(id, StreamClosed)
		if !c.spendReset() {
			return errRapidReset
		}
		return nil
	}
	return violation(StreamClosed, what+" on a closed stream")
}

// idle reports whether a stream has never been opened. The lock is held.
func (c *conn) idle(id uint32) bool {
	ofClient := id&1 == 1
	return !ofClient || id > c.last // streams of servers are pushes, which do not exist
}

// credit lets the peer send more on the connection, as long as what is held stays within its bound. The lock is held.
func (c *conn) credit() {
	target := min(c.limits.conn, c.limits.held-c.buffered)
	if n := target - c.recvWin; n >= c.limits.conn/2 {
		c.out = appendWindowUpdate(c.out, 0, uint32(n))
		c.recvWin += n
	}
}
