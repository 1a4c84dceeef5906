package balance

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAliasDrawsByShare: in every table the probabilities add up to the shares exactly, which drawing only samples.
func TestAliasDrawsByShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		n := 1 + r.IntN(40)
		targets := make([]Target, n)
		for i := range targets {
			targets[i] = Target{Load: &Load{}, Weight: math.Exp(6 * r.NormFloat64())} // weights from tiny to huge
		}
		shares, _ := weights(targets)
		a := newAlias(shares)
		got := make([]float64, n)
		for i, keep := range a.keep {
			p := float64(keep) / (1<<32 - 1)
			got[i] += p
			got[a.other[i]] += 1 - p
		}
		for i, want := range shares {
			if math.Abs(got[i]-want) > 1e-6 {
				t.Fatalf("%d targets: %d is drawn %v times the average, want %v", n, i, got[i], want)
			}
		}
	}
}

// TestAliasUsesBothHalvesOfItsBits: the column and the coin must not come from the same bits.
func TestAliasUsesBothHalvesOfItsBits(t *testing.T) {
	a := newAlias([]float64{0.5, 1.5})
	const n = 1 << 16
	counts := [2]int{}
	for k := range uint64(n) {
		counts[a.draw(k<<48|(k*0x9e3779b1&0xffffffff))]++
	}
	if share := float64(counts[0]) / n; math.Abs(share-0.25) > 0.02 {
		t.Errorf("%.3f, want 0.25", share)
	}
	for _, r := range []uint64{0, 1<<64 - 1, 1<<32 - 1, 1 << 32} {
		if i := a.draw(r); i < 0 || i > 1 {
			t.Errorf("draw(%x) = %d", r, i)
		}
	}
}

func TestBound(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 1000, 1 << 20} {
		counts := make([]int, min(n, 7))
		for k := range uint32(1 << 12) {
			i := bound(k<<20, n)
			if int(i) >= n {
				t.Fatalf("bound(%d, %d) = %d", k<<20, n, i)
			}
			counts[int(i)%len(counts)]++
		}
		if bound(math.MaxUint32, n) != uint32(n-1) || bound(0, n) != 0 {
			t.Errorf("the ends of [0, %d) are not reached", n)
		}
	}
}

// TestRoundRobinsAreFair: in one round each target stands as often as it weighs, and between two of its turns no more than
// the spacing that its weight asks for, with one turn to spare.
func TestRoundRobinsAreFair(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		n := 2 + r.IntN(8)
		want := make([]float64, n)
		total := 0
		for i := range want {
			want[i] = float64(1 + r.IntN(9))
			total += int(want[i])
		}
		targets := targetsOf(want...)
		p := build(t, "roundRobin", targets)
		counts, lastTurn := make([]int, n), make([]int, n)
		for turn := 1; turn <= total; turn++ {
			i := p.Pick(Choice{Now: 1})
			counts[i]++
			if gap := turn - lastTurn[i]; lastTurn[i] > 0 && float64(gap) > 2*float64(total)/want[i]+1 {
				t.Fatalf("%v: %d waited %d turns", want, i, gap)
			}
			lastTurn[i] = turn
		}
		for i := range counts {
			if float64(counts[i]) != want[i] {
				t.Fatalf("%v: one round gave %v", want, counts)
			}
		}
	}
}

// TestGridKeepsRatios, also those that are not whole, as well as two digits allow; nobody is left out.
func TestGridKeepsRatios(t *testing.T) {
	for _, c := range []struct {
		shares []float64
		off    float64
	}{
		{[]float64{1, 2, 3}, 0},
		{[]float64{0.5, 0.75}, 0},
		{[]float64{1, 1.01}, 0},
		{[]float64{1, math.Pi}, 0.01},
		{[]float64{1, 1e5}, 10}, // the grid is not this fine
		{[]float64{1e-9, 1e-9, 2e-9}, 0},
	} {
		counts := grid(c.shares)
		for i, n := range counts {
			ratio, want := float64(n)/float64(counts[0]), c.shares[i]/c.shares[0]
			if n < 1 || math.Abs(ratio/want-1) > c.off+1e-9 {
				t.Errorf("%v: %v", c.shares, counts)
			}
		}
	}
}

// TestRoundRobinFromManyGoroutines: turns are neither lost nor given twice.
func TestRoundRobinFromManyGoroutines(t *testing.T) {
	targets := targetsOf(3, 2, 1)
	p := build(t, "roundRobin", targets)
	counts := make([]atomic.Int64, 3)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 1000 {
				counts[p.Pick(Choice{Now: 1})].Add(1)
			}
		})
	}
	wg.Wait()
	for i, want := range []int64{3000, 2000, 1000} {
		if got := counts[i].Load(); got != want {
			t.Errorf("target %d: %d of %d turns", i, got, want)
		}
	}
}

// TestPriceOrders has what must cost more than what, at one moment.
func TestPriceOrders(t *testing.T) {
	now := int64(time.Minute)
	load := func(inflight int, latency int64, ago time.Duration) *Load {
		l := &Load{}
		for range inflight {
			l.Begin()
		}
		if latency > 0 {
			l.Observe(now-int64(ago), latency)
		}
		return l
	}
	for _, c := range []struct {
		name          string
		cheap, dear   *Load
		cheapW, dearW float64
	}{
		{"faster", load(0, ms, 0), load(0, 2*ms, 0), 1, 1},
		{"shorter queue", load(1, ms, 0), load(2, ms, 0), 1, 1},
		{"a short queue of slow ones", load(0, 5*ms, 0), load(9, ms, 0), 1, 1},
		{"unknown and idle", load(0, 0, 0), load(0, ms, 0), 1, 1},
		{"known over unknown and busy", load(5, ms, 0), load(1, 0, 0), 1, 1},
		{"forgotten slowness", load(0, 300*ms, 30*time.Second), load(0, 20*ms, 0), 1, 1},
		{"queue when all is forgotten", load(1, ms, time.Hour), load(3, ms, time.Hour), 1, 1},
		{"a long queue, though it is forgotten how long it took", load(0, ms, 0), load(50, ms, time.Hour), 1, 1},
		{"heavier under load", load(4, ms, 0), load(4, ms, 0), 2, 1},
	} {
		if a, b := c.cheap.byLatency(now, c.cheapW), c.dear.byLatency(now, c.dearW); !a.below(b) || b.below(a) || a.value() >= b.value() || a.value() < 0 {
			t.Errorf("%s: %v is not less than %v", c.name, a.value(), b.value())
		}
	}
}

// TestPeaksCountAtOnce and fade by the clock, not by the number of requests.
func TestPeaksCountAtOnce(t *testing.T) {
	var l Load
	if l.Latency(5) != 0 {
		t.Error("a latency out of nothing")
	}
	l.Observe(1, ms)
	l.Observe(2, 100*ms)
	if got := l.Latency(2); got != 100*time.Millisecond {
		t.Errorf("%v right after the peak", got)
	}
	for k := range int64(1000) { // a thousand fast answers within a millisecond
		l.Observe(3+k*1000, ms)
	}
	if got := l.Latency(ms); got < 95*time.Millisecond {
		t.Errorf("%v: many fast answers at once hide the peak", got)
	}
	for at := int64(0); at < 5*int64(time.Second); at += 10 * ms {
		l.Observe(ms+at, ms)
	}
	if got := l.Latency(5 * int64(time.Second)); got < time.Millisecond*9/10 || got > 3*time.Millisecond {
		t.Errorf("%v after five seconds of 1 ms", got)
	}
	l.Observe(1, -5) // the clock went back, and a latency below nothing
	if got := l.Latency(2); got < 0 || got > time.Second {
		t.Errorf("%v after a step of the clock", got)
	}
}

// TestFailureIsPriced at least at a second, at what the server asks for, and at no more than five minutes.
func TestFailureIsPriced(t *testing.T) {
	for _, c := range []struct{ latency, retryAfter, want time.Duration }{
		{time.Microsecond, 0, time.Second},
		{3 * time.Second, 0, 3 * time.Second},
		{time.Millisecond, 20 * time.Second, 20 * time.Second},
		{time.Millisecond, time.Hour, 300 * time.Second},
		{time.Millisecond, -time.Hour, time.Second},
	} {
		var l Load
		l.Fail(10, int64(c.latency), int64(c.retryAfter))
		if got := l.Latency(10); got != c.want {
			t.Errorf("%+v: priced at %v", c, got)
		}
	}
}

// TestEveryTargetIsReached: no stride and no start leaves a target out, whatever their number.
func TestEveryTargetIsReached(t *testing.T) {
	for _, policy := range Policies() {
		for n := 1; n <= 40; n++ {
			targets := equal(n)
			p := build(t, policy, targets)
			reached := map[int]bool{}
			for range 60 * n {
				i := p.Pick(Choice{Now: 1})
				reached[i] = true
			}
			if len(reached) != n {
				t.Errorf("%s: %d of %d targets reached", policy, len(reached), n)
			}
		}
	}
}

// TestLoneSurvivor: with all but one draining or tried, that one is found, however long the list.
func TestLoneSurvivor(t *testing.T) {
	for _, policy := range Policies() {
		for _, targets := range [][]Target{equal(2), equal(6), equal(100), targetsOf(1, 100, 1, 1)} {
			p := build(t, policy, targets)
			for only := range targets {
				var tried []*Load
				for i, x := range targets {
					x.Load.SetDraining(i != only && i%2 == 0)
					if i != only && i%2 == 1 {
						tried = append(tried, x.Load)
					}
				}
				if i := p.Pick(Choice{Now: 1, Tried: tried}); i != only {
					t.Fatalf("%s: picked %d of %d, want %d", policy, i, len(targets), only)
				}
			}
			for _, x := range targets {
				x.Load.SetDraining(false)
			}
		}
	}
}

// TestOddWeights: no number that a registry may come up with makes shares that are none.
func TestOddWeights(t *testing.T) {
	for _, odd := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1e-300, math.MaxFloat64} {
		for _, others := range [][]float64{{odd}, {odd, 1}, {odd, odd, odd}, {odd, 1e-300, math.MaxFloat64}} {
			shares, _ := weights(targetsOf(others...))
			sum := 0.0
			for _, s := range shares {
				if !(s > 0) || math.IsInf(s, 0) {
					t.Errorf("%v: shares %v", others, shares)
				}
				sum += s
			}
			if math.Abs(sum-float64(len(others))) > 1e-6 {
				t.Errorf("%v: shares %v", others, shares)
			}
		}
	}
}
