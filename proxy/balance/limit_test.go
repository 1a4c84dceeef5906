package balance

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestReserve(t *testing.T) {
	l := &Load{}
	for range 3 {
		if !l.Reserve(3) {
			t.Fatal("refused below its limit")
		}
	}
	if l.Flags() != Full || l.Reserve(3) || l.InFlight() != 3 {
		t.Errorf("flags %b, %d in flight", l.Flags(), l.InFlight())
	}
	l.End()
	l.Relieve(3)
	if l.Flags() != 0 || !l.Reserve(3) {
		t.Errorf("flags %b after one has left", l.Flags())
	}
}

func TestReserveIsExact(t *testing.T) {
	l := &Load{}
	var now, most atomic.Int64
	var tasks sync.WaitGroup
	for range 8 {
		tasks.Go(func() {
			for range 20_000 {
				if !l.Reserve(5) {
					continue
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-1)
				l.End()
				l.Relieve(5)
			}
		})
	}
	tasks.Wait()
	if most.Load() > 5 || l.InFlight() != 0 || l.Flags() != 0 {
		t.Errorf("at most %d, now %d, flags %b", most.Load(), l.InFlight(), l.Flags())
	}
}

// adapting is an instance with some workers in virtual time, under a load that always fills the limit.
func adapting(l *Load, now *int64, workers int, service int64, rounds int) {
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		n := l.Limit(0)
		// Requests beyond the workers wait for them in turns.
		latency := service * (n + int64(workers) - 1) / int64(workers)
		latency = max(latency, service)
		latency += latency * int64(r.IntN(20)) / 100
		*now += latency
		for range n {
			l.Adapt(*now, latency, n, false)
		}
	}
}

func TestAdaptiveLimitFindsTheCapacity(t *testing.T) {
	l, now := &Load{}, ms
	adapting(l, &now, 50, 10*ms, 2000)
	found := l.Limit(0)
	t.Logf("50 workers: a limit of %d", found)
	if found < 40 || found > 160 {
		t.Errorf("a limit of %d for 50 workers", found)
	}
	// It loses most of its workers: answers take longer, and the limit falls before the queue grows without bound.
	adapting(l, &now, 10, 10*ms, 100)
	if fallen := l.Limit(0); fallen >= found*3/4 {
		t.Errorf("a limit of %d after it lost 40 of 50 workers, %d before", fallen, found)
	}
	if got := l.Limit(7); got != 7 {
		t.Errorf("%d, though at most 7 were allowed", got)
	}
}

func TestAdaptiveLimitFallsWithFailures(t *testing.T) {
	l, now := &Load{}, ms
	adapting(l, &now, 50, 10*ms, 500)
	before := l.Limit(0)
	for range 50 {
		now += adaptEvery
		l.Adapt(now, ms, before, true)
	}
	if after := l.Limit(0); after > before/2 || after < leastLimit {
		t.Errorf("%d after failures, %d before", after, before)
	}
}

// TestSlowerForGood: answers that take three times as long for a reason other than a queue do not hold the limit down.
func TestSlowerForGood(t *testing.T) {
	l, now := &Load{}, ms
	adapting(l, &now, 50, 10*ms, 1000)
	adapting(l, &now, 50, 40*ms, 1000)
	if got := l.Limit(0); got < 30 {
		t.Errorf("a limit of %d for 50 workers that have become slower", got)
	}
}

// TestIdleSaysNothing: a limit that is not tried out does not grow.
func TestIdleSaysNothing(t *testing.T) {
	l, now := &Load{}, ms
	for range 1000 {
		now += adaptEvery
		l.Adapt(now, 10*ms, 1, false)
	}
	if got := l.Limit(0); got != firstLimit {
		t.Errorf("%d", got)
	}
}

func BenchmarkReserve(b *testing.B) {
	l := &Load{}
	b.ReportAllocs()
	for b.Loop() {
		if l.Reserve(100) {
			l.End()
			l.Relieve(100)
		}
	}
}
