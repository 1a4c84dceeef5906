package outlier

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// Outcome is how a request ended.
type Outcome uint8

const (
	// Unknown says nothing about the instance: the client left, or the request was at fault.
	Unknown Outcome = iota
	// Good is an answer.
	Good
	// ServerError is an answer with a status from 500.
	ServerError
	// Failed is no connection, one that broke, an answer that makes no sense or did not come in time.
	Failed
)

// trialPatience is how long the result of a trial is awaited before another request may try, beside baseEjection: one that
// takes for ever must not keep an instance out.
const trialPatience = int64(time.Minute)

// Detector judges the requests of one service by one configuration. It is safe for concurrent use.
type Detector struct {
	rule     config.Outlier
	group    *Group
	sweeper  *Sweeper
	logger   *slog.Logger
	changed  func()
	compares bool
	size     atomic.Int32 // instances of the service
	listed   atomic.Bool
	closed   atomic.Bool
}

// NewDetector judges what is in group by rule. logger names the service. changed is called, with nothing locked, after
// instances were ejected or have come back. Close it.
func (s *Sweeper) NewDetector(rule config.Outlier, group *Group, logger *slog.Logger, changed func()) *Detector {
	d := &Detector{
		rule: rule, group: group, sweeper: s, logger: logger, changed: changed,
		compares: rule.ErrorRate.Threshold > 0 || rule.Latency.Factor > 0,
	}
	if d.compares {
		d.list() // an earlier one may have begun to count
	}
	return d
}

// Close says that no new requests come. Those that its last ones have ejected are looked after until another detector, if
// there is one, can let them be tried.
func (d *Detector) Close() { d.closed.Store(true) }

// Resize says how many instances the service has, of which a share may be out.
func (d *Detector) Resize(instances int) { d.size.Store(int32(instances)) }

// Begin is called before a request is sent. It reports whether the request is the trial of an instance that was out;
// then Answered or Lost must be told so.
func (d *Detector) Begin(i *Instance, now int64) (trial bool) {
	return i.phase.Load() == waiting && d.try(i, now)
}

func (d *Detector) try(i *Instance, now int64) bool {
	g := d.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.phase.Load() != waiting {
		return false // another request was faster
	}
	i.past.lease = now + max(trialPatience, int64(d.rule.BaseEjection))
	i.setPhase(trying)
	d.list() // for the end of the lease
	return true
}

// Answered notes that the head of an answer is there, how long it took in nanoseconds, and what it says. End must follow.
func (d *Detector) Answered(i *Instance, now, latency int64, o Outcome, trial bool) {
	if d.compares {
		d.counts(i).answers.add(latency)
	}
	if trial {
		d.tried(i, now, o)
	}
}

// Lost is called when a request has ended without an answer.
func (d *Detector) Lost(i *Instance, now int64, o Outcome, trial bool) {
	if d.compares && o == Failed {
		d.counts(i).lost.Add(1)
	}
	if trial {
		d.tried(i, now, o)
	}
	d.End(i, o)
}

// tried is the result of a trial.
func (d *Detector) tried(i *Instance, now int64, o Outcome) {
	g := d.group
	g.mu.Lock()
	p := i.phase.Load()
	switch {
	case p != trying && p != waiting: // its result was not awaited any longer
		g.mu.Unlock()
		return
	case o == Unknown:
		if p == trying {
			i.setPhase(waiting)
		}
		g.mu.Unlock()
		return
	case d.fails(o):
		period := d.eject(i, now, Trial, "the request that tried it failed")
		g.mu.Unlock()
		d.list()
		d.logger.Info("instance stays ejected", "instance", i.id, "reason", Trial, "for", period)
		return
	}
	g.restore(i, now)
	g.mu.Unlock()
	d.logger.Info("instance is back after its ejection", "instance", i.id)
	d.changed()
}

// End is called when an exchange that had an answer is over.
func (d *Detector) End(i *Instance, o Outcome) {
	if o == Unknown || i.phase.Load() != serving {
		return
	}
	if d.compares && o != Good {
		d.counts(i).failed.Add(1)
	}
	if !d.fails(o) {
		if i.streak.Load() != 0 {
			i.streak.Store(0)
		}
		return
	}
	// When as many are out as may be, every further failure need not ask again.
	n := i.streak.Add(1)
	if limit := int32(d.rule.ConsecutiveErrors); limit > 0 && n%limit == 0 {
		d.judge(i, protocol.Now(), ConsecutiveErrors, fmt.Sprintf("%d errors in a row", n))
	}
}

func (d *Detector) fails(o Outcome) bool {
	return o == Failed || o == ServerError && d.rule.ServerErrors
}

// counts are the instance's, which is seen to be looked at by the next comparison.
func (d *Detector) counts(i *Instance) *counts {
	if !i.counted.Load() && i.counted.CompareAndSwap(false, true) {
		d.group.count(i)
		d.list()
	}
	c := i.counts.Load()
	if c == nil {
		i.counts.CompareAndSwap(nil, &counts{})
		c = i.counts.Load()
	}
	return c
}

// list makes the next sweep look at the detector.
func (d *Detector) list() {
	if d.listed.CompareAndSwap(false, true) {
		d.sweeper.add(d)
	}
}

// sweep lets those be tried whose time is over, and compares the instances that had requests.
func (d *Detector) sweep(now int64) {
	d.listed.Store(false) // before anything is looked at: what comes meanwhile lists it again
	g := d.group
	again := false
	g.mu.Lock()
	for _, i := range g.ejected {
		switch p := i.phase.Load(); {
		case p == out && now >= i.past.until, p == trying && now >= i.past.lease:
			i.setPhase(waiting)
		case p != waiting:
			again = true
		}
	}
	var active []*Instance
	counted := now - g.counting
	if d.compares && !d.closed.Load() {
		if counted >= int64(d.rule.Interval) {
			active, g.active = g.active, nil
		}
		again = again || len(g.active) > 0
	}
	g.mu.Unlock()
	if samples := take(active); counted < 3*int64(d.rule.Interval) { // or it was for a rule of long ago
		d.compareErrors(samples, now)
		d.compareLatency(samples, now)
	}
	if again {
		d.list()
	}
}
