package dubbo

import (
	"net"
	"syscall"
	"time"
)

// writer writes what a connection takes at once. One goroutine at a time uses it.
type writer struct {
	nc  net.Conn
	raw syscall.RawConn // nil when nc is no plain socket: TLS, or a pipe

	// The arguments and results of once, which is made a function value once instead of at each write.
	buf  []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

func (w *writer) init(nc net.Conn) {
	w.nc = nc
	w.once = w.writeOnce
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
}

// try writes as much of p as the socket takes without waiting. Connections that are no plain socket write it all, and wait.
func (w *writer) try(p []byte) (int, error) {
	if w.raw == nil {
		if err := w.nc.SetWriteDeadline(time.Now().Add(stalledWrite)); err != nil {
			return 0, err
		}
		return w.nc.Write(p)
	}
	w.buf, w.n, w.err = p, 0, nil
	err := w.raw.Write(w.once)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}
