package balance

import (
	"fmt"
	"math"
	"testing"
	"time"
)

var slowing = []string{"peakEWMA", "leastRequest", "roundRobin", "random", "orca"}

// warming runs picks at one moment, each answered in 10 ms before the next, and returns the targets' parts.
func warming(t *testing.T, cfg Config, targets []Target, now int64) []float64 {
	t.Helper()
	p, err := New(cfg, targets, seeded(9))
	if err != nil {
		t.Fatal(err)
	}
	for i := range targets {
		targets[i].Load.Observe(now, 10*ms)
	}
	parts := make([]float64, len(targets))
	const n = 10_000
	for range n {
		parts[p.Pick(Choice{Now: now})] += 1.0 / n
	}
	return parts
}

// TestSlowStart: a new target's part grows from a tenth of the others' to as much as theirs, for an even and an uneven list.
func TestSlowStart(t *testing.T) {
	joined := int64(time.Hour)
	for _, policy := range slowing {
		for _, n := range []int{2, 4, 12} {
			for _, weight := range []float64{1, 4} {
				for age, want := range map[time.Duration]float64{
					0: 0.1, 500 * time.Millisecond: 0.1, 3 * time.Second: 0.3, 8 * time.Second: 0.8, 10 * time.Second: 1, time.Hour: 1,
				} {
					targets := equal(n)
					targets[0].Weight, targets[n-1].Since = weight, joined
					parts := warming(t, Config{Policy: policy, SlowStart: 10 * time.Second}, targets, joined+int64(age))
					want /= float64(n) - 1 + weight - 1 + want
					if got := parts[n-1]; math.Abs(got-want) > 0.015+want*0.15 {
						t.Errorf("%s, %d targets, weight %v, age %v: got %.4f, want %.4f", policy, n, weight, age, got, want)
					}
				}
			}
		}
	}
}

// TestSlowStartOfAll: when all are new nobody is slowed, and when some are newer they are by comparison.
func TestSlowStartOfAll(t *testing.T) {
	joined := int64(time.Hour)
	for _, policy := range slowing {
		targets := equal(4)
		for i := range targets {
			targets[i].Since = joined
		}
		cfg := Config{Policy: policy, SlowStart: 10 * time.Second}
		for i, got := range warming(t, cfg, targets, joined+int64(2*time.Second)) {
			if math.Abs(got-0.25) > 0.02 {
				t.Errorf("%s: target %d of four new ones got %.3f", policy, i, got)
			}
		}
		w := newWarmup(&cfg, targets)
		if f := w.factor(1, joined+int64(2*time.Second)); f != 1 {
			t.Errorf("one of four that are equally new is %v warm", f)
		}
		targets[3].Since += int64(4 * time.Second)
		if got, want := warming(t, cfg, targets, joined+int64(8*time.Second))[3], 0.5/3.5; math.Abs(got-want) > 0.03 {
			t.Errorf("%s: half as old as the others got %.3f, want %.3f", policy, got, want)
		}
	}
}

// TestWarmupIsTheTargetsOwn, as Dubbo's providers have it, with and without a slow start of the service.
func TestWarmupIsTheTargetsOwn(t *testing.T) {
	joined := int64(time.Hour)
	for _, policy := range slowing {
		for _, start := range []time.Duration{0, time.Second} {
			targets := equal(3)
			targets[1].Since, targets[1].Warmup = joined, 10*time.Minute
			targets[2].Since = joined
			parts := warming(t, Config{Policy: policy, SlowStart: start}, targets, joined+int64(5*time.Minute))
			if math.Abs(parts[1]-0.2) > 0.03 || math.Abs(parts[2]-0.4) > 0.03 {
				t.Errorf("%s, slow start %v: %.3f, want half of the others' part", policy, start, parts)
			}
		}
	}
}

// TestSlowStartLeavesNobodyOut: one target is alone, or the only one that is not avoided, however new it is.
func TestSlowStartLeavesNobodyOut(t *testing.T) {
	joined := int64(time.Hour)
	for _, policy := range slowing {
		for _, n := range []int{1, 2, 9} {
			targets := equal(n)
			targets[n-1].Since = joined
			mark(targets[:n-1], Ejected, true)
			p, err := New(Config{Policy: policy, SlowStart: time.Minute}, targets, seeded(1))
			if err != nil {
				t.Fatal(err)
			}
			for range 100 {
				if i := p.Pick(Choice{Now: joined + 1}); i != n-1 {
					t.Fatalf("%s: picked %d of %d", policy, i, n)
				}
			}
		}
	}
}

// TestLoadCountsWhileWarming: that somebody is new does not make the policy blind for the others.
func TestLoadCountsWhileWarming(t *testing.T) {
	joined := int64(time.Hour)
	for _, n := range []int{4, 12} {
		targets := equal(n)
		targets[0].Since = joined
		for i := range targets {
			targets[i].Load.Observe(joined, 10*ms)
		}
		targets[1].Load.Observe(joined, 100*ms)
		p, err := New(Config{SlowStart: time.Minute}, targets, seeded(4))
		if err != nil {
			t.Fatal(err)
		}
		slow := 0
		for range 2000 {
			if p.Pick(Choice{Now: joined + 1}) == 1 {
				slow++
			}
		}
		if slow > 2000/n/4 {
			t.Errorf("%d targets: the slow one got %d of 2000", n, slow)
		}
	}
}

// TestWarmCostsNothing: a picker over targets that are all old has nothing to look at.
func TestWarmCostsNothing(t *testing.T) {
	targets := equal(5)
	if newWarmup(&Config{SlowStart: time.Minute}, targets) != nil {
		t.Error("all are old, and yet somebody may be slowed")
	}
	targets[0].Since = ms
	if newWarmup(&Config{}, targets) != nil {
		t.Error("without a slow start somebody may be slowed")
	}
	w := newWarmup(&Config{SlowStart: time.Minute}, targets)
	if w == nil || !w.slows(2*ms) || w.slows(ms+int64(time.Minute)) {
		t.Errorf("%+v", w)
	}
}

func BenchmarkPickWhileWarming(b *testing.B) {
	for _, policy := range slowing {
		targets := equal(1000)
		for i := range targets {
			targets[i].Load.Observe(int64(i+1), ms)
			if i%2 == 0 {
				targets[i].Since = 1
			}
		}
		p, err := New(Config{Policy: policy, SlowStart: 1000 * time.Hour}, targets, new(Pool))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(policy), func(b *testing.B) {
			b.ReportAllocs()
			for now := int64(1e6); b.Loop(); now += 1000 {
				p.Pick(Choice{Now: now})
			}
		})
	}
}
