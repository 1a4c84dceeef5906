package socket

import (
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const pipeSize = 256 << 10

// Splicer moves bytes between sockets inside the kernel. The zero value is ready; it keeps pipes for reuse, which the
// collector closes.
type Splicer struct{ pipes sync.Pool }

// pipe is one kernel pipe and the state of the splice that uses it.
type pipe struct {
	rfd    int
	wfd    int
	gc     runtime.Cleanup
	held   int // bytes in the pipe
	want   int
	n      int
	errno  syscall.Errno
	src    *Conn
	limit  Limit
	stop   bool
	fillFn func(fd uintptr) bool
	dumpFn func(fd uintptr) bool
	wait   bool
}

func newPipe() (*pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // refused: slower, not wrong
	p := &pipe{rfd: fds[0], wfd: fds[1]}
	p.gc = runtime.AddCleanup(p, closePipe, fds) // for one that the pool drops
	p.fillFn, p.dumpFn = p.fill, p.dump
	return p, nil
}

func (p *pipe) close() {
	p.gc.Stop()
	closePipe([2]int{p.rfd, p.wfd})
}

func closePipe(fds [2]int) {
	_ = unix.Close(fds[0])
	_ = unix.Close(fds[1])
}

// Splice moves up to n bytes from src to dst; both must be Direct. It returns how many arrived at dst. If nothing comes
// from src within the read limit it returns ErrTimeout with stalled true, and may be called again for the rest; the end of
// src is io.EOF with stalled true. Every other error is dst's, and the bytes under way are lost.
func (s *Splicer) Splice(dst, src *Conn, n int64, read, write Limit) (moved int64, stalled bool, err error) {
	p, _ := s.pipes.Get().(*pipe)
	if p == nil {
		if p, err = newPipe(); err != nil {
			return 0, true, err
		}
	}
	p.src = src
	for moved < n && err == nil {
		p.want, p.limit = int(min(n-moved, pipeSize)), read
		if err = p.take(); err != nil {
			stalled = true
			break
		}
		var k int64
		k, err = p.give(dst, write)
		moved += k
	}
	p.src = nil
	if p.held > 0 {
		p.close()
	} else {
		s.pipes.Put(p)
	}
	return moved, stalled, err
}

func splice(from, to, n int) (int, syscall.Errno) {
	const flags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
	for {
		r, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
		if errno != syscall.EINTR {
			return int(r), errno
		}
	}
}

// fill is the callback that moves from the source into the empty pipe.
func (p *pipe) fill(fd uintptr) bool {
	n, errno := splice(int(fd), p.wfd, p.want)
	if errno == syscall.EAGAIN { // the pipe is empty, so it is the socket that has nothing
		t := now()
		r := p.src.rd
		if r.end == 0 {
			r.end = r.limit.end(t)
		}
		if r.end != 0 && t >= r.end {
			r.armed = 1
		}
		p.stop = !p.src.armRead(t)
		return p.stop
	}
	p.n, p.errno = n, errno
	return true
}

// take fills the pipe. It is Conn.read with another callback.
func (p *pipe) take() error {
	c := p.src
	r := c.reading()
	r.limit, r.end = p.limit, 0
	for {
		p.n, p.errno, p.stop = 0, 0, false
		err := c.raw.Read(p.fillFn)
		switch {
		case p.stop || err != nil && isTimeout(err) && c.interrupted.Load():
			return ErrInterrupted
		case err == nil && p.errno != 0:
			return os.NewSyscallError("splice", p.errno)
		case err == nil && p.n == 0:
			return io.EOF
		case err == nil:
			p.held += p.n
			return nil
		case !isTimeout(err):
			return err
		}
		t := now()
		r.armed = 1
		if r.end == 0 {
			r.end = r.limit.end(t)
		}
		if r.end != 0 && t >= r.end {
			return ErrTimeout
		}
		if !c.armRead(t) {
			return ErrInterrupted
		}
	}
}

// dump is the callback that moves from the pipe to the target.
func (p *pipe) dump(fd uintptr) bool {
	n, errno := splice(p.rfd, int(fd), p.held)
	if errno == syscall.EAGAIN && p.wait {
		return false
	}
	p.n, p.errno = n, errno
	p.wait = false
	return true
}

// give empties the pipe. It is Conn.writeRaw with another callback.
func (p *pipe) give(dst *Conn, limit Limit) (int64, error) {
	w := dst.writing()
	var done, end int64
	progress := int64(-1)
	p.wait = false
	for p.held > 0 {
		p.n, p.errno = 0, 0
		err := dst.raw.Write(p.dumpFn)
		if err == nil && p.errno == 0 {
			p.held -= p.n
			done += int64(p.n)
			continue
		}
		if err == nil && p.errno != syscall.EAGAIN {
			return done, os.NewSyscallError("splice", p.errno)
		}
		if err != nil && !isTimeout(err) {
			return done, err
		}
		t := now()
		if done != progress {
			progress, end = done, limit.end(t)
		}
		if end != 0 && t >= end {
			return done, ErrTimeout
		}
		if err := dst.armWrite(w, err != nil, end, t); err != nil {
			return done, err
		}
		p.wait = true
	}
	return done, nil
}
