package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// fairness bounds a target's load: one with more requests in flight than this, times the average for its weight, passes a
	// request on to the next target of the key (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads",
	// 2018).
	fairness = 1.25
	// idle is the number of requests in flight that is no load, however much less the others have. Without it the second
	// of two parallel requests of the only client would go elsewhere.
	idle = 4
	// hops is how many times a request is passed on before the least loaded of those is taken.
	hops = 32
	// recount is how old the average may be.
	recount = int64(time.Millisecond)
)

// table maps keys to targets so that few keys move when targets come and go.
type table interface {
	// at is the target of a mixed key, and with a step above 0 the one that stands in for the one before.
	at(key uint64, step int) int
}

// keyed sends a key to the same target as long as that is possible. Requests without a key go by peakEWMA.
type keyed struct {
	set
	table table
	rest  *cheapest

	counted atomic.Int64
	average atomic.Uint64 // float64 bits: requests in flight of a target of average weight
}

func newKeyed(s set, t table) *keyed {
	return &keyed{set: s, table: t, rest: newCheapest(s, byLatency)}
}

func (k *keyed) Pick(c Choice) int {
	n := len(k.loads)
	if n <= 1 {
		return n - 1
	}
	if !c.Keyed {
		return k.rest.Pick(c)
	}
	key, most := mix(c.Key), k.bound(c.Now)
	least, leastQueue := -1, 0.0
	for step := range hops {
		i := k.table.at(key, step)
		load := k.loads[i]
		if k.pool.passes(load, &c) {
			continue
		}
		inflight := load.inflight.Load()
		if inflight < idle {
			return i
		}
		queue := float64(inflight) / k.shares[i]
		if queue < most {
			return i
		}
		if least < 0 || queue < leastQueue {
			least, leastQueue = i, queue
		}
	}
	if least < 0 {
		return k.fallback(&c, key)
	}
	return least
}

// bound is how many requests a target of average weight may have in flight, before one more.
func (k *keyed) bound(now int64) float64 {
	if at := k.counted.Load(); (now-at >= recount || now < at || at == 0) && k.counted.CompareAndSwap(at, now) {
		var sum int64
		for _, l := range k.loads {
			sum += l.inflight.Load()
		}
		k.average.Store(math.Float64bits(float64(sum+1) / float64(len(k.loads))))
	}
	return fairness * math.Float64frombits(k.average.Load())
}
