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

// The adaptive limit is a gradient limiter: as long as answers take about as long as they do without a queue, the limit grows
// by a small one; when they take much longer it falls in proportion. What it compares with is measured, as by Envoy's
// adaptive concurrency filter: when answers have been slow for a while, the limit is set so low for a moment that no queue
// can be the reason. A long average (Netflix's second gradient limiter) follows, at thousands of answers a second, the very
// queue that it should notice.
const (
	firstLimit = 20
	leastLimit = 4
	mostLimit  = 1000
	queueRoom  = 4.0
	tolerance  = 2.0
	smoothing  = 0.2
	// adaptEvery is how often the limit moves; single answers say little.
	adaptEvery = int64(20 * time.Millisecond)
	// After strain of slow answers comes a probe: settle for what was begun before to end, and one more move to measure.
	// One that does not come to an end, because answers take longer than that, is given up.
	strain      = int64(10 * time.Second)
	settle      = int64(100 * time.Millisecond)
	longestTest = int64(5 * time.Second)
)

// gradient is the state of an instance's adaptive limit. What is not atomic belongs to who holds busy.
type gradient struct {
	limit   atomic.Uint64 // float64 bits; 0: firstLimit
	probing atomic.Int64  // when the probe that runs began, or 0
	busy    atomic.Bool

	least    float64 // nanoseconds without a queue; 0: not known
	short    float64 // average of the answers since the last move
	count    int     // of them
	moved    int64   // when the limit moved last
	strained int64   // since when answers are slow; 0: they are not
}

// Limit is the adaptive limit, no more than most if that is not 0.
func (l *Load) Limit(most int64) int64 {
	g := l.gradient()
	limit := g.value()
	if g.probing.Load() != 0 {
		limit = leastLimit
	}
	if most > 0 {
		limit = min(limit, float64(most))
	}
	return int64(limit)
}

func (l *Load) gradient() *gradient {
	if g := l.adaptive.Load(); g != nil {
		return g
	}
	l.adaptive.CompareAndSwap(nil, &gradient{})
	return l.adaptive.Load()
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
	g := l.gradient()
	if !g.busy.CompareAndSwap(false, true) {
		return // somebody else's sample is as good
	}
	defer g.busy.Store(false)
	sample := float64(max(latency, 1))
	if failed {
		sample = max(sample, 10*g.least)
	}
	g.count++
	g.short += (sample - g.short) / float64(g.count)
	if now-g.moved < adaptEvery {
		return
	}
	short := g.short
	g.moved, g.count, g.short = now, 0, 0
	if began := g.probing.Load(); began != 0 {
		g.probe(now, began, short)
		return
	}
	if g.least == 0 || short < g.least {
		g.least = short
	}
	switch {
	case short <= tolerance*g.least:
		g.strained = 0
	case g.strained == 0:
		g.strained = now
	case now-g.strained > strain && !failed:
		g.strained = 0
		g.probing.Store(now)
		return
	}
	limit := g.value()
	if float64(inflight) < limit/2 && short <= tolerance*g.least {
		return // not tried out: it says nothing about more
	}
	slope := max(0.5, min(1, tolerance*g.least/short))
	limit = limit*(1-smoothing) + (limit*slope+queueRoom)*smoothing
	g.limit.Store(math.Float64bits(max(leastLimit, min(mostLimit, limit))))
}

// probe ends a probe that has run for long enough: what an answer took then is what it takes without a queue.
func (g *gradient) probe(now, began int64, short float64) {
	if now-began < settle+int64(short) {
		return
	}
	if now-began < longestTest {
		g.least = short
	}
	g.probing.Store(0)
}
