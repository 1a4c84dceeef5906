package http2

import (
	"github.com/sluice-gateway/sluice/protocol"
)

// quantum is how much one stream sends before others that wait get their turn.
const quantum = 64 << 10

// beginHeaders leaves room for a frame's header and starts a block; endHeaders fills it in. Between the two the fields are
// appended to c.out. The lock is held all the while.
func (c *conn) beginHeaders() (start int) {
	start = len(c.out)
	c.out = append(c.out, make([]byte, frameHeaderLen)...)
	c.out = c.enc.Begin(c.out)
	return start
}

func (c *conn) endHeaders(start int, id uint32, end bool) {
	flags := uint8(0)
	if end {
		flags = flagEndStream
	}
	n := len(c.out) - start - frameHeaderLen
	c.earned += earnedByHeaders
	if n <= c.peer.frame {
		putFrame(c.out[start:], n, frameHeaders, flags|flagEndHeaders, id)
		return
	}
	// The rest goes into CONTINUATION frames, whose headers have to be put between.
	block := append([]byte(nil), c.out[start+frameHeaderLen:]...)
	putFrame(c.out[start:], c.peer.frame, frameHeaders, flags, id)
	c.out = c.out[:start+frameHeaderLen+c.peer.frame]
	for block = block[c.peer.frame:]; len(block) > 0; {
		k := min(len(block), c.peer.frame)
		flags = 0
		if k == len(block) {
			flags = flagEndHeaders
		}
		c.out = appendFrame(c.out, k, frameContinuation, flags, id)
		c.out = append(c.out, block[:k]...)
		block = block[k:]
	}
}

// takeEarned is what frames that we sent allow the peer in answers to them.
func (c *conn) takeEarned() int {
	n := c.earned
	c.earned = 0
	return n
}

// appendData appends as much of p as windows and buffer allow, in frames, and returns how much that was. end is put on the
// frame that holds the last octet of p. The lock is held.
func (s *stream) appendData(p []byte, end bool) (n int) {
	c := s.c
	allowed := int(min(int64(len(p)), s.sendWin, c.sendWin, c.room(), quantum))
	if allowed <= 0 {
		if len(p) == 0 && end {
			c.out = appendFrame(c.out, 0, frameData, flagEndStream, s.id)
			s.endSending()
		}
		return 0
	}
	size := min(c.peer.frame, maxSentFrame)
	c.enlarge(allowed + (allowed/size+1)*frameHeaderLen)
	for n < allowed {
		k := min(allowed-n, size)
		flags := uint8(0)
		if end && n+k == len(p) {
			flags = flagEndStream
		}
		c.out = appendFrame(c.out, k, frameData, flags, s.id)
		c.out = append(c.out, p[n:n+k]...)
		c.earned += earnedByData
		n += k
	}
	s.sendWin -= int64(n)
	c.sendWin -= int64(n)
	if end && n == len(p) {
		s.endSending()
	}
	return n
}

// sender is whose answer or request it is that is sent.
type sender interface {
	// writeStall is how long the peer may take nothing, 0 for ever.
	writeStall() int64
}

// sendData appends p, waiting for windows and room as often as needed. It does not see to it that the last part is
// written: more may follow at once. errWriteStalled says that the peer took nothing for too long.
func (s *stream) sendData(p []byte, end bool, of sender) error {
	c := s.c
	c.mu.Lock()
	stalled := int64(0)
	for {
		if s.err != nil || s.sendEnd {
			err := s.err
			if err == nil {
				err = errNotWanted // the peer wants no more of it
			}
			c.unqueue(s)
			c.mu.Unlock()
			return err
		}
		n := s.appendData(p, end)
		p = p[n:]
		if len(p) == 0 {
			c.unqueue(s)
			c.mu.Unlock()
			return nil
		}
		if n > 0 {
			stalled = 0
		}
		if stalled == 0 {
			if d := of.writeStall(); d > 0 {
				stalled = protocol.Now() + d
			}
		}
		if s.sendWin > 0 {
			c.queue(s)
			if n > 0 && c.room() > 0 && c.sendWin > 0 {
				// Only its turn is over. Others that wait go first.
				c.wakeWaiting()
				c.commit()
				c.mu.Lock()
				continue
			}
		}
		s.wwaits, s.wlimit = true, stalled
		if stalled != 0 {
			c.armAt(stalled)
		}
		c.commit()
		<-s.wwake
		c.mu.Lock()
		s.wwaits = false
		if stalled != 0 && s.err == nil && protocol.Now() >= stalled && min(s.sendWin, c.sendWin, c.room()) <= 0 {
			c.unqueue(s)
			c.mu.Unlock()
			return errWriteStalled
		}
	}
}
