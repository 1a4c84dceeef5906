//go:build !linux

package socket

import "syscall"

// rawSupported is false: all connections go through net.Conn.
const rawSupported = false

type iovec struct{}

func sysRead(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

func (w *writer) send(uintptr) (int, syscall.Errno) { return 0, syscall.ENOSYS }
