package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// How reports become weights, as gRPC's weighted round robin does it (proposal A58), with its defaults.
const (
	// blackout is how long a target must have reported before its weight counts: a new one's first numbers mislead.
	blackout = int64(10 * time.Second)
	// expiry is the age at which a report is no longer believed. After it comes a new blackout.
	expiry = int64(3 * time.Minute)
	// errorPenalty is what the share of failed requests adds to the utilization.
	errorPenalty = 1.0
	// reweigh is how often weights are made of the reports.
	reweigh = int64(time.Second)
	// A weight is bounded by the middle one of all.
	mostRatio, leastRatio = 10, 0.1
)

// reported is what an instance says of its own load.
type reported struct {
	weight atomic.Uint64 // float64 bits: requests a second that it could do
	since  atomic.Int64  // when it began to report
	last   atomic.Int64
}

// Report records a load report (ORCA: a header or trailer of an answer): requests and errors a second that the instance
// serves, of all its clients, and how much of it that takes, where 1 is all. Reports without load say nothing and do not
// count; nor do those that cannot be true.
func (l *Load) Report(now int64, qps, utilization, eps float64) {
	if !(qps > 0 && utilization > 0) || math.IsInf(qps, 0) || math.IsInf(utilization, 0) {
		return
	}
	if eps > 0 {
		utilization += min(eps/qps, 1) * errorPenalty
	}
	weight := qps / utilization
	if !(weight > 0) || math.IsInf(weight, 0) {
		return
	}
	r := l.reported.Load()
	if r == nil {
		l.reported.CompareAndSwap(nil, &reported{})
		r = l.reported.Load()
	}
	if last := r.last.Load(); last == 0 || now-last >= expiry {
		r.since.Store(now)
	}
	r.last.Store(now)
	r.weight.Store(math.Float64bits(weight))
}

// Reported is the weight that the instance's reports ask for, in requests a second that it could do, and whether it counts
// now: long enough after the first report, and not too long after the last one.
func (l *Load) Reported(now int64) (weight float64, counts bool) {
	r := l.reported.Load()
	if r == nil {
		return 0, false
	}
	last, since := r.last.Load(), r.since.Load()
	weight = math.Float64frombits(r.weight.Load())
	return weight, weight > 0 && now-last < expiry && now-since >= blackout
}
