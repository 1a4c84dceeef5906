package balance

import (
	"testing"
	"time"
)

// sides are two zones of which the first is the gateway's own, and what a pressure sees of them.
type sides struct {
	p     pressure
	loads []*Load
	own   group
	other group
	now   int64
}

func newSides() *sides {
	s := &sides{own: group{local: true, members: []int32{0, 1}}, other: group{members: []int32{2, 3}}, now: second}
	for range 4 {
		s.loads = append(s.loads, &Load{})
	}
	return s
}

// pass has every target of a side answer n requests in each tenth of a second.
func (s *sides) pass(d time.Duration, here, there int64, nHere, nThere int) {
	for range d / time.Duration(steer) {
		for k := range 2 * nHere {
			s.answer(s.loads[k%2], here)
		}
		for k := range 2 * nThere {
			s.answer(s.loads[2+k%2], there)
		}
		s.now += steer
		s.p.look(s.now, s.loads, s.own, []group{s.other})
	}
}

func (s *sides) answer(l *Load, latency int64) {
	l.Begin()
	l.Observe(s.now, latency)
	l.End()
}

func TestPressure(t *testing.T) {
	s := newSides()
	s.pass(10*time.Second, 10*ms, 0, 10, 0)
	if got := s.p.value(); got != 0 {
		t.Fatalf("spills %v, though all is well", got)
	}
	// Slower, by less than what is worth a look elsewhere.
	s.pass(10*time.Second, 14*ms, 0, 10, 0)
	if got := s.p.value(); got != 0 {
		t.Fatalf("spills %v at 1.4 times the best", got)
	}
	s.pass(5*time.Second, 30*ms, 0, 10, 0)
	compares := s.p.value()
	if compares == 0 || compares > 0.6 {
		t.Fatalf("spills %v to compare", compares)
	}
	// The others are no better: it is not the zone.
	s.pass(10*time.Second, 30*ms, 30*ms, 10, 2)
	if got := s.p.value(); got >= compares {
		t.Errorf("spills %v, though the others are no better", got)
	}
	// They are.
	s.pass(5*time.Second, 30*ms, 10*ms, 10, 2)
	if got := s.p.value(); got < 0.99 {
		t.Errorf("spills %v, though the others are three times as fast", got)
	}
	// A little better is no reason for more or for less.
	s.pass(time.Minute, 12*ms, 10*ms, 10, 2)
	if got := s.p.value(); got < 0.99 {
		t.Errorf("spills %v, at 1.2 times the others'", got)
	}
	s.pass(20*time.Second, 10*ms, 10*ms, 10, 2)
	if got := s.p.value(); got != 0 {
		t.Errorf("spills %v, though it is over", got)
	}
}

// TestPressureOfFailures: a zone whose targets fail fast is not a fast one.
func TestPressureOfFailures(t *testing.T) {
	s := newSides()
	s.pass(5*time.Second, 10*ms, 10*ms, 10, 2)
	for range 100 {
		for range 50 {
			s.loads[2].Begin()
			s.loads[2].Fail(s.now, ms/10, 0)
			s.loads[2].End()
		}
		s.pass(time.Duration(steer), 10*ms, 10*ms, 10, 2)
	}
	if got := s.p.value(); got != 0 {
		t.Errorf("spills %v", got)
	}
}

// TestPressureNeedsEvidence: few answers say nothing.
func TestPressureNeedsEvidence(t *testing.T) {
	s := newSides()
	s.pass(10*time.Second, 10*ms, ms, 10, 0)
	for range 100 {
		s.answer(s.loads[2], ms)
		s.pass(10*time.Duration(steer), 10*ms, ms, 10, 0)
	}
	if got := s.p.value(); got != 0 {
		t.Errorf("spills %v", got)
	}
}

// TestPressureOutlivesThePicker: a new list of targets must not throw everybody back at the zone.
func TestPressureOutlivesThePicker(t *testing.T) {
	pool := seeded(1)
	targets := together(in("a", 0, 4), in("b", 0, 4))
	p := tiered(t, Config{Zone: "a"}, targets, pool)
	p.(*tiers).pressure.spill.Store(0x3ff0000000000000) // 1
	now := ms
	wantShares(t, "under pressure", sharesBy(t, p, targets, &now), map[string]float64{"a0": 0.5, "b0": 0.5})
	wantShares(t, "the next picker", sharesBy(t, tiered(t, Config{Zone: "a"}, targets, pool), targets, &now), map[string]float64{"a0": 0.5, "b0": 0.5})
}
