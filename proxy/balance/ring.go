package balance

import (
	"math"
	"math/bits"
	"slices"
)

const (
	// mostPoints bounds a ring, but for one point that every target has.
	mostPoints = 1 << 16
	// points is how many a target of average weight has on a ring that is not bounded: the shares of equal targets then
	// differ by about 1/sqrt(points), 6 %.
	points = 256
)

// ring is consistent hashing: every target has points on a circle, as many as it weighs, and a key belongs to the next
// point (Karger et al. 1997; ketama). A target that leaves gives its keys to the others, and no other key moves.
type ring struct {
	hashes []uint64 // sorted
	owners []int32
	starts []int32 // for each prefix of a hash, the first point with that prefix or after it
	shift  uint8
}

func newRing(targets []Target, shares []float64) *ring {
	n := len(targets)
	if n == 0 {
		return nil
	}
	// How many points a target has must not change with the list, or keys move between those that stay. So the measure
	// moves by powers of two: of the list's length, and of the average weight.
	per := points
	for per > 1 && per*n > mostPoints {
		per /= 2
	}
	measure := float64(per)
	if average := averageWeight(targets); slices.ContainsFunc(shares, func(s float64) bool { return s != 1 }) {
		measure *= average / math.Exp2(math.Round(math.Log2(average)))
	}
	counts, total := make([]int, n), 0
	for i, share := range shares {
		counts[i] = max(1, int(math.Round(share*measure)))
		total += counts[i]
	}
	r := &ring{hashes: make([]uint64, total), owners: make([]int32, total)}
	prefix := bits.Len(uint(total - 1))
	r.shift = uint8(64 - prefix)
	r.starts = make([]int32, 1<<prefix+1)
	r.sort(places(targets), counts)
	return r
}

func averageWeight(targets []Target) (sum float64) {
	for i := range targets {
		sum += weightOf(&targets[i])
	}
	return sum / float64(len(targets))
}

// sort lays out the points in order: into buckets by prefix, of which each has about one, and by insertion within.
func (r *ring) sort(places []uint64, counts []int) {
	for i, count := range counts {
		for k := range count {
			r.starts[mix(places[i]+uint64(k)*golden)>>r.shift+1]++
		}
	}
	for b := 1; b < len(r.starts); b++ {
		r.starts[b] += r.starts[b-1]
	}
	filled := make([]int32, len(r.starts)-1)
	for i, count := range counts {
		for k := range count {
			h := mix(places[i] + uint64(k)*golden)
			b := h >> r.shift
			first := r.starts[b]
			at := first + filled[b]
			filled[b]++
			for ; at > first && r.hashes[at-1] > h; at-- {
				r.hashes[at], r.owners[at] = r.hashes[at-1], r.owners[at-1]
			}
			r.hashes[at], r.owners[at] = h, int32(i)
		}
	}
}

func (r *ring) at(key uint64, step int) int {
	i := int(r.starts[key>>r.shift])
	for i < len(r.hashes) && r.hashes[i] < key {
		i++
	}
	i += step
	if i >= len(r.hashes) {
		i %= len(r.hashes)
	}
	return int(r.owners[i])
}
