package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Reserve is Begin for an instance that may have at most limit requests at once. It reports false, and has counted
// nothing, when the instance has them.
func (l *Load) Reserve(limit int64) bool {
	n := l.inflight.Add(1)
	if n > limit {
		l.inflight.Add(-1)
		l.Set(Full, true)
		l.Relieve(limit) // whoever has left meanwhile did not see the flag
		return false
	}
	if n == limit {
		l.Set(Full, true)
	}
	return true
}

// Relieve takes Full back when there is room. It is called after each End of what Reserve has begun.
func (l *Load) Relieve(limit int64) {
	if l.Flags()&Full != 0 && l.inflight.Load() < limit {
		l.Set(Full, false)
		if l.inflight.Load() >= limit { // it was filled between the two
			l.Set(Full, true)
		}
	}
}

// The adaptive limit is a gradient limiter: as long as answers take about as long as the quickest of late, the limit grows by
// a small queue; when they take much longer it falls in proportion. What it compares with is the least average of late, as
// in TCP BBR and Envoy's adaptive concurrency, and not a long average (Netflix's second gradient limiter), which at
// thousands of answers a second follows the queue that it should notice. The least rises slowly,
// and at once when the limit has fallen to where no queue can be its reason: a service that has become slower for good is
// not throttled for ever.
const (
	firstLimit = 20
	leastLimit = 4
	mostLimit  = 1000
	queueRoom  = 4.0
	tolerance  = 2.0
	smoothing  = 0.2
	// riseEach is how fast the least average is forgotten: it doubles in ten minutes.
	riseEach = float64(10*time.Minute) / math.Ln2
	// adaptEvery is how often the limit moves; single answers say little.
	adaptEvery = int64(20 * time.Millisecond)
)

// gradient is the state of an instance's adaptive limit.
type gradient struct {
	limit atomic.Uint64 // float64 bits; 0: firstLimit
	least atomic.Uint64 // float64 bits of the least average of late, in nanoseconds
	short atomic.Uint64 // of the answers since the last move
	count atomic.Int64
	moved atomic.Int64
	busy  atomic.Bool
}

// Limit is the adaptive limit, no more than most if that is not 0.
func (l *Load) Limit(most int64) int64 {
	limit := l.adaptive.value()
	if most > 0 {
		limit = min(limit, float64(most))
	}
	return int64(limit)
}

func (g *gradient) value() float64 {
	if bits := g.limit.Load(); bits != 0 {
		return math.Float64frombits(bits)
	}
	return firstLimit
}

// Adapt moves the adaptive limit by an answer's latency, in nanoseconds. A failure for lack of capacity or time counts as
// an answer that took very long. inflight is how many requests there were with it.
func (l *Load) Adapt(now, latency, inflight int64, failed bool) {
	g := &l.adaptive
	if !g.busy.CompareAndSwap(false, true) {
		return // somebody else's sample is as good
	}
	defer g.busy.Store(false)
	sample := float64(max(latency, 1))
	least := math.Float64frombits(g.least.Load())
	if failed {
		sample = max(sample, 10*least)
	}
	n := g.count.Add(1)
	short := math.Float64frombits(g.short.Load())
	short += (sample - short) / float64(n)
	g.short.Store(math.Float64bits(short))
	moved := g.moved.Load()
	if now-moved < adaptEvery {
		return
	}
	g.moved.Store(now)
	g.count.Store(0)
	g.short.Store(0)
	if least == 0 || short < least {
		least = short
	} else {
		least = min(short, least*(1+float64(now-moved)/riseEach))
	}
	limit := g.value()
	if limit < 3*leastLimit && short > least {
		least += (short - least) * smoothing
	}
	g.least.Store(math.Float64bits(least))
	if float64(inflight) < limit/2 && short <= tolerance*least {
		return // not tried out: it says nothing about more
	}
	slope := max(0.5, min(1, tolerance*least/short))
	limit = limit*(1-smoothing) + (limit*slope+queueRoom)*smoothing
	g.limit.Store(math.Float64bits(max(leastLimit, min(mostLimit, limit))))
}
