package upstream

import (
	"math"
	"sync/atomic"
	"time"
)

// usual is how long a service's answers take of late: a histogram whose buckets grow by a quarter, from 100 us up to three
// minutes, that forgets half of what it knows every few thousand answers.
type usual struct {
	counts [buckets]atomic.Uint32
	total  atomic.Uint32
	known  atomic.Int64 // the 95th percentile when it was looked for last, in nanoseconds; 0: too few answers
	busy   atomic.Bool
}

const (
	buckets    = 65
	growth     = 1.25
	shortest   = float64(100 * time.Microsecond)
	enough     = 100
	lookEvery  = 64
	forgetFrom = 8192
)

// observe counts an answer.
func (u *usual) observe(nanos int64) {
	if nanos <= 0 {
		return
	}
	b := 0
	if n := float64(nanos); n > shortest {
		b = min(buckets-1, int(math.Log(n/shortest)/math.Log(growth))+1)
	}
	u.counts[b].Add(1)
	if n := u.total.Add(1); n%lookEvery == 0 && u.busy.CompareAndSwap(false, true) {
		u.look()
		u.busy.Store(false)
	}
}

// late is the time after which an answer is later than 95 of 100; 0 while too few are known.
func (u *usual) late() time.Duration { return time.Duration(u.known.Load()) }

func (u *usual) look() {
	var counts [buckets]uint32
	var total uint32
	for b := range counts {
		counts[b] = u.counts[b].Load()
		total += counts[b]
	}
	if total < enough {
		return
	}
	rest := total / 20
	for b := buckets - 1; b >= 0; b-- {
		if counts[b] > rest {
			u.known.Store(int64(shortest * math.Pow(growth, float64(b)))) // its upper end: rather late than often
			break
		}
		rest -= counts[b]
	}
	if total < forgetFrom {
		return
	}
	u.total.Store(total / 2)
	for b := range counts {
		u.counts[b].Store(counts[b] / 2) // answers counted meanwhile are lost, which does not matter
	}
}
