package socket

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// expiryTick is how exactly the times of parked connections are kept.
const expiryTick = time.Second

// Parker watches idle connections in an epoll set of its own, with one goroutine for all, so that an idle connection
// costs no stack. The runtime's own poller watches the epoll set: waiting takes no thread either.
type Parker struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
	done chan struct{}

	mu     sync.Mutex
	slots  slots
	ticks  bool // the goroutine wakes by itself to look at times
	closed bool
}

// NewParker starts the watching goroutine; Close ends it.
func NewParker() (*Parker, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make epoll set pollable: %w", err)
	}
	p := &Parker{file: os.NewFile(uintptr(fd), "parked"), fd: fd, done: make(chan struct{}), slots: newSlots()}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // refused if the runtime does not poll it
	}
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("watch epoll set: %w", err)
	}
	go p.run()
	return p, nil
}

// Park takes item until its connection is readable, or until the given time of protocol.Now (0: for ever). When it
// returns true, Wake or Expire may have been called already and the caller no longer owns item.
func (p *Parker) Park(item Parked, until int64) bool {
	c := item.Socket()
	if c.raw == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.trim()
	i := p.slots.add(item, until)
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: i}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(c.fd), &ev); err != nil {
		p.slots.remove(i)
		return false
	}
	if until != 0 && !p.ticks {
		p.ticks = true
		_ = p.file.SetReadDeadline(time.Now().Add(expiryTick)) // the goroutine waits without one
	}
	return true
}

// Len counts the parked connections.
func (p *Parker) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots.n
}

// Flush expires all parked connections now.
func (p *Parker) Flush() {
	for {
		p.mu.Lock()
		item := p.release(p.slots.first)
		p.mu.Unlock()
		if item == nil {
			return
		}
		item.Expire()
	}
}

// Close stops watching, expires what is parked and waits for the goroutine.
func (p *Parker) Close() {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if !again {
		p.Flush()
		_ = p.file.Close()
	}
	<-p.done
}

// release takes slot i out of the set. The caller holds the lock.
func (p *Parker) release(i int32) Parked {
	item := p.slots.remove(i)
	if item != nil {
		// It fails only if the connection was closed meanwhile, which took it out as well.
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(item.Socket().fd), nil)
	}
	return item
}

func (p *Parker) run() {
	defer close(p.done)
	events := make([]unix.EpollEvent, 128)
	n := 0
	poll := func(fd uintptr) bool {
		var err error
		n, err = unix.EpollWait(int(fd), events, 0)
		return err != unix.EINTR && n != 0 // errors end the wait too
	}
	for {
		n = 0
		err := p.raw.Read(poll)
		if err != nil && !isTimeout(err) {
			return // closed
		}
		for _, ev := range events[:max(n, 0)] {
			// An event of a slot that was given to another connection meanwhile wakes that one early, which is harmless.
			p.mu.Lock()
			item := p.release(ev.Fd)
			p.mu.Unlock()
			if item != nil {
				item.Wake()
			}
		}
		p.expire()
	}
}

// expire ends what has waited too long and sets the next time to look.
func (p *Parker) expire() {
	t := now()
	for {
		p.mu.Lock()
		item := p.slots.expired(t)
		if item == nil {
			next := time.Time{}
			if p.ticks = p.slots.n > 0; p.ticks {
				next = time.Now().Add(expiryTick)
			}
			_ = p.file.SetReadDeadline(next)
			p.mu.Unlock()
			return
		}
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(item.Socket().fd), nil)
		p.mu.Unlock()
		item.Expire()
	}
}
