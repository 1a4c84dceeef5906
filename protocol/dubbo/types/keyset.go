package types

import (
	"bytes"
	"hash/maphash"
)

// keySet finds keys that stand twice in one object, for all the objects that are open at a moment. A key is known by
// where it was written in hessian2, so nothing is copied. The sets of nested objects share one hash table with open
// addressing: entries are taken out in the reverse order of putting them in, which restores each probe sequence.
type keySet struct {
	entries []keyEntry
	slots   []uint32 // one more than an index of entries, or 0; a power of two long
	seed    maphash.Seed
	seeded  bool
}

type keyEntry struct {
	hash       uint64
	start, end int
	slot       uint32
}

// keptSlots is the largest table that outlives a message.
const keptSlots = 1 << 12

// mark is where an object's keys start; release(mark) forgets them.
func (k *keySet) mark() int { return len(k.entries) }

// add puts in the key dst[start:] of the object that began at mark. It reports false when the object has it already.
func (k *keySet) add(mark int, dst []byte, start int) bool {
	if 2*len(k.entries) >= len(k.slots) {
		k.grow()
	}
	key := dst[start:]
	entry := keyEntry{hash: maphash.Bytes(k.seed, key) + uint64(mark)*0x9e3779b97f4a7c15, start: start, end: len(dst)}
	slot := k.free(entry.hash, func(i int) bool {
		e := k.entries[i]
		return i >= mark && e.hash == entry.hash && bytes.Equal(dst[e.start:e.end], key)
	})
	if slot < 0 {
		return false
	}
	entry.slot = uint32(slot)
	k.entries = append(k.entries, entry)
	k.slots[slot] = uint32(len(k.entries))
	return true
}

// free finds the slot where a hash belongs, or -1 if same says on the way that it is there.
func (k *keySet) free(hash uint64, same func(i int) bool) int {
	mask := uint64(len(k.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		n := k.slots[i]
		if n == 0 {
			return int(i)
		}
		if same(int(n - 1)) {
			return -1
		}
	}
}

func (k *keySet) grow() {
	if !k.seeded {
		k.seed, k.seeded = maphash.MakeSeed(), true
	}
	k.slots = make([]uint32, max(32, 2*len(k.slots)))
	for i := range k.entries {
		slot := k.free(k.entries[i].hash, func(int) bool { return false })
		k.entries[i].slot = uint32(slot)
		k.slots[slot] = uint32(i + 1)
	}
}

// release forgets the keys of the objects that began at mark or later.
func (k *keySet) release(mark int) {
	for i := len(k.entries) - 1; i >= mark; i-- {
		k.slots[k.entries[i].slot] = 0
	}
	k.entries = k.entries[:mark]
}

// reset forgets everything.
func (k *keySet) reset() {
	k.release(0)
	if len(k.slots) > keptSlots {
		k.slots, k.entries = nil, nil
	}
}
