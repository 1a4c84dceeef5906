package balance

import (
	"math"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = int64(time.Millisecond)

func targetsOf(weights ...float64) []Target {
	targets := make([]Target, len(weights))
	for i, w := range weights {
		targets[i] = Target{Load: &Load{}, Weight: w}
	}
	return targets
}

func equal(n int) []Target {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1
	}
	return targetsOf(w...)
}

func build(t testing.TB, policy string, targets []Target) Picker {
	t.Helper()
	p, err := New(Config{Policy: policy}, targets, new(Pool))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run makes n picks, each answered after its target's latency, and returns the shares. Time moves by step per request.
func run(p Picker, targets []Target, n int, step int64, latency func(i int) int64) []float64 {
	counts := make([]float64, len(targets))
	now := int64(1)
	for range n {
		i := p.Pick(Choice{Now: now})
		targets[i].Load.Begin()
		targets[i].Load.Observe(now, latency(i))
		targets[i].Load.End()
		counts[i]++
		now += step
	}
	for i := range counts {
		counts[i] /= float64(n)
	}
	return counts
}

func TestUnknownPolicy(t *testing.T) {
	if _, err := New(Config{Policy: "fastest"}, nil, nil); err == nil {
		t.Error("no error")
	}
	for _, p := range Policies() {
		if _, err := New(Config{Policy: p}, nil, new(Pool)); err != nil {
			t.Error(err)
		}
	}
}

func TestPickOfNothingAndOne(t *testing.T) {
	for _, policy := range Policies() {
		if i := build(t, policy, nil).Pick(Choice{Now: 1}); i != -1 {
			t.Errorf("%s: picked %d of nothing", policy, i)
		}
		one := equal(1)
		one[0].Load.SetDraining(true)
		p := build(t, policy, one)
		if i := p.Pick(Choice{Now: 1, Tried: []*Load{one[0].Load}}); i != 0 {
			t.Errorf("%s: picked %d, want the only one, whatever its state", policy, i)
		}
	}
}

func TestEqualTargetsShareEqually(t *testing.T) {
	for _, policy := range Policies() {
		for _, n := range []int{2, 3, 5, 6, 7, 11, 50} {
			targets := equal(n)
			// Answers cost the same but for a little noise that no target owns.
			k := int64(0)
			shares := run(build(t, policy, targets), targets, 800*n+4000, 100_000, func(int) int64 { k++; return ms + k%7*1000 })
			for i, s := range shares {
				if math.Abs(s*float64(n)-1) > 0.35 {
					t.Errorf("%s, %d targets: target %d got %.2f of its share", policy, n, i, s*float64(n))
				}
			}
		}
	}
}

func TestWeightsAreShares(t *testing.T) {
	for _, policy := range Policies() {
		targets := targetsOf(1, 2, 5, 0.5)
		k := int64(0)
		shares := run(build(t, policy, targets), targets, 20000, 100_000, func(int) int64 { k++; return ms + k%5*1000 })
		for i, want := range []float64{1 / 8.5, 2 / 8.5, 5 / 8.5, 0.5 / 8.5} {
			// Two draws that fall on one target leave no comparison, so heavy ones get a little less than their weight.
			if math.Abs(shares[i]-want) > 0.07 {
				t.Errorf("%s: target %d got %.3f, want about %.3f", policy, i, shares[i], want)
			}
		}
	}
}

func TestRoundRobinIsSmoothAndExact(t *testing.T) {
	targets := targetsOf(5, 1, 1)
	p := build(t, "roundRobin", targets)
	got := ""
	for range 14 {
		got += string(rune('a' + p.Pick(Choice{Now: 1})))
	}
	if want := "aabacaaaabacaa"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
}

func TestRoundRobinGoesOnAfterANewList(t *testing.T) {
	var pool Pool
	targets := equal(3)
	first, _ := New(Config{Policy: "roundRobin"}, targets, &pool)
	first.Pick(Choice{Now: 1})
	second, _ := New(Config{Policy: "roundRobin"}, targets, &pool)
	if i := second.Pick(Choice{Now: 1}); i != 1 {
		t.Errorf("picked %d, want 1", i)
	}
}

func TestGridIsBounded(t *testing.T) {
	shares := make([]float64, 1000)
	for i := range shares {
		shares[i] = 1 + float64(i)*math.Pi
	}
	total := 0
	for _, c := range grid(shares) {
		if c < 1 {
			t.Fatal("a target got no turn")
		}
		total += c
	}
	if total > 2*maxTurns {
		t.Errorf("%d turns", total)
	}
}

func TestSlowTargetGetsLess(t *testing.T) {
	targets := equal(10)
	shares := run(build(t, "peakEWMA", targets), targets, 50000, 20_000, func(i int) int64 {
		if i == 3 {
			return 30 * ms
		}
		return 10 * ms
	})
	if shares[3] > 0.02 {
		t.Errorf("the slow one got %.3f", shares[3])
	}
}

func TestFastFailuresDoNotAttract(t *testing.T) {
	targets := equal(10)
	p := build(t, "peakEWMA", targets)
	now, bad := int64(1), 0
	const n = 50000
	for range n {
		i := p.Pick(Choice{Now: now})
		if i == 3 {
			bad++
			targets[i].Load.Fail(now, ms/10, 0)
		} else {
			targets[i].Load.Observe(now, 10*ms)
		}
		now += ms / 5
	}
	if share := float64(bad) / n; share > 0.005 {
		t.Errorf("the failing one got %.4f of all requests", share)
	}
}

func TestFailureIsForgotten(t *testing.T) {
	var l Load
	l.Observe(1, ms)
	l.Fail(2, ms, int64(20*time.Second))
	if got := l.Latency(2); got != 20*time.Second {
		t.Errorf("%v right after, want what the server asked for", got)
	}
	if got := l.Latency(int64(time.Minute)); got > 5*time.Millisecond {
		t.Errorf("%v a minute later", got)
	}
	if l.Failures() != 1 {
		t.Error("not counted")
	}
}

func TestNewTargetIsNotFlooded(t *testing.T) {
	targets := equal(4)
	for _, i := range []int{0, 1, 2} {
		targets[i].Load.Observe(1, ms)
	}
	p := build(t, "peakEWMA", targets)
	fresh := 0
	for range 100 { // a burst, no answer yet
		i := p.Pick(Choice{Now: 2})
		targets[i].Load.Begin()
		if i == 3 {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of the burst went to the unknown one, want one", fresh)
	}
}

func TestTriedAndDrainingAreAvoided(t *testing.T) {
	for _, policy := range Policies() {
		for _, targets := range [][]Target{equal(3), targetsOf(1, 7, 2), equal(9)} {
			p := build(t, policy, targets)
			targets[0].Load.SetDraining(true)
			tried := []*Load{targets[1].Load}
			for range 200 {
				if i := p.Pick(Choice{Now: 1, Tried: tried}); i == 0 || i == 1 {
					t.Fatalf("%s: picked %d", policy, i)
				}
			}
			tried = nil
			for _, x := range targets[1:] {
				tried = append(tried, x.Load)
			}
			if i := p.Pick(Choice{Now: 1, Tried: tried}); i != 0 {
				t.Errorf("%s: picked %d, want the draining one over a tried one", policy, i)
			}
			if i := p.Pick(Choice{Now: 1, Tried: append(tried, targets[0].Load)}); i < 0 {
				t.Errorf("%s: picked none, want any", policy)
			}
		}
	}
}

func TestInFlightUnderConcurrency(t *testing.T) {
	targets := equal(8)
	p := build(t, "peakEWMA", targets)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for now := range int64(2000) {
				i := p.Pick(Choice{Now: now + 1})
				targets[i].Load.Begin()
				targets[i].Load.Observe(now+1, ms)
				targets[i].Load.End()
			}
		})
	}
	wg.Wait()
	var sum uint64
	for _, x := range targets {
		if x.Load.InFlight() != 0 {
			t.Error("a request is still counted")
		}
		sum += x.Load.Requests()
	}
	if sum != 16000 {
		t.Errorf("%d requests counted", sum)
	}
}

func TestDecay(t *testing.T) {
	last := 1.0
	for dt := int64(0); dt < int64(20*time.Second); dt += 10 * ms {
		d := decay(dt)
		if d > last || d < 0 {
			t.Fatalf("decay(%d) = %v after %v", dt, d, last)
		}
		if exact := math.Exp(-float64(dt) / tau); dt < int64(time.Second) && math.Abs(d-exact)/exact > 0.025 {
			t.Fatalf("decay(%d) = %v, want %v", dt, d, exact)
		}
		last = d
	}
	if decay(-5) != 1 {
		t.Error("time that goes back must not raise a cost")
	}
}
