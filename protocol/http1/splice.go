package http1

import (
	"io"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// spliceFrom is how much of a body must be left for splicing to be cheaper than reading and writing: below it, the system
// calls cost more than the copy.
const spliceFrom = 64 << 10

// splicer is a body that can be moved to another socket inside the kernel.
type splicer interface {
	// spliceable reports whether all of the rest, and how much that is, can be spliced.
	spliceable() (int64, bool)
	// spliceTo moves the rest to dst and ends the body. moved counts what reached dst.
	spliceTo(s *socket.Splicer, dst *socket.Conn, write socket.Limit) (moved int64, readErr, writeErr error)
}

func (b *inbound) spliceable() (int64, bool) {
	ok := b.kind == bodyFixed && b.left >= spliceFrom && b.broke == nil && b.st.buffered() == 0 && b.st.sock.Direct()
	return b.left, ok
}

func (b *inbound) spliceTo(s *socket.Splicer, dst *socket.Conn, write socket.Limit) (moved int64, readErr, writeErr error) {
	b.busy.Store(true)
	defer b.busy.Store(false)
	b.st.dropData() // nothing is held while the kernel works
	for b.left > 0 {
		if b.closed.Load() {
			b.broke = protocol.ErrBodyClosed
			return moved, b.broke, nil
		}
		read, err := b.src.beforeRead()
		if err != nil {
			b.broke = err
			return moved, err, nil
		}
		n, stalled, err := s.Splice(dst, b.st.sock, b.left, read, write)
		b.left -= n
		b.seen.Add(n)
		moved += n
		switch {
		case err == nil:
		case !stalled:
			b.broke = err // bytes were lost on the way
			return moved, nil, err
		case b.closed.Load():
			b.broke = protocol.ErrBodyClosed
			return moved, b.broke, nil
		case err == io.EOF:
			b.broke = b.src.malformed(errTruncated)
			return moved, b.broke, nil
		default:
			if err = b.src.readFailed(err); err != nil {
				b.broke = err
				return moved, err, nil
			}
		}
	}
	b.done = true
	return moved, nil, nil
}
