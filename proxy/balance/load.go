package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// tau is how fast old latencies are forgotten: after one tau a sample weighs 37 %.
	tau = float64(time.Second)
	// failureCost is the latency a failure is priced at. Without a price an instance that fails fast attracts traffic.
	failureCost = int64(time.Second)
	// maxFailureCost bounds what a server may ask for with Retry-After.
	maxFailureCost = int64(300 * time.Second)
)

// Load is what one instance of one service has shown of itself. It is safe for concurrent use, and its methods allocate
// nothing. Times are protocol.Now's nanoseconds.
type Load struct {
	inflight atomic.Int64
	// cost is the peak EWMA of latency in nanoseconds, as float64 bits, as it stood at stamp. Two samples at once may
	// lose one of them; an average bears that better than a lock on every request.
	cost  atomic.Uint64
	stamp atomic.Int64
	// flags are reasons not to pick it.
	flags atomic.Uint32

	// appeared is when the registry told of the instance, in protocol.Now's time, until its first request; then 0.
	appeared atomic.Int64

	// waiting is how many requests wait for an answer's head, and heard when the first of them was sent, or the last answer
	// came if that was later.
	waiting atomic.Int64
	heard   atomic.Int64

	requests atomic.Uint64
	failures atomic.Uint64
	total    atomic.Int64 // nanoseconds that all answers took which were no failures

	adaptive atomic.Pointer[gradient] // nil until a limit is asked for
	reported atomic.Pointer[reported] // nil until it has reported its load
}

// Appear notes that the registry has told of the instance, at a time of protocol.Now.
func (l *Load) Appear(at int64) { l.appeared.Store(at) }

// First reports whether this is the instance's first request since Appear, and when that was.
func (l *Load) First() (appeared int64, first bool) {
	if l.appeared.Load() == 0 {
		return 0, false
	}
	appeared = l.appeared.Swap(0)
	return appeared, appeared != 0
}

// Begin counts a request that is about to be sent.
func (l *Load) Begin() {
	l.inflight.Add(1)
	l.requests.Add(1)
}

// Sent counts a request whose place was reserved before.
func (l *Load) Sent() { l.requests.Add(1) }

// End takes back what Begin counted, when the exchange is over.
func (l *Load) End() { l.inflight.Add(-1) }

// Observe records the latency, in nanoseconds, of an answer's head.
func (l *Load) Observe(now, latency int64) {
	latency = max(latency, 1)
	l.total.Add(latency)
	l.charge(now, latency)
}

// charge makes what an answer cost part of the price.
func (l *Load) charge(now, latency int64) {
	sample := float64(latency)
	old := math.Float64frombits(l.cost.Load())
	stamp := l.stamp.Load()
	if stamp == 0 || sample > old*decay(now-stamp) {
		// A peak counts at once and in full: slowness must be noticed by the next pick, not after ten.
		l.cost.Store(math.Float64bits(sample))
	} else {
		w := decay(now - stamp)
		l.cost.Store(math.Float64bits(old*w + sample*(1-w)))
	}
	l.stamp.Store(now)
}

// Fail records a failure, or an answer that asks for less traffic (429, 503). retryAfter, in nanoseconds, is what the
// instance asked for, or 0.
func (l *Load) Fail(now, latency, retryAfter int64) {
	l.failures.Add(1)
	l.charge(now, max(latency, failureCost, min(retryAfter, maxFailureCost)))
}

// Set raises or takes back reasons not to pick the instance.
func (l *Load) Set(flags Flags, on bool) {
	if on {
		l.flags.Or(uint32(flags))
	} else {
		l.flags.And(^uint32(flags))
	}
}

// Flags are the reasons not to pick the instance.
func (l *Load) Flags() Flags { return Flags(l.flags.Load()) }

// SetDraining marks the instance as leaving: it is picked only when nothing else is left.
func (l *Load) SetDraining(on bool) { l.Set(Draining, on) }

// Draining reports whether the instance said that it is leaving.
func (l *Load) Draining() bool { return l.Flags()&Draining != 0 }

// InFlight is the number of requests begun and not ended.
func (l *Load) InFlight() int64 { return l.inflight.Load() }

// Requests and Failures count since the gateway first saw the instance.
func (l *Load) Requests() uint64 { return l.requests.Load() }

// Failures counts the calls of Fail.
func (l *Load) Failures() uint64 { return l.failures.Load() }

// answered is how many requests have come to an answer that was no failure, give or take those that are being answered.
func (l *Load) answered() uint64 {
	return l.requests.Load() - l.failures.Load() - uint64(max(l.inflight.Load(), 0))
}

// Latency is the peak EWMA as it stands at now, or how long an answer is being waited for if that is more; 0 if nothing was
// ever observed.
func (l *Load) Latency(now int64) time.Duration {
	stamp := l.stamp.Load()
	if stamp == 0 {
		return 0
	}
	return max(time.Duration(math.Float64frombits(l.cost.Load())*decay(now-stamp)), time.Duration(l.overdue(now)))
}

// price is what one more request costs somewhere, as a fraction: prices are compared more often than they are read, and a
// comparison of fractions needs no division.
type price struct{ over, under float64 }

func (p price) value() float64 { return p.over / p.under }

func (p price) below(other price) bool { return p.over*other.under < other.over*p.under }

// byLatency is the price of latency times the queue that a request would join (Finagle's peak EWMA), in nanoseconds. share is
// the instance's weight relative to the average.
func (l *Load) byLatency(now int64, share float64) price {
	inflight := float64(l.inflight.Load())
	stamp := l.stamp.Load()
	if stamp == 0 {
		// Unknown and idle costs nothing: find out. Unknown and busy: one request is finding out; do not pour a whole burst on
		// it meanwhile.
		return price{float64(failureCost) * inflight, share}
	}
	// The floor keeps the queue's length in the comparison when the memory of latency has faded to nothing.
	const floor = float64(50 * time.Microsecond)
	faded := fade(now - stamp)
	latency := math.Float64frombits(l.cost.Load())
	if least := floor * faded; latency < least { // max minds NaN, and takes several times as long
		latency = least
	}
	if late := float64(l.overdue(now)) * faded; latency < late {
		latency = late
	}
	return price{latency * (inflight + share), faded * share}
}

// byQueue is the price of requests in flight.
func (l *Load) byQueue(share float64) price { return price{float64(l.inflight.Load()), share} }

// decay is exp(-dt/tau), by a rational approximation that is monotonic and within 1 % for dt < tau.
func decay(dt int64) float64 { return 1 / fade(dt) }

func fade(dt int64) float64 {
	if dt <= 0 {
		return 1
	}
	x := float64(dt) * (1 / tau)
	return 1 + x*(1+x*(0.5+x*(1.0/6)))
}
