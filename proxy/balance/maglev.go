package balance

import (
	"cmp"
	"math/bits"
	"slices"
)

// The sizes of a table are primes, as the paper chose them: the small one up to as many targets as get ten entries each.
const (
	tableSize    = 65537
	bigTableSize = 655373
)

// permutation is one target's order of the table's entries.
type permutation struct {
	index    int32
	place    uint64
	at, skip uint64
	// share is the weight over the heaviest one's, and debt what has added up of it since the last entry.
	share, debt float64
}

func (p *permutation) step(size uint64) {
	if p.at += p.skip; p.at >= size {
		p.at -= size
	}
}

// maglev is a table of one look-up, filled in turns by each target's own permutation of the entries (Eisenbud et al.,
// "Maglev: A Fast and Reliable Software Network Load Balancer", 2016, section 3.4). It divides keys more evenly than a
// ring; when a target leaves, a few keys of the others move too.
type maglev struct {
	entries []int32
}

func newMaglev(targets []Target, shares []float64) *maglev {
	n := len(targets)
	if n == 0 {
		return nil
	}
	size := uint64(tableSize)
	if n > tableSize/10 {
		size = bigTableSize
	}
	order, heaviest := make([]permutation, n), slices.Max(shares)
	for i, place := range places(targets) {
		order[i] = permutation{
			index: int32(i), place: place, at: mix(place+1) % size, skip: mix(place+2)%(size-1) + 1, share: shares[i] / heaviest,
		}
	}
	// The same table from whatever order of the list.
	slices.SortFunc(order, func(a, b permutation) int { return cmp.Compare(a.place, b.place) })
	m := &maglev{entries: make([]int32, size)}
	for e := range m.entries {
		m.entries[e] = -1
	}
	for filled := uint64(0); ; {
		for k := range order {
			t := &order[k]
			// The heaviest takes an entry in every round, the others as often as they weigh.
			if t.debt += t.share; t.debt < 1 {
				continue
			}
			t.debt--
			for m.entries[t.at] >= 0 {
				t.step(size)
			}
			m.entries[t.at] = t.index
			t.step(size)
			if filled++; filled == size {
				return m
			}
		}
	}
}

func (m *maglev) at(key uint64, step int) int {
	if step > 0 {
		key = mix(key + uint64(step)*golden)
	}
	e, _ := bits.Mul64(key, uint64(len(m.entries)))
	return int(m.entries[e])
}
