//go:build !linux

package socket

import "errors"

// Splicer moves bytes between sockets inside the kernel, on Linux only.
type Splicer struct{}

// Splice is never reached here, because no Conn is Direct.
func (s *Splicer) Splice(_, _ *Conn, _ int64, _, _ Limit) (int64, bool, error) {
	return 0, true, errors.ErrUnsupported
}
