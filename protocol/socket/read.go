package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// reader is the state of the reading direction. The fields after armed are the arguments and results of the callback,
// which lie here because a closure for each read would be an allocation.
type reader struct {
	ready func(fd uintptr) bool
	armed int64 // when the poller's timer fires: 0 never, 1 long ago

	limit Limit
	end   int64 // limit resolved, once waiting has begun
	pool  *Pool // take a buffer of size bytes when there is something to read
	size  int
	buf   *Buffer
	p     []byte
	n     int
	errno syscall.Errno
	stop  bool // interrupted
}

// Read reads at least one byte into p. At the end of the stream it returns io.EOF.
func (c *Conn) Read(p []byte, limit Limit) (int, error) {
	r := c.reading()
	r.p, r.pool = p, nil
	err := c.read(r, limit)
	r.p = nil
	return r.n, err
}

// ReadBuffer waits until there is something to read, then takes a buffer of at least size bytes from pool and reads at
// most max bytes into it (max 0: as much as fits). It holds no buffer while it waits, except on TLS connections.
// The buffer is nil when there is an error.
func (c *Conn) ReadBuffer(pool *Pool, size, max int, limit Limit) (*Buffer, int, error) {
	r := c.reading()
	r.pool, r.size, r.buf, r.n = pool, size, nil, max
	if !c.direct {
		r.take()
	}
	err := c.read(r, limit)
	buf := r.buf
	r.buf, r.pool, r.p = nil, nil, nil
	if err != nil && buf != nil {
		buf.put()
		buf = nil
	}
	return buf, r.n, err
}

// take borrows the buffer and cuts it to the wanted maximum, which ReadBuffer left in n.
func (r *reader) take() {
	r.buf = r.pool.Get(r.size)
	r.p = r.buf.B
	if r.n > 0 && r.n < len(r.p) {
		r.p = r.p[:r.n]
	}
}

// read is the one function through which all reads go, because a lazily armed deadline fires early and whoever reads must
// arm it again.
func (c *Conn) read(r *reader, limit Limit) error {
	r.limit, r.end, r.stop = limit, 0, false
	for {
		var err error
		if c.direct {
			err = c.raw.Read(r.ready)
		} else {
			err = c.readGeneric(r)
		}
		switch {
		case err == nil && r.stop:
			r.n = 0
			return ErrInterrupted
		case err == nil && r.errno != 0:
			r.n = 0
			return os.NewSyscallError("read", r.errno)
		case err == nil && r.n == 0:
			return io.EOF
		case err == nil:
			return nil
		case !isTimeout(err):
			r.n = 0
			return err
		}
		// Early, late, or because of Interrupt: the clock tells.
		if c.interrupted.Load() {
			r.n = 0
			return ErrInterrupted
		}
		t := now()
		r.armed = 1
		if r.end == 0 {
			r.end = limit.end(t)
		}
		if r.end != 0 && t >= r.end {
			r.n = 0
			return ErrTimeout
		}
		if !c.armRead(t) {
			r.n = 0
			return ErrInterrupted
		}
	}
}

func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// armRead sees to it that a wait that begins at t ends no later than r.end. A timer that fires earlier is left alone: to
// look at the clock then is cheaper than to set it now. It returns false if the connection was interrupted meanwhile.
func (c *Conn) armRead(t int64) bool {
	r := c.rd
	switch {
	case r.armed != 0 && r.armed <= t, // in the past: would fire at once
		r.end != 0 && (r.armed == 0 || r.armed > r.end): // too late
		r.armed = r.end
		if err := c.nc.SetReadDeadline(deadline(r.end, t)); err != nil {
			return true // closed: the read says so
		}
	}
	return !c.interrupted.Load()
}

// readReady is the callback of RawConn.Read.
func (c *Conn) readReady(fd uintptr) bool {
	r := c.rd
	if r.pool != nil {
		r.take()
	}
	for {
		n, errno := sysRead(fd, r.p)
		switch errno {
		case 0:
			r.n, r.errno = n, 0
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			r.errno = errno
			return true
		}
		if r.pool != nil {
			// n still holds the wanted maximum, for the next time.
			r.buf.put()
			r.buf, r.p = nil, nil
		}
		t := now()
		if r.end == 0 {
			r.end = r.limit.end(t)
		}
		if r.end != 0 && t >= r.end {
			// Let the poller say so: the deadline lies in the past.
			r.armed = 1
		}
		r.errno = 0
		r.stop = !c.armRead(t)
		return r.stop
	}
}

func (c *Conn) readGeneric(r *reader) error {
	t := now()
	if r.end == 0 {
		r.end = r.limit.end(t)
	}
	if r.stop = !c.armRead(t); r.stop {
		return nil
	}
	n, err := c.nc.Read(r.p)
	r.errno = 0
	if n > 0 {
		r.n = n
		return nil
	}
	if err == io.EOF {
		r.n = 0
		return nil
	}
	return err
}
