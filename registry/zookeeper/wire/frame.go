package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxFrame bounds one answer, in bytes. A list of 10,000 providers takes about 6 MB.
	MaxFrame = 64 << 20
	// maxHandshake bounds the first answer, which has some 40 bytes.
	maxHandshake = 4 << 10
	// replyHeader is what every later answer begins with.
	replyHeader = 16
	// firstPiece is how much memory an answer gets on its length's word alone.
	firstPiece = 1 << 20
	// tlsAlert is how a server that expects TLS answers: the type of an alert, and the major version.
	tlsAlert = 0x1503
)

// readFrame reads one answer whose length must be between low and high. What speaks another protocol is found out by that:
// "HTTP" would be a length of 1.2 GB.
func readFrame(r *bufio.Reader, low, high int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	switch {
	case size > uint32(high) && high == MaxFrame && size <= 1<<30:
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	case size>>16 == tlsAlert && high == maxHandshake:
		return nil, errors.New("the server speaks TLS here: give a tls section, or the port that has none")
	case size < uint32(low) || size > uint32(high):
		return nil, fmt.Errorf("not a ZooKeeper server: an answer of %d bytes", size)
	}
	frame := make([]byte, min(int(size), firstPiece))
	for got := 0; ; {
		n, err := io.ReadFull(r, frame[got:])
		got += n
		if err != nil {
			return nil, err
		}
		if got == int(size) {
			return frame, nil
		}
		frame = append(frame, make([]byte, min(got, int(size)-got))...) //nolint:makezero // grows as bytes really come
	}
}
