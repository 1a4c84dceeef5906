package outlier

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts latencies in steps of a quarter of an octave: what it tells is right to within a tenth, for an atomic
// addition an answer. From about a microsecond to an hour; what is beyond counts as the ends.
type histogram [buckets]atomic.Uint32

const (
	buckets   = 4 * 32
	leastBits = 10 // 1,024 ns
)

func (h *histogram) add(latency int64) { h[bucket(latency)].Add(1) }

// bucket is the exponent and the two bits after the leading one.
func bucket(latency int64) int {
	if latency < 1<<leastBits {
		return 0
	}
	exponent := bits.Len64(uint64(latency)) - 1
	quarter := int(latency>>(exponent-2)) & 3
	return min((exponent-leastBits)*4+quarter, buckets-1)
}

// middle is the middle of a bucket.
func middle(bucket int) time.Duration {
	exponent, quarter := bucket/4+leastBits, int64(bucket%4)
	return time.Duration((2*(4+quarter) + 1) << (exponent - 3))
}

// take empties the histogram and returns its median and the number of what it held.
func (h *histogram) take() (median time.Duration, n int) {
	var held [buckets]int
	for b := range h {
		if h[b].Load() != 0 {
			held[b] = int(h[b].Swap(0))
			n += held[b]
		}
	}
	for b, rank := 0, n/2; b < buckets; b++ {
		if rank < held[b] {
			return middle(b), n
		}
		rank -= held[b]
	}
	return 0, n
}
