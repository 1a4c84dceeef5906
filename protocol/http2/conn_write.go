package http2

import (
	"errors"
	"runtime"
	"time"

	"github.com/sluice-gateway/sluice/protocol/socket"
)

const (
	// maxOut is how much may wait to be written before streams have to wait with their DATA, whatever windows the peer
	// claims to have.
	maxOut = 256 << 10
	// keptOut is the largest buffer that is kept for reuse.
	keptOut = 64 << 10
)

// commit lets go of the lock and sees to it that what is in the buffer gets written: by whoever has promised to, or else
// by us, after others have had their chance to add to it.
func (c *conn) commit() {
	if c.promised || len(c.out) == 0 || c.broken {
		c.mu.Unlock()
		return
	}
	c.promised = true
	if !c.sock.Direct() {
		c.tlsWriter().kick()
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
	c.write()
}

// write keeps our promise without blocking and lets go of the lock. What the socket does not take is left to a goroutine.
func (c *conn) write() {
	for len(c.out) > 0 && !c.broken {
		buf, big := c.takeOut()
		c.mu.Unlock()
		n, err := c.sock.Write(buf, socket.Limit{Until: 1}) // in the past: what cannot be written now is not waited for
		c.mu.Lock()
		switch {
		case err == nil:
			c.wrote(buf, big)
		case errors.Is(err, socket.ErrTimeout):
			c.flight = len(buf) - int(n)
			c.rest, c.restBuf, c.restBig = buf[n:], buf, big
			c.pending.Add(1)
			go c.writeRest()
			c.mu.Unlock()
			return
		default:
			c.kept()
			c.mu.Unlock()
			c.die(err)
			return
		}
	}
	c.kept()
	c.mu.Unlock()
}

// writeRest keeps a promise, blocking.
func (c *conn) writeRest() {
	defer c.pending.Done()
	for {
		err := c.writeBlocking(c.rest)
		c.mu.Lock()
		if err == nil {
			c.wrote(c.restBuf, c.restBig)
		}
		c.rest, c.restBuf, c.restBig = nil, nil, nil
		if err != nil || len(c.out) == 0 || c.broken {
			break
		}
		buf, big := c.takeOut()
		c.rest, c.restBuf, c.restBig = buf, buf, big
		c.mu.Unlock()
	}
	c.kept()
	c.mu.Unlock()
}

func (c *conn) writeBlocking(p []byte) error {
	_, err := c.sock.Write(p, socket.Limit{Stall: c.stall})
	if errors.Is(err, socket.ErrTimeout) {
		err = errWriteStalled
	}
	if err != nil {
		c.die(err)
	}
	return err
}

// bigBuffer is memory for much output, which connections lend to each other.
type bigBuffer struct{ b []byte }

// bigOut is its size: what may wait, and what control frames may come on top.
const bigOut = maxOut + 64<<10

// enlarge makes room for n more octets in the buffer. The lock is held.
func (c *conn) enlarge(n int) {
	if cap(c.out)-len(c.out) >= n || len(c.out)+n <= keptOut/4 || c.big != nil {
		return
	}
	big, _ := c.bigs.Get().(*bigBuffer)
	if big == nil {
		big = &bigBuffer{make([]byte, 0, bigOut)}
	}
	small := c.out
	c.out, c.big = append(big.b[:0], small...), big
	if c.spare == nil && cap(small) <= keptOut {
		c.spare = small[:0]
	}
}

// takeOut takes the buffer away to be written; others fill the spare one meanwhile.
func (c *conn) takeOut() ([]byte, *bigBuffer) {
	buf, big := c.out, c.big
	c.out, c.spare, c.big = c.spare[:0], nil, nil
	c.flight = len(buf)
	return buf, big
}

// wrote takes a buffer back whose content is written.
func (c *conn) wrote(buf []byte, big *bigBuffer) {
	c.flight = 0
	switch {
	case big != nil:
		c.bigs.Put(big)
	case cap(buf) <= keptOut:
		c.spare = buf[:0]
	}
	c.wakeWaiting()
}

// kept notes that a promise was kept. The lock is held.
func (c *conn) kept() {
	c.promised = false
	if len(c.out) == 0 && cap(c.out) > keptOut {
		c.out = nil // made large by a burst
	}
	if c.flushed != nil {
		close(c.flushed)
		c.flushed = nil
	}
}

// flush waits until everything is written, but no longer than patience.
func (c *conn) flush(patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		c.mu.Lock()
		if len(c.out) == 0 && !c.promised || c.broken {
			c.mu.Unlock()
			return
		}
		if !c.promised {
			c.commit()
			continue
		}
		if c.flushed == nil {
			c.flushed = make(chan struct{})
		}
		done := c.flushed
		c.mu.Unlock()
		select {
		case <-done:
		case <-timer.C:
			return
		}
	}
}

// room is how much DATA the buffer takes.
func (c *conn) room() int64 { return int64(maxOut - len(c.out) - c.flight) }

// tlsWriter writes for a connection on which writing may block: one goroutine, which lives until the connection is parked
// or dead.
type tlsWriter struct {
	wake chan struct{}
	quit bool
}

func (w *tlsWriter) kick() { signal(w.wake) }

// tlsWriter starts the goroutine when it is first needed. The lock is held.
func (c *conn) tlsWriter() *tlsWriter {
	if c.writer == nil {
		c.writer = &tlsWriter{wake: make(chan struct{}, 1)}
		c.pending.Add(1)
		go c.writeTLS(c.writer)
	}
	return c.writer
}

func (c *conn) writeTLS(w *tlsWriter) {
	defer c.pending.Done()
	for {
		<-w.wake
		runtime.Gosched()
		c.mu.Lock()
		for len(c.out) > 0 && !c.broken {
			buf, big := c.takeOut()
			c.mu.Unlock()
			err := c.writeBlocking(buf)
			c.mu.Lock()
			if err == nil {
				c.wrote(buf, big)
			}
		}
		c.kept()
		over := w.quit || c.broken
		c.mu.Unlock()
		if over {
			return
		}
	}
}

// stopWriter ends the goroutine of a connection that is going to be parked. The lock is held.
func (c *conn) stopWriter() {
	if c.writer != nil {
		c.writer.quit = true
		c.writer.kick()
		c.writer = nil
	}
}

// waitList holds the streams that wait for the connection's window or for room in the buffer, first come, first served.
type waitList struct{ first, last *stream }

// queue puts a stream at the end. The lock is held.
func (c *conn) queue(s *stream) {
	if s.queued {
		return
	}
	s.queued, s.next = true, nil
	if c.waiting.last != nil {
		c.waiting.last.next = s
	} else {
		c.waiting.first = s
	}
	c.waiting.last = s
}

// wakeWaiting lets those go on for whom there may be room: each takes a part and queues again behind the others. The lock
// is held.
func (c *conn) wakeWaiting() {
	room := min(c.room(), c.sendWin)
	for room > 0 && c.waiting.first != nil {
		s := c.waiting.first
		c.waiting.first = s.next
		if s.next == nil {
			c.waiting.last = nil
		}
		s.queued, s.next = false, nil
		if s.wwaits {
			s.wakeWriter()
			room -= quantum
		}
	}
}

// unqueue takes a stream that goes on without its turn out of the list. The lock is held.
func (c *conn) unqueue(s *stream) {
	if !s.queued {
		return
	}
	var before *stream
	for q := c.waiting.first; q != s; q = q.next {
		before = q
	}
	if before == nil {
		c.waiting.first = s.next
	} else {
		before.next = s.next
	}
	if s.next == nil {
		c.waiting.last = before
	}
	s.queued, s.next = false, nil
}
