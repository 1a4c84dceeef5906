package socket

import (
	"os"
	"syscall"
)

// MaxVec is the number of pieces that one Writev takes.
const MaxVec = 4

// genericChunk bounds one write through net.Conn, so that "the peer takes nothing" can be told from "the peer is slow".
const genericChunk = 64 << 10

// writer is the state of the writing direction, laid out like reader.
type writer struct {
	ready func(fd uintptr) bool
	armed int64

	vec   [MaxVec][]byte
	iov   [MaxVec]iovec
	nvec  int
	n     int64 // written so far in this call
	errno syscall.Errno
	wait  bool // the callback shall wait in the poller when the socket is full
}

// Write writes all of p. limit.Stall is the longest time in which the peer takes nothing.
func (c *Conn) Write(p []byte, limit Limit) (int64, error) {
	w := c.writing()
	w.vec[0], w.nvec = p, 1
	return c.write(w, limit)
}

// Writev writes all pieces, in one system call if the peer takes them, and at most MaxVec of them. It does not change
// bufs.
func (c *Conn) Writev(bufs [][]byte, limit Limit) (int64, error) {
	w := c.writing()
	w.nvec = copy(w.vec[:], bufs)
	return c.write(w, limit)
}

func (c *Conn) write(w *writer, limit Limit) (int64, error) {
	w.n, w.errno = 0, 0
	var err error
	if c.direct {
		err = c.writeRaw(w, limit)
	} else {
		err = c.writeGeneric(w, limit)
	}
	clear(w.vec[:w.nvec])
	return w.n, err
}

// writeRaw tries without any deadline first: most writes never wait, and then there is no need to look at the clock.
func (c *Conn) writeRaw(w *writer, limit Limit) error {
	w.wait = false
	var end int64
	progress := int64(-1)
	for {
		w.trim()
		if w.nvec == 0 {
			return nil
		}
		err := c.raw.Write(w.ready)
		if err == nil && w.errno == 0 {
			continue
		}
		if err == nil && w.errno != syscall.EAGAIN {
			return os.NewSyscallError("write", w.errno)
		}
		if err != nil && !isTimeout(err) {
			return err
		}
		// The socket is full, or an old deadline fired.
		t := now()
		if w.n != progress {
			progress, end = w.n, limit.end(t)
		}
		if end != 0 && t >= end {
			return ErrTimeout
		}
		if err := c.armWrite(w, err != nil, end, t); err != nil {
			return err
		}
		w.errno, w.wait = 0, true
	}
}

// armWrite sees to it that a wait that begins at t ends no later than end. fired says that the old timer went off.
func (c *Conn) armWrite(w *writer, fired bool, end, t int64) error {
	if fired || end != 0 && (w.armed == 0 || w.armed > end) || w.armed != 0 && w.armed <= t {
		w.armed = end
		return c.nc.SetWriteDeadline(deadline(end, t))
	}
	return nil
}

// trim drops the pieces that are written or empty.
func (w *writer) trim() {
	i := 0
	for i < w.nvec && len(w.vec[i]) == 0 {
		i++
	}
	if i == 0 {
		return
	}
	copy(w.vec[:], w.vec[i:w.nvec])
	clear(w.vec[w.nvec-i : w.nvec])
	w.nvec -= i
}

// writeReady is the callback of RawConn.Write.
func (c *Conn) writeReady(fd uintptr) bool {
	w := c.wr
	for {
		n, errno := w.send(fd)
		switch errno {
		case 0:
			w.advance(n)
			w.wait = false
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if w.wait {
				return false
			}
		}
		w.errno = errno
		return true
	}
}

func (w *writer) advance(n int) {
	w.n += int64(n)
	for i := 0; n > 0 && i < w.nvec; i++ {
		k := min(n, len(w.vec[i]))
		w.vec[i] = w.vec[i][k:]
		n -= k
	}
}

// writeGeneric keeps the deadline between one and two stalls away: an early expiry, harmless on a socket, would ruin a TLS
// connection.
func (c *Conn) writeGeneric(w *writer, limit Limit) error {
	for {
		w.trim()
		if w.nvec == 0 {
			return nil
		}
		t := now()
		end := limit.end(t)
		switch {
		case end == 0 && w.armed != 0, limit.Until != 0 && w.armed != end:
			w.armed = end
		case end != 0 && (w.armed < end || w.armed > end+limit.Stall):
			w.armed = end + limit.Stall
		default:
			end = -1
		}
		if end >= 0 {
			if err := c.nc.SetWriteDeadline(deadline(w.armed, t)); err != nil {
				return err
			}
		}
		p := w.vec[0]
		n, err := c.nc.Write(p[:min(len(p), genericChunk)])
		w.advance(n)
		if err != nil {
			if isTimeout(err) {
				return ErrTimeout
			}
			return err
		}
	}
}
