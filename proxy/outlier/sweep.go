package outlier

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Sweeper looks after detectors that have something to do with time: instances that are out, and requests to compare.
// The zero value is ready.
type Sweeper struct {
	mu     sync.Mutex
	listed []*Detector
}

func (s *Sweeper) add(d *Detector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = append(s.listed, d)
}

// Sweep is called about once a second; now is protocol.Now's. Services without traffic and without anybody out cost
// nothing.
func (s *Sweeper) Sweep(now int64) {
	s.mu.Lock()
	listed := s.listed
	s.listed = nil
	s.mu.Unlock()
	for _, d := range listed {
		d.sweep(now)
	}
}

// sample is what one instance has shown within an interval.
type sample struct {
	instance      *Instance
	total, failed int
	answers       int
	median        time.Duration
}

// take empties the counts of instances that had requests.
func take(active []*Instance) (samples []sample) {
	for _, i := range active {
		i.counted.Store(false)
		if c := i.counts.Load(); c != nil {
			s := sample{instance: i, failed: int(c.failed.Swap(0))}
			s.median, s.answers = c.answers.take()
			s.total = s.answers + int(c.lost.Swap(0))
			samples = append(samples, s)
		}
	}
	return samples
}

// compareErrors ejects those that fail at least as often as the threshold, and twice as often as all others together:
// what every instance answers alike is not the instance's fault.
func (d *Detector) compareErrors(samples []sample, now int64) {
	rule := d.rule.ErrorRate
	if rule.Threshold <= 0 {
		return
	}
	var total, failed int
	for _, s := range samples {
		total, failed = total+s.total, failed+s.failed
	}
	rate := func(s sample) float64 { return float64(s.failed) / float64(max(1, s.total)) }
	// The worst first: there may be no room for all.
	slices.SortStableFunc(samples, func(a, b sample) int { return cmp.Compare(rate(b), rate(a)) })
	for _, s := range samples {
		others := total - s.total
		if s.total < rule.MinRequests || rate(s) < rule.Threshold || others == 0 {
			continue
		}
		if theirs := float64(failed-s.failed) / float64(others); 2*theirs <= rate(s) {
			d.judge(s.instance, now, ErrorRate, fmt.Sprintf("%d of %d requests failed, %.1f %% of the others'", s.failed, s.total, 100*theirs))
			total, failed = total-s.total, failed-s.failed // it is none of the others any more
		}
	}
}

// compareLatency ejects those whose median is that many times the median of the others' medians.
func (d *Detector) compareLatency(samples []sample, now int64) {
	rule := d.rule.Latency
	if rule.Factor <= 0 {
		return
	}
	samples = slices.DeleteFunc(samples, func(s sample) bool { return s.answers < rule.MinRequests })
	slices.SortStableFunc(samples, func(a, b sample) int { return cmp.Compare(b.median, a.median) })
	n := len(samples)
	if n < 3 {
		return
	}
	for k, s := range samples {
		// The slowest stand first. Of the others the middle one; of two in the middle the slower.
		middle := (n - 1) / 2
		if (n-1)%2 == 0 {
			middle--
		}
		if middle >= k {
			middle++
		}
		theirs := samples[middle].median
		if float64(s.median) < rule.Factor*float64(theirs) {
			return // nor are those that are faster
		}
		d.judge(s.instance, now, Latency, fmt.Sprintf("half of the answers took more than %v, of the others %v", s.median, theirs))
	}
}
