package socket

import (
	"syscall"
	"unsafe"
)

// rawSupported says that sysRead and send work here.
const rawSupported = true

type iovec = syscall.Iovec

// sysRead reads without telling the scheduler, which is right only because the descriptor never blocks.
func sysRead(fd uintptr, p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, syscall.EINVAL
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

// send writes the pieces. MSG_NOSIGNAL is not needed: the runtime ignores SIGPIPE on sockets.
func (w *writer) send(fd uintptr) (int, syscall.Errno) {
	if w.nvec == 1 {
		p := w.vec[0]
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		return int(n), errno
	}
	k := 0
	for _, p := range w.vec[:w.nvec] {
		if len(p) > 0 {
			w.iov[k] = iovec{Base: &p[0]}
			w.iov[k].SetLen(len(p))
			k++
		}
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(k))
	clear(w.iov[:k])
	return int(n), errno
}
