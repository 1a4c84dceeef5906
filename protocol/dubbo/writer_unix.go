//go:build unix

package dubbo

import (
	"os"
	"syscall"
)

// writeOnce runs inside RawConn.Write. It always says that it is done: what the socket did not take is left to a goroutine
// that may wait.
func (w *writer) writeOnce(fd uintptr) bool {
	for w.n < len(w.buf) {
		n, err := syscall.Write(int(fd), w.buf[w.n:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			w.err = os.NewSyscallError("write", err)
			return true
		default:
			w.n += n
		}
	}
	return true
}
