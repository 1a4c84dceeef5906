package health

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/proxy/balance"
)

const (
	// parallel is how many checks run at once. With more instances that do not answer than parallel*interval/timeout, the
	// intervals get longer.
	parallel = 512
	// eager is the longest interval of an instance before its first verdict, and of one whose verdict is about to change.
	eager = time.Second
	// patient is after how many failures a new instance is one that is down, and not one that starts.
	patient = 60
)

// Checker checks all Targets on one schedule. It is safe for concurrent use.
type Checker struct {
	logger *slog.Logger
	// wake gets a token when something is due earlier than Run knows.
	wake chan struct{}

	mu      sync.Mutex
	queue   queue
	running int

	checks, failures atomic.Uint64
}

// NewChecker returns a Checker that checks nothing until it runs.
func NewChecker(logger *slog.Logger) *Checker {
	return &Checker{logger: logger, wake: make(chan struct{}, 1)}
}

// Add begins to check an instance, at once. load gets the flag balance.Unhealthy while the instance is not well; changed is
// called after it has changed, with nothing locked. service is for logs.
func (c *Checker) Add(rule *Rule, subject Subject, service string, load *balance.Load, changed func()) *Target {
	t := &Target{rule: rule, subject: subject, service: service, load: load, changed: changed, place: -1}
	t.status.Healthy = !rule.check.WaitForFirst
	c.mu.Lock()
	defer c.mu.Unlock()
	load.Set(balance.Unhealthy, !t.status.Healthy)
	c.schedule(t, time.Now())
	return t
}

// Resume checks a paused instance again, or one by another rule. What is known of it is kept.
func (c *Checker) Resume(t *Target, rule *Rule, subject Subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.paused && t.rule.same(rule) && t.subject == subject {
		return
	}
	t.paused, t.rule, t.subject = false, rule, subject
	t.status.Row = 0
	c.schedule(t, time.Now())
}

// SetRule makes an instance be checked by another rule.
func (c *Checker) SetRule(t *Target, rule *Rule) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.rule.same(rule) {
		return
	}
	t.rule, t.status.Row = rule, 0
	if !t.paused {
		c.schedule(t, time.Now())
	}
}

// Pause ends the checks of an instance that nobody has any more. The flag stays: one that comes back is what it was until
// it is checked.
func (c *Checker) Pause(t *Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause(t)
}

// Remove ends the checks of an instance and takes its flag back.
func (c *Checker) Remove(t *Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause(t)
	t.load.Set(balance.Unhealthy, false)
}

func (c *Checker) pause(t *Target) {
	t.paused = true
	if t.place >= 0 {
		heap.Remove(&c.queue, t.place)
	}
}

// Status is what is known of an instance.
func (c *Checker) Status(t *Target) Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.status
}

// schedule puts a target where it belongs; one that is being checked is put there afterwards. mu is held.
func (c *Checker) schedule(t *Target, due time.Time) {
	t.due = due
	switch {
	case t.running:
		return
	case t.place >= 0:
		heap.Fix(&c.queue, t.place)
	default:
		heap.Push(&c.queue, t)
	}
	if t.place == 0 {
		c.nudge()
	}
}

func (c *Checker) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run checks until ctx ends, and waits for the checks that run then.
func (c *Checker) Run(ctx context.Context) {
	var checks sync.WaitGroup
	defer checks.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, wait := c.next(time.Now())
		if t != nil {
			checks.Go(func() { c.check(ctx, t) })
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
	}
}

// next takes the next target that is due, if one may be checked now, or tells how long to wait.
func (c *Checker) next(now time.Time) (*Target, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.running >= parallel {
		return nil, time.Hour // a token will come
	}
	t := c.queue[0]
	if wait := t.due.Sub(now); wait > 0 {
		return nil, wait
	}
	heap.Pop(&c.queue)
	t.running = true
	c.running++
	return t, 0
}

// check is one check, of a target that is marked as running.
func (c *Checker) check(ctx context.Context, t *Target) {
	c.mu.Lock()
	rule, subject := t.rule, t.subject
	c.mu.Unlock()
	began := time.Now()
	probe, cancel := context.WithTimeout(ctx, rule.check.Timeout)
	err := rule.prober.probe(probe, &subject)
	if err != nil && (errors.Is(probe.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)) {
		err = fmt.Errorf("no answer within %v", rule.check.Timeout)
	}
	cancel()
	now := time.Now()

	c.mu.Lock()
	t.running = false
	c.running--
	c.checks.Add(1)
	if err != nil {
		c.failures.Add(1)
	}
	if c.running == parallel-1 {
		c.nudge()
	}
	switch {
	case t.paused:
		c.mu.Unlock()
		return
	case ctx.Err() != nil:
		c.schedule(t, now) // it was cut short: nothing is known
		c.mu.Unlock()
		return
	case t.rule != rule || t.subject != subject:
		c.schedule(t, now) // it was asked by another rule, or elsewhere
		c.mu.Unlock()
		return
	}
	changed := t.note(err, now, now.Sub(began))
	if changed {
		t.load.Set(balance.Unhealthy, !t.status.Healthy)
	}
	c.schedule(t, began.Add(t.pause()))
	st := t.status
	c.mu.Unlock()
	if !changed {
		return
	}
	if st.Healthy {
		c.logger.Info("instance passes its health checks", "service", t.service, "instance", subject.Address)
	} else {
		c.logger.Info("instance fails its health checks", "service", t.service, "instance", subject.Address, "reason", st.Error)
	}
	t.changed()
}

// Counts are the checks made and those of them that failed.
func (c *Checker) Counts() (checks, failures uint64) { return c.checks.Load(), c.failures.Load() }

// pause is the time from the beginning of one check to the next, give or take a tenth, so that checks that began together
// drift apart. Where the verdict is new, or about to change, it is short: what is certain can wait, what is not cannot.
func (t *Target) pause() time.Duration {
	d := t.rule.check.Interval
	if s := &t.status; (s.Error == "") != s.Healthy || t.waits() && s.Row < patient {
		d = min(d, eager)
	}
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
