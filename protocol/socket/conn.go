package socket

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// ErrTimeout is returned when a Limit has passed. What was transferred until then is lost to neither side: the call may
// be repeated.
var ErrTimeout = errors.New("socket: the time limit has passed")

// ErrInterrupted is returned by reads after Interrupt.
var ErrInterrupted = errors.New("socket: reading was interrupted")

// Limit says how long a call may wait. The zero value waits for ever. When both fields are set, the earlier time holds.
type Limit struct {
	// Until is a time of protocol.Now.
	Until int64
	// Stall is a number of nanoseconds that counts from when the call begins to wait, and for writes again whenever the
	// peer took something. It costs no look at the clock unless the call has to wait.
	Stall int64
}

// Within is a Limit of so many nanoseconds without progress.
func Within(d time.Duration) Limit { return Limit{Stall: int64(d)} }

// end resolves the limit for a wait that begins at now; 0 is never.
func (l Limit) end(now int64) int64 {
	if l.Stall <= 0 {
		return l.Until
	}
	if end := now + l.Stall; l.Until == 0 || end < l.Until {
		return end
	}
	return l.Until
}

// Conn wraps a connection. Make it with Init; it may be a field of something larger.
type Conn struct {
	nc     net.Conn
	raw    syscall.RawConn // the TCP socket, also below TLS; nil when there is none
	fd     int32           // its number, for Sweep and Parker only, whose callers keep the Conn open; -1 when there is none
	direct bool            // nothing lies between us and the socket

	interrupted atomic.Bool
	rd          *reader // made when needed, dropped while parked
	asker       *asker
	wr          *writer
	peek        *peeker
}

// Init makes c work on nc, which it owns from now on.
func (c *Conn) Init(nc net.Conn) {
	c.nc, c.fd = nc, -1
	inner := nc
	if t, ok := nc.(*tls.Conn); ok {
		inner = t.NetConn()
	}
	t, ok := inner.(*net.TCPConn)
	if !ok || !rawSupported {
		return
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	if raw.Control(func(fd uintptr) { c.fd = int32(fd) }) != nil {
		return
	}
	c.raw, c.direct = raw, inner == nc
}

// reading gives the state of the reading direction. A fresh one knows nothing of the deadline that may be armed, so it
// claims one in the past, which is set anew before anything waits.
func (c *Conn) reading() *reader {
	if c.rd == nil {
		c.rd = &reader{armed: 1}
		c.rd.ready = c.readReady
	}
	return c.rd
}

// writing gives the state of the writing direction.
func (c *Conn) writing() *writer {
	if c.wr == nil {
		c.wr = &writer{armed: 1}
		c.wr.ready = c.writeReady
	}
	return c.wr
}

// trim gives up all memory that an idle connection does not need.
func (c *Conn) trim() { c.rd, c.wr, c.peek, c.asker = nil, nil, nil, nil }

// New is Init on a fresh Conn.
func New(nc net.Conn) *Conn {
	c := new(Conn)
	c.Init(nc)
	return c
}

// NetConn is the wrapped connection. Reading, writing or setting deadlines there breaks this Conn.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Direct reports whether bytes go to the socket as they are, so that splicing is possible.
func (c *Conn) Direct() bool { return c.direct }

// Parkable reports whether a Parker can watch the connection.
func (c *Conn) Parkable() bool { return c.raw != nil }

// Peer is the other end's address, zero if it is not TCP.
func (c *Conn) Peer() netip.AddrPort { return addrPort(c.nc.RemoteAddr()) }

// Local is this end's address, zero if it is not TCP.
func (c *Conn) Local() netip.AddrPort { return addrPort(c.nc.LocalAddr()) }

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Close closes the connection. Blocked calls return with an error.
func (c *Conn) Close() error { return c.nc.Close() }

// CloseWrite sends the end of our direction and keeps the other one open.
func (c *Conn) CloseWrite() error {
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Reset makes the next Close abort the connection, so that the peer cannot take the end for an orderly one.
func (c *Conn) Reset() {
	nc := c.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails on a closed connection only
	}
}

// Interrupt makes a blocked read, and all later ones until Resume, return ErrInterrupted.
func (c *Conn) Interrupt() {
	// The order matters: a reader arms its deadline first and looks at the flag afterwards, see armRead.
	c.interrupted.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection, where reads fail anyway
}

// Resume ends an interruption. Only the reading side calls it, when no Interrupt can be under way.
func (c *Conn) Resume() {
	if c.interrupted.Load() {
		c.interrupted.Store(false)
		c.reading().armed = 1 // the deadline that Interrupt set lies in the past
	}
}

// deadline turns a time of protocol.Now into what net.Conn wants; 0 becomes "never".
func deadline(at, now int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(at - now))
}

func now() int64 { return protocol.Now() }
