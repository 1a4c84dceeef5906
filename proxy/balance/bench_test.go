package balance

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// loaded is n targets that have answered and reported.
func loaded(n int) []Target {
	targets := named(equal(n))
	for i := range targets {
		targets[i].Load.Observe(int64(i+1), ms)
		targets[i].Load.Report(-blackout, 100, 0.5, 0)
	}
	return targets
}

// BenchmarkPick is a pick alone.
func BenchmarkPick(b *testing.B) {
	for _, policy := range Policies() {
		for _, n := range []int{3, 1000} {
			for _, uneven := range []bool{false, true} {
				targets := loaded(n)
				if uneven {
					targets[0].Weight = 3
				}
				p := build(b, policy, targets)
				b.Run(fmt.Sprintf("%s/targets=%d/uneven=%v", policy, n, uneven), func(b *testing.B) {
					b.ReportAllocs()
					key := uint64(0)
					for now := int64(1e6); b.Loop(); now += 1000 {
						key++
						p.Pick(Choice{Now: now, Key: key, Keyed: true})
					}
				})
			}
		}
	}
}

// BenchmarkRequest is all that a request costs here: the pick, the counts at its begin and end, and the latency.
func BenchmarkRequest(b *testing.B) {
	request := func(p Picker, targets []Target, now int64, key uint64) {
		l := targets[p.Pick(Choice{Now: now, Key: key, Keyed: true})].Load
		l.Begin()
		l.Wait(now)
		l.Answered(now)
		l.Observe(now, ms+int64(key&0xfff))
		l.End()
	}
	for _, policy := range Policies() {
		targets := loaded(1000)
		p := build(b, policy, targets)
		b.Run(policy, func(b *testing.B) {
			b.ReportAllocs()
			key := uint64(0)
			for now := int64(1e6); b.Loop(); now += 1000 {
				key++
				request(p, targets, now, key)
			}
		})
		b.Run(policy+"/goroutines=8", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(4) // times two processors
			var clock atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				now := clock.Add(1e6)
				key := uint64(now)
				for pb.Next() {
					now += 1000
					key++
					request(p, targets, now, key)
				}
			})
		})
	}
}

// BenchmarkTiers is a pick with zones and priorities.
func BenchmarkTiers(b *testing.B) {
	for _, policy := range Policies() {
		targets := loaded(1000)
		for i := range targets {
			targets[i].Zone, targets[i].Priority = []string{"a", "b", "c"}[i%3], i%2
		}
		p, err := New(Config{Policy: policy, Zone: "a"}, targets, new(Pool))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(policy, func(b *testing.B) {
			b.ReportAllocs()
			key := uint64(0)
			for now := int64(1e6); b.Loop(); now += 1000 {
				key++
				p.Pick(Choice{Now: now, Key: key, Keyed: true})
			}
		})
	}
}

// TestPicksAllocateNothing, whatever the policy and the state of the targets.
func TestPicksAllocateNothing(t *testing.T) {
	for _, policy := range Policies() {
		plain, tiers := loaded(1000), loaded(1000)
		for i := range tiers {
			tiers[i].Zone, tiers[i].Priority, tiers[i].Weight = []string{"a", "b", "c"}[i%3], i%2, float64(1+i%4)
			tiers[i].Since = int64(i % 2)
			tiers[i].Load.Set(Unhealthy, i%2 == 0)
		}
		for _, targets := range [][]Target{plain, loaded(3), tiers} {
			p, err := New(Config{Policy: policy, Zone: "a", SlowStart: 1 << 60}, targets, new(Pool))
			if err != nil {
				t.Fatal(err)
			}
			now, tried := second, []*Load{targets[0].Load}
			n := testing.AllocsPerRun(1000, func() {
				now += 1000
				l := targets[p.Pick(Choice{Now: now, Key: uint64(now), Keyed: now%3000 == 0, Tried: tried})].Load
				l.Begin()
				l.Observe(now, ms)
				l.Report(now, 100, 0.5, 0)
				l.End()
			})
			if n != 0 {
				t.Errorf("%s: %v allocations", policy, n)
			}
		}
	}
}
