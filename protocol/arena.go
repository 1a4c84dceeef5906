package protocol

import "unsafe"

// Arena hands out strings that live as long as the exchange. Its memory is kept for the next one.
type Arena struct {
	block []byte
}

const (
	firstArenaBlock = 512
	keptArenaBlock  = 16 << 10 // a larger block is given to the collector at Reset
)

// Concat joins parts into a string that is valid until Reset.
func (a *Arena) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := a.Take(n)
	b = b[:0]
	for _, p := range parts {
		b = append(b, p...)
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// String copies b into the arena.
func (a *Arena) String(b []byte) string {
	c := a.Take(len(b))
	copy(c, b)
	return unsafe.String(unsafe.SliceData(c), len(c))
}

// Take returns n bytes of scratch that are valid until Reset. Their content is undefined.
func (a *Arena) Take(n int) []byte {
	if cap(a.block)-len(a.block) < n {
		a.grow(n)
	}
	start := len(a.block)
	a.block = a.block[:start+n]
	return a.block[start : start+n : start+n]
}

func (a *Arena) grow(n int) {
	// Strings handed out point into the old block, which the collector keeps for as long as they live.
	size := max(firstArenaBlock, 2*cap(a.block), n)
	a.block = make([]byte, 0, size)
}

// Reset takes everything back.
func (a *Arena) Reset() {
	if Poisoning {
		for i := range a.block {
			a.block[i] = '#'
		}
	}
	if cap(a.block) > keptArenaBlock {
		a.block = nil
		return
	}
	a.block = a.block[:0]
}
