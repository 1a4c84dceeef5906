package dubbo

import (
	"runtime"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// The writing half of a connection: a promise to flush.
//
// Whoever finds nothing promised adds its frame, promises to flush, lets other goroutines run once, and then writes for all
// that have added theirs meanwhile. Calls that come together cost one system call, and no goroutine has to be woken up.

// maxUnwritten bounds what may wait for a provider that does not read.
const maxUnwritten = 16 << 20

// stalledWrite is how long a provider may take nothing before its connection is given up.
const stalledWrite = 10 * time.Second

// keptOut is the largest output buffer that is kept.
const keptOut = 256 << 10

// output is what waits to be written. It is guarded by the connection's mutex.
type output struct {
	buf, spare []byte
	// promised is true while some goroutine is bound to flush.
	promised bool
	// queued counts all bytes ever added; handed those that were given to the system, whether or not it took them.
	queued, handed uint64
}

// send queues inv with call's number and lets call wait for the answer. On error nothing was sent and call does not wait.
func (c *conn) send(cl *call, inv *Invocation, timeout int64) error {
	id := c.nextID.Add(1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return errClosed
	}
	start := len(c.out.buf)
	if start > maxUnwritten {
		c.mu.Unlock()
		return errBacklog
	}
	c.out.buf = appendRequest(c.out.buf, id, inv, c.cfg.target, timeout)
	size := len(c.out.buf) - start - frame.HeaderLen
	if size > c.cfg.maxRequest {
		c.out.buf = c.out.buf[:start]
		c.mu.Unlock()
		return tooLargeError(size, c.cfg.maxRequest)
	}
	cl.id, cl.start, cl.size = id, c.out.queued, size
	c.out.queued += uint64(size + frame.HeaderLen)
	c.pending.add(cl) // before the frame can leave: its answer must find it
	c.flushUnlock()
	return nil
}

// sendFrame queues a frame that nobody waits for. Errors show up as the end of the connection.
func (c *conn) sendFrame(f []byte) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.out.buf = append(c.out.buf, f...)
	c.out.queued += uint64(len(f))
	c.flushUnlock()
}

// flushUnlock releases the mutex and sees to it that what is queued gets written.
func (c *conn) flushUnlock() {
	promised := c.out.promised
	c.out.promised = true
	c.mu.Unlock()
	if promised {
		return
	}
	runtime.Gosched()
	c.flush()
}

// flush keeps the promise. It never waits for the provider: when the socket takes no more, a goroutine writes the rest.
func (c *conn) flush() {
	c.mu.Lock()
	for len(c.out.buf) > 0 && c.err == nil {
		buf := c.out.buf
		c.out.buf, c.out.spare = c.out.spare[:0], nil
		c.out.handed = c.out.queued
		c.mu.Unlock()
		n, err := c.w.try(buf)
		if err != nil {
			c.fail(err)
			return
		}
		c.mu.Lock()
		if n < len(buf) {
			if c.err == nil {
				c.tasks.Go(func() { c.writeRest(buf, n) })
			}
			c.mu.Unlock()
			return
		}
		c.keepSpare(buf)
	}
	c.out.promised = false
	c.mu.Unlock()
}

func (c *conn) writeRest(buf []byte, n int) {
	err := c.nc.SetWriteDeadline(time.Now().Add(stalledWrite))
	for err == nil && n < len(buf) {
		// In steps, so that a slow provider that does read is not taken for one that does not.
		var m int
		m, err = c.nc.Write(buf[n:min(len(buf), n+256<<10)])
		n += m
		if err == nil && n < len(buf) {
			err = c.nc.SetWriteDeadline(time.Now().Add(stalledWrite))
		}
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.mu.Lock()
	c.keepSpare(buf)
	c.mu.Unlock()
	c.flush()
}

func (c *conn) keepSpare(buf []byte) {
	if cap(buf) <= keptOut {
		c.out.spare = buf[:0]
	}
}
