package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
)

// Ports are handed out in blocks of ten below the kernel's ephemeral range, so that no outgoing connection can take
// one between its choice and its use. The first port of a block is held by a listener: the lock between test processes.
const (
	firstPort = 20000
	lastPort  = 29999
	blockSize = 10
)

// portBlock is a block that is ours until Close.
type portBlock struct {
	base  int
	locks []net.Listener
}

// reservePorts finds a block, and with it the blocks that lie the given distances (multiples of ten) away from it, all
// of them ours and none of their ports in use.
func reservePorts(distances ...int) (*portBlock, error) {
	low, high := min(0, slices.Min(append(distances, 0))), max(0, slices.Max(append(distances, 0)))
	first, last := firstPort-low, lastPort+1-blockSize-high
	blocks := (last-first)/blockSize + 1
	start := rand.IntN(blocks)
	for i := range blocks {
		base := first + (start+i)%blocks*blockSize
		b := &portBlock{base: base}
		if b.take(base) && !slices.ContainsFunc(distances, func(d int) bool { return !b.take(base + d) }) {
			return b, nil
		}
		b.Close()
	}
	return nil, errors.New("reserve ports: every block in 20000-29999 is taken")
}

// take locks one block and makes sure that nobody outside this scheme listens in it.
func (b *portBlock) take(base int) bool {
	lock, err := net.Listen("tcp4", loopback(base))
	if err != nil {
		return false
	}
	b.locks = append(b.locks, lock)
	for port := base + 1; port < base+blockSize; port++ {
		probe, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		_ = probe.Close()
	}
	return true
}

// Port returns the n-th usable port of the block, 1 to 9.
func (b *portBlock) Port(n int) int { return b.base + n }

// Close gives the block back.
func (b *portBlock) Close() {
	for _, l := range b.locks {
		_ = l.Close()
	}
	b.locks = nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// FreePort returns a TCP port that nobody listens on and that no other test gets until this one has ended.
func FreePort(tb testing.TB) int {
	tb.Helper()
	b, err := reservePorts()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return b.Port(1)
}
