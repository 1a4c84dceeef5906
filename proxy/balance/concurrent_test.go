package balance

import (
	"sync"
	"testing"
	"time"
)

// TestEverythingAtOnce: picks, answers, reports, flags, panic, explanations and new pickers from many goroutines. The race
// detector judges; and in the end nothing is in flight.
func TestEverythingAtOnce(t *testing.T) {
	for _, policy := range Policies() {
		for _, cfg := range []Config{{Policy: policy}, {Policy: policy, Zone: "a", SlowStart: time.Second}} {
			pool := new(Pool)
			targets := together(in("a", 0, 6), in("b", 0, 6), in("b", 1, 4))
			for i := range targets {
				targets[i].Since = int64(i % 3)
				if cfg.Zone == "" {
					targets[i].Priority = 0
				}
			}
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					p, err := New(cfg, targets, pool)
					if err != nil {
						t.Error(err)
						return
					}
					for k := range int64(300) {
						now := second + k*10*ms
						l := targets[p.Pick(Choice{Now: now, Key: uint64(k), Keyed: k%2 == 0})].Load
						l.Begin()
						switch k % 50 {
						case 0:
							l.Fail(now, ms, 0)
						case 1:
							l.Set(Ejected, true)
							pool.Update(targets, 0.5)
						case 2:
							targets[g].Load.Set(Ejected, false)
							pool.Update(targets, 0.5)
						case 3:
							p.Explain(Choice{Now: now})
						default:
							l.Observe(now, ms)
							l.Report(now, 100, 0.5, 0)
						}
						l.End()
					}
				})
			}
			// One picker for all, too.
			shared, err := New(cfg, targets, pool)
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				wg.Go(func() {
					for k := range int64(1000) {
						shared.Pick(Choice{Now: second + k*10*ms, Key: uint64(k), Keyed: k%2 == 0})
					}
				})
			}
			wg.Wait()
			for i := range targets {
				if n := targets[i].Load.InFlight(); n != 0 {
					t.Errorf("%s: %d in flight", policy, n)
				}
			}
		}
	}
}
