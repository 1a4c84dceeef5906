package zookeeper

import (
	"encoding/binary"
	"fmt"
	"net"
)

const (
	// maxFrame bounds one answer. A list of 10,000 providers takes about 6 MB.
	maxFrame = 64 << 20
	// maxHandshake bounds the first answer, which has some 40 bytes.
	maxHandshake = 4 << 10
	// replyHeader is what every later answer begins with.
	replyHeader = 16
)

// guard checks the lengths of a server's frames before the library sees them: it allocates what the first four bytes of
// a handshake say, which is 1.2 GB if they are "HTTP", and its reader does not expect frames without a header.
type guard struct {
	net.Conn
	frames
}

// Read hands on what the connection has, up to the end of the frame or of its length.
func (g *guard) Read(p []byte) (int, error) {
	want := g.limit()
	if len(p) > want {
		p = p[:want]
	}
	n, err := g.Conn.Read(p)
	if bad := g.take(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// frames follows the lengths in a stream of frames.
type frames struct {
	length  [4]byte
	have    int // bytes of length
	left    int // bytes of the current frame
	greeted bool
}

// limit is how many bytes may be taken next.
func (f *frames) limit() int {
	if f.left > 0 {
		return f.left
	}
	return len(f.length) - f.have
}

// take counts bytes that arrived, at most limit of them.
func (f *frames) take(p []byte) error {
	if f.left > 0 {
		f.left -= len(p)
		return nil
	}
	f.have += copy(f.length[f.have:], p)
	if f.have < len(f.length) {
		return nil
	}
	f.have = 0
	size := binary.BigEndian.Uint32(f.length[:])
	low, high := uint32(replyHeader), uint32(maxFrame)
	if !f.greeted {
		high, f.greeted = maxHandshake, true
	}
	if size < low || size > high {
		return fmt.Errorf("not a ZooKeeper server: an answer of %d bytes", size)
	}
	f.left = int(size)
	return nil
}
