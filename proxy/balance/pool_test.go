package balance

import (
	"testing"
)

// TestPanic: with too many opinions against targets, opinions do not count; facts do.
func TestPanic(t *testing.T) {
	for _, c := range []struct {
		n, unhealthy, ejected, draining int
		threshold                       float64
		want                            bool
	}{
		{0, 0, 0, 0, 0.5, false},
		{10, 0, 0, 0, 0.5, false},
		{10, 5, 0, 0, 0.5, false},
		{10, 6, 0, 0, 0.5, true},
		{10, 4, 3, 0, 0.5, true},
		{10, 0, 0, 10, 0.5, false},
		{10, 10, 0, 0, 1, false},
		{1, 1, 0, 0, 0.5, true},
		{10, 1, 0, 0, 0, true},
	} {
		targets := equal(c.n)
		mark(targets[:c.unhealthy], Unhealthy, true)
		mark(targets[c.unhealthy:c.unhealthy+c.ejected], Ejected, true)
		mark(targets[:c.draining], Draining, true)
		pool := new(Pool)
		pool.Ignore(Full)
		if got := pool.Update(targets, c.threshold); got != c.want {
			t.Errorf("%+v: panic %v", c, got)
		}
		if got, want := pool.Ignored()&doubtful != 0, c.want; got != want || pool.Ignored()&Full == 0 {
			t.Errorf("%+v: ignores %v", c, pool.Ignored())
		}
		mark(targets, doubtful, false)
		if pool.Update(targets, c.threshold) || pool.Ignored() != Full {
			t.Errorf("%+v: still in panic when all are well: %v", c, pool.Ignored())
		}
	}
}

// TestPanicTriesAll: every target gets requests, and none twice as many for the others' being ill.
func TestPanicTriesAll(t *testing.T) {
	for _, policy := range Policies() {
		targets := named(equal(10))
		mark(targets[:7], Unhealthy, true)
		targets[9].Load.SetDraining(true)
		pool := seeded(1)
		p, err := New(Config{Policy: policy}, targets, pool)
		if err != nil {
			t.Fatal(err)
		}
		pool.Update(targets, 0.5)
		counts := make([]int, 10)
		for k := range 10_000 {
			counts[p.Pick(Choice{Now: ms, Key: uint64(k), Keyed: true})]++
		}
		for i, got := range counts {
			if i == 9 && got != 0 {
				t.Errorf("%s: the draining one got %d", policy, got)
			}
			if i < 9 && (got < 600 || got > 1800) {
				t.Errorf("%s: %d got %d of 10,000", policy, i, got)
			}
		}
	}
}

// TestNoPanicWhileOthersCan: a level that is down has another one for it, and must not be asked.
func TestNoPanicWhileOthersCan(t *testing.T) {
	first, second := in("", 0, 10), in("", 1, 5)
	targets := together(first, second)
	pool := new(Pool)
	mark(first, Unhealthy, true)
	if pool.Update(targets, 0.5) {
		t.Error("panic, though all of the second level is well")
	}
	mark(second[:2], Unhealthy, true)
	if !pool.Update(targets, 0.5) {
		t.Error("no panic with 3 of 15 left")
	}
}

func TestUpdateAllocatesNothing(t *testing.T) {
	targets := together(in("", 0, 500), in("", 1, 500))
	mark(targets[:600], Unhealthy, true)
	pool := new(Pool)
	if n := testing.AllocsPerRun(100, func() { pool.Update(targets, 0.5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFlagsHaveNames(t *testing.T) {
	if got := (Draining | Ejected | Full).String(); got != "draining, ejected, full" {
		t.Error(got)
	}
	if got := Flags(0).String(); got != "" {
		t.Error(got)
	}
}

func BenchmarkUpdate(b *testing.B) {
	targets := equal(1000)
	mark(targets[:600], Unhealthy, true)
	pool := new(Pool)
	b.ReportAllocs()
	for b.Loop() {
		pool.Update(targets, 0.5)
	}
}
