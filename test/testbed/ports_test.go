package testbed

import (
	"net"
	"strconv"
	"testing"
)

func TestPortsAreDisjoint(t *testing.T) {
	seen := map[int]bool{}
	for range 20 {
		port := FreePort(t)
		if port <= firstPort || port > lastPort || seen[port/blockSize] {
			t.Errorf("port %d is out of range or of a block that was handed out", port)
		}
		seen[port/blockSize] = true
	}
}

// TestPortsWithDistances: all blocks are within the range, locked, and given back.
func TestPortsWithDistances(t *testing.T) {
	b, err := reservePorts(1000, -1000)
	check(t, err)
	for _, distance := range []int{0, 1000, -1000} {
		base := b.base + distance
		if base < firstPort || base+blockSize-1 > lastPort {
			t.Errorf("block %d is out of range", base)
		}
		if l, err := net.Listen("tcp4", loopback(base)); err == nil {
			_ = l.Close()
			t.Errorf("block %d is not locked", base)
		}
		if l, err := net.Listen("tcp4", loopback(base+1)); err != nil {
			t.Errorf("port %d is not free: %v", base+1, err)
		} else {
			_ = l.Close()
		}
	}
	b.Close()
	if l, err := net.Listen("tcp4", loopback(b.base)); err != nil {
		t.Errorf("the lock was not given back: %v", err)
	} else {
		_ = l.Close()
	}
}

// TestTakenPort: a block in which a stranger listens on any interface is not ours.
func TestTakenPort(t *testing.T) {
	b, err := reservePorts()
	check(t, err)
	base := b.base
	b.Close()
	stranger, err := net.Listen("tcp4", ":"+strconv.Itoa(base+5))
	check(t, err)
	defer stranger.Close()
	again := &portBlock{base: base}
	defer again.Close()
	if again.take(base) {
		t.Error("took a block with a stranger in it")
	}
}
