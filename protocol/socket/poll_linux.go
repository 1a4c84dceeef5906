package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PollFd is scratch memory for Sweep.
type PollFd = unix.PollFd

const goneEvents = unix.POLLRDHUP | unix.POLLHUP | unix.POLLERR | unix.POLLNVAL

// Gone reports whether the peer has ended its direction or the connection is broken, without reading. Bytes that wait
// in front of the end do not hide it. A peer that only ended its sending side counts as gone, as it does for nginx: for a
// proxied request that is a client that will not wait for the answer.
func (c *Conn) Gone() bool {
	if c.raw == nil {
		return false
	}
	gone := false
	err := c.raw.Control(func(fd uintptr) {
		p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p[:], 0)
		gone = err == nil && n > 0 && p[0].Revents&goneEvents != 0
	})
	return gone || err != nil
}

// State is what Peek saw.
type State uint8

// A connection that should be idle is Quiet. One with Data has an unexpected answer (or, under TLS, perhaps a session
// ticket); one that is Ended is good for nothing.
const (
	Quiet State = iota
	Data
	Ended
)

// Peek looks at an idle connection before it is used again. Only the reading side calls it.
func (c *Conn) Peek() State {
	if c.raw == nil {
		return Quiet
	}
	if c.peek == nil {
		c.peek = new(peeker)
		c.peek.look = c.peek.recv
	}
	c.peek.state = Ended // and so it stays if the descriptor is closed
	_ = c.raw.Control(c.peek.look)
	return c.peek.state
}

// peeker holds the argument and result of a callback, so that Peek allocates once in a connection's life.
type peeker struct {
	look  func(fd uintptr)
	state State
	b     [1]byte
}

func (p *peeker) recv(fd uintptr) {
	const flags = syscall.MSG_PEEK | syscall.MSG_DONTWAIT
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p.b[0])), 1, flags, 0, 0)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			p.state = Quiet
		case errno == 0 && n > 0:
			p.state = Data
		}
		return
	}
}

// Sweep looks at many idle connections by one system call and calls found with the index of each one that is readable or
// broken. scratch is reused if it is large enough and returned. The caller keeps the connections from being closed
// meanwhile.
func Sweep(conns []*Conn, scratch []PollFd, found func(i int)) []PollFd {
	return sweep(conns, scratch, unix.POLLIN|unix.POLLRDHUP, found)
}

// SweepGone is Sweep for connections in use: only those whose peer is gone are found.
func SweepGone(conns []*Conn, scratch []PollFd, found func(i int)) []PollFd {
	return sweep(conns, scratch, unix.POLLRDHUP, found)
}

func sweep(conns []*Conn, scratch []PollFd, events int16, found func(i int)) []PollFd {
	fds := scratch[:0]
	for _, c := range conns {
		fds = append(fds, PollFd{Fd: c.fd, Events: events}) // a negative number is skipped by the kernel
	}
	if len(fds) == 0 {
		return fds
	}
	n, err := unix.Poll(fds, 0)
	for err == syscall.EINTR {
		n, err = unix.Poll(fds, 0)
	}
	for i := 0; n > 0 && i < len(fds); i++ {
		if fds[i].Revents != 0 {
			found(i)
			n--
		}
	}
	return fds
}
