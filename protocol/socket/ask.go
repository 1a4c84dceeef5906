package socket

import "syscall"

// asker is the state of Ask, laid out like reader.
type asker struct {
	ready func(fd uintptr) bool
	buf   *Buffer
	p     []byte // what is to be sent
	begun bool
	state State
	sent  int
	probe [1]byte
}

// Ask sends out.B[:n] on a connection that has been idle, and waits for the first bytes of the answer: ReadBuffer with a
// Peek and a Write in front, for the price of the Write. A wait in the poller has to begin with a read that finds nothing;
// here that read is made before anything is sent, so that it also shows whether the connection is still good.
//
// If state is not Quiet, nothing was sent. If sent is less than n, the socket took no more, or broke, and nothing was read:
// Write tells. Otherwise out was released before the wait, and buf, m and err are ReadBuffer's.
//
// The connection must be Direct, and nobody else may be reading or writing.
func (c *Conn) Ask(out *Buffer, n int, pool *Pool, size int, limit Limit) (buf *Buffer, m int, state State, sent int, err error) {
	a, r := c.asker, c.reading()
	if a == nil {
		a = new(asker)
		a.ready = c.askReady
		c.asker = a
	}
	a.buf, a.p, a.begun, a.state, a.sent = out, out.B[:n], false, Ended, 0 // Ended it is, if the callback never runs
	plain := r.ready
	r.ready = a.ready
	r.pool, r.size, r.buf, r.n = pool, size, nil, 0
	err = c.read(r, limit)
	buf = r.buf
	r.ready, r.buf, r.pool = plain, nil, nil
	a.buf, a.p = nil, nil
	if err != nil && buf != nil {
		buf.put()
		buf = nil
	}
	return buf, r.n, a.state, a.sent, err
}

// askReady is the callback of RawConn.Read: probe and send first, read when called again.
func (c *Conn) askReady(fd uintptr) bool {
	a, r := c.asker, c.reading()
	if a.begun {
		return c.readReady(fd)
	}
	a.begun = true
	r.n, r.errno = 0, 0
	if a.state = probe(fd, a.probe[:]); a.state != Quiet {
		return true
	}
	w := c.writing()
	w.vec[0], w.nvec = a.p, 1
	for {
		n, errno := w.send(fd)
		if errno == syscall.EINTR {
			continue
		}
		if errno == 0 {
			a.sent = n
		}
		break
	}
	w.vec[0], w.nvec = nil, 0
	if a.sent < len(a.p) {
		return true
	}
	a.buf.Release()
	t := now()
	if r.end == 0 {
		r.end = r.limit.end(t)
	}
	if r.end != 0 && t >= r.end {
		r.armed = 1 // the poller shall say so
	}
	r.stop = !c.armRead(t)
	return r.stop
}

// probe tries to read from a socket that should have nothing.
func probe(fd uintptr, p []byte) State {
	for {
		n, errno := sysRead(fd, p)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return Quiet
		case errno == 0 && n > 0:
			return Data
		}
		return Ended
	}
}
