package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// chiSquare is how far counts are from shares of their sum, and the bound that chance passes once in about 30,000 times
// (Wilson and Hilferty's approximation, at 4 sigma).
func chiSquare(counts, shares []float64) (value, bound float64) {
	var sum, whole float64
	for i := range counts {
		sum += counts[i]
		whole += shares[i]
	}
	for i, got := range counts {
		want := sum * shares[i] / whole
		value += (got - want) * (got - want) / want
	}
	k := float64(len(counts) - 1)
	return value, k * math.Pow(1-2/(9*k)+4*math.Sqrt(2/(9*k)), 3)
}

// seeded is a pool whose draws are the same in every run.
func seeded(seed uint64) *Pool { return &Pool{source: rand.NewPCG(seed, 1)} }

func named(targets []Target) []Target {
	for i := range targets {
		targets[i].ID = fmt.Sprintf("10.0.%d.%d:8080", i/250, i%250)
	}
	return targets
}

// TestSharesAreWeights: idle targets get requests by weight, for every policy, up to what chance explains.
func TestSharesAreWeights(t *testing.T) {
	for _, weights := range [][]float64{{1, 1}, {1, 1, 1, 1, 1, 1, 1}, {3, 1}, {1, 2, 5, 0.5}, {100, 1, 1, 50, 7}} {
		for _, policy := range Policies() {
			targets := named(targetsOf(weights...))
			p, err := New(Config{Policy: policy}, targets, seeded(3))
			if err != nil {
				t.Fatal(err)
			}
			counts := make([]float64, len(weights))
			for k := range 30_000 {
				counts[p.Pick(Choice{Now: ms + int64(k), Key: uint64(k), Keyed: policy == "maglev"})]++
			}
			if value, bound := chiSquare(counts, weights); value > bound {
				t.Errorf("%s %v: %v, chi-square %.1f over %.1f", policy, weights, counts, value, bound)
			}
		}
	}
}

// TestRingIsAboutEven: the points of a ring fall at random, so shares are near the weights but not on them.
func TestRingIsAboutEven(t *testing.T) {
	for _, n := range []int{2, 20, 1000} {
		targets := named(equal(n))
		targets[0].Weight = 3
		p := build(t, "ringHash", targets)
		counts := make([]float64, n)
		for k := range uint64(400 * n) {
			counts[p.Pick(Choice{Now: ms, Key: k, Keyed: true})]++
		}
		whole := float64(400 * n)
		off := 0.0
		for i, got := range counts {
			want := whole * targets[i].Weight / float64(n+2)
			off += math.Abs(got-want) / want / float64(n)
		}
		if off > 0.15 {
			t.Errorf("%d targets: on average %.0f %% off their weight", n, 100*off)
		}
		if want := whole * 3 / float64(n+2); math.Abs(counts[0]-want) > want/3 {
			t.Errorf("%d targets: the one of weight 3 got %.0f, want about %.0f", n, counts[0], want)
		}
	}
}

// TestKeysStay: when one of n targets leaves, its keys go to the others, and hardly any other key moves; when it comes back
// all is as before, whatever the order of the list.
func TestKeysStay(t *testing.T) {
	const keys = 20_000
	hashes := make([]uint64, keys)
	for k := range hashes {
		hashes[k] = Hash(fmt.Sprint("user-", k))
	}
	homes := func(policy string, targets []Target) []string {
		p := build(t, policy, targets)
		all := make([]string, keys)
		for k := range all {
			all[k] = targets[p.Pick(Choice{Now: ms, Key: hashes[k], Keyed: true})].ID
		}
		return all
	}
	for _, c := range []struct {
		policy string
		n      int
		spare  float64 // the part of keys that moves needlessly
	}{
		{"ringHash", 2, 0}, {"ringHash", 5, 0}, {"ringHash", 50, 0}, {"ringHash", 1000, 0},
		{"maglev", 2, 0.02}, {"maglev", 5, 0.02}, {"maglev", 50, 0.03}, {"maglev", 1000, 0.05},
	} {
		for _, heavy := range []float64{1, 1.3} {
			targets := named(equal(c.n))
			targets[0].Weight = heavy // another one than the one that leaves
			before := homes(c.policy, targets)
			gone := c.n / 2
			rest := append(append([]Target(nil), targets[:gone]...), targets[gone+1:]...)
			after := homes(c.policy, rest)
			its, moved := 0, 0
			for k := range before {
				switch {
				case before[k] == targets[gone].ID:
					its++
				case before[k] != after[k]:
					moved++
				}
			}
			if part, most := float64(its)/keys, 1.6/float64(c.n); part > most {
				t.Errorf("%s, %d targets: one had %.4f of the keys, want about %.4f", c.policy, c.n, part, 1/float64(c.n))
			}
			if part := float64(moved) / keys; part > c.spare {
				t.Errorf("%s, %d targets, weight %v: %.4f of the keys moved between those that stayed, want at most %.4f", c.policy, c.n, heavy, part, c.spare)
			}
			rand.New(rand.NewPCG(1, 1)).Shuffle(c.n, func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
			for k, home := range homes(c.policy, targets) {
				if home != before[k] {
					t.Fatalf("%s, %d targets: a key went to %s, and to %s with the list in another order", c.policy, c.n, before[k], home)
				}
			}
		}
	}
}

// FuzzPick has targets of every kind and state. A pick is one of them, and none that is avoided or tried while another is
// free.
func FuzzPick(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(0))
	f.Add(uint64(2), uint8(7), uint8(1))
	f.Add(uint64(3), uint8(40), uint8(2))
	f.Add(uint64(4), uint8(200), uint8(3))
	f.Fuzz(func(t *testing.T, seed uint64, n, bad uint8) {
		r := rand.New(rand.NewPCG(seed, 5))
		odd := []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1e-300, 1e300, math.MaxFloat64}
		targets := make([]Target, n)
		var tried []*Load
		for i := range targets {
			x := Target{Load: &Load{}, Weight: math.Exp(3 * r.NormFloat64()), ID: fmt.Sprint(r.IntN(300)), Zone: []string{"", "a", "b"}[r.IntN(3)]}
			if r.IntN(8) == 0 {
				x.Weight = odd[r.IntN(len(odd))]
			}
			if r.IntN(4) == 0 {
				x.Priority = r.IntN(12) - 2
			}
			if r.IntN(4) == 0 {
				x.Since, x.Warmup = r.Int64N(int64(time.Minute)), time.Duration(r.Int64N(int64(time.Minute)))
			}
			if r.IntN(4) < int(bad)%4 {
				x.Load.Set(1<<r.IntN(4), true)
			}
			if r.IntN(6) == 0 {
				tried = append(tried, x.Load)
			}
			for range r.IntN(8) {
				x.Load.Begin()
			}
			if r.IntN(3) > 0 {
				x.Load.Observe(r.Int64N(int64(time.Minute)), r.Int64N(int64(time.Second)))
			}
			x.Load.Report(r.Int64N(int64(time.Minute)), 100*r.Float64(), r.Float64(), r.Float64())
			targets[i] = x
		}
		for _, policy := range Policies() {
			pool := seeded(seed)
			pool.Ignore(Flags(r.IntN(16)))
			p, err := New(Config{Policy: policy, SlowStart: time.Duration(r.Int64N(int64(time.Minute))), Zone: "a"}, targets, pool)
			if err != nil {
				t.Fatal(err)
			}
			free := 0
			for i := range targets {
				if !pool.passes(targets[i].Load, &Choice{Tried: tried}) {
					free++
				}
			}
			for k := range 50 {
				c := Choice{Now: r.Int64N(int64(2 * time.Minute)), Tried: tried, Key: r.Uint64(), Keyed: k%2 == 0}
				i := p.Pick(c)
				if i < -1 || i >= len(targets) || (i == -1) != (n == 0) {
					t.Fatalf("%s: picked %d of %d", policy, i, n)
				}
				if n > 1 && free > 0 && pool.passes(targets[i].Load, &c) {
					t.Fatalf("%s: picked %d, flags %v, though %d are free", policy, i, targets[i].Load.Flags(), free)
				}
				if k > 5 {
					continue
				}
				sum := 0.0
				for _, v := range p.Explain(c) {
					sum += v.Share
				}
				if n > 0 && math.Abs(sum-1) > 1e-6 {
					t.Fatalf("%s: the shares add up to %v", policy, sum)
				}
			}
		}
	})
}
