package balance

import (
	"fmt"
	"math"
	"testing"
)

// TestHashIsFNV: the published vectors of FNV-1a with 64 bits (Fowler, Noll, Vo).
func TestHashIsFNV(t *testing.T) {
	for text, want := range map[string]uint64{
		"": 0xcbf29ce484222325, "a": 0xaf63dc4c8601ec8c, "foobar": 0x85944171f73967e8,
	} {
		if got := Hash(text); got != want || Hash([]byte(text)) != want {
			t.Errorf("Hash(%q) = %x, want %x", text, got, want)
		}
	}
}

// TestKeysGoWhereTheyWent: the placement is an agreement between gateways of different versions. Who changes it moves every
// key of every user once.
func TestKeysGoWhereTheyWent(t *testing.T) {
	targets := named(equal(10))
	for policy, want := range map[string]string{"ringHash": "5274686732", "maglev": "6327691144"} {
		p, got := build(t, policy, targets), ""
		for k := range 10 {
			got += fmt.Sprint(p.Pick(Choice{Now: ms, Key: Hash(fmt.Sprint("user-", k)), Keyed: true}))
		}
		if got != want {
			t.Errorf("%s: keys go to %s, and went to %s", policy, got, want)
		}
	}
}

// TestSharedIDs: two targets at one address, such as two groups of a Dubbo service, both get keys.
func TestSharedIDs(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		targets := equal(2)
		targets[0].ID, targets[1].ID = "10.0.0.1:20880", "10.0.0.1:20880"
		p, counts := build(t, policy, targets), [2]int{}
		for k := range uint64(1000) {
			counts[p.Pick(Choice{Now: ms, Key: k, Keyed: true})]++
		}
		if counts[0] < 300 || counts[1] < 300 {
			t.Errorf("%s: %v", policy, counts)
		}
	}
}

// TestHotKey: a key that everybody asks for is spread, but only as far as the bound makes it; others keep their places.
func TestHotKey(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		for _, weights := range [][]float64{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 2, 2, 2, 2, 8}} {
			targets := named(targetsOf(weights...))
			p := build(t, policy, targets)
			whole, now := 0.0, ms
			for _, w := range weights {
				whole += w
			}
			const n = 2000
			for range n {
				now += recount
				targets[p.Pick(Choice{Now: now, Key: 42, Keyed: true})].Load.Begin()
			}
			for i, x := range targets {
				if got, most := float64(x.Load.InFlight()), fairness*n*weights[i]/whole; got > most+2 {
					t.Errorf("%s %v: target %d has %.0f in flight, want at most %.0f", policy, weights, i, got, most)
				}
			}
		}
	}
}

// TestFewRequestsStay: what is no load is no reason to leave, however idle the others are.
func TestFewRequestsStay(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		targets := named(equal(10))
		p := build(t, policy, targets)
		home := p.Pick(Choice{Now: ms, Key: 42, Keyed: true})
		for n := range 8 {
			i := p.Pick(Choice{Now: ms * int64(n+1), Key: 42, Keyed: true})
			if (i == home) != (n < idle) {
				t.Errorf("%s: with %d in flight it goes to %d, home is %d", policy, n, i, home)
			}
			targets[home].Load.Begin()
		}
	}
}

// TestKeyComesHome: a key's stand-in is always the same, and the key goes back when its target is well again.
func TestKeyComesHome(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		for _, n := range []int{2, 3, 100} {
			targets := named(equal(n))
			p := build(t, policy, targets)
			standIns := map[int]int{}
			for k := range uint64(500) {
				c := Choice{Now: ms, Key: k, Keyed: true}
				home := p.Pick(c)
				c.Tried = []*Load{targets[home].Load}
				next := p.Pick(c)
				c.Tried = nil
				targets[home].Load.Set(Ejected, true)
				if got := p.Pick(c); got != next || got == home {
					t.Fatalf("%s, %d targets: ejected %d, goes to %d; a retry went to %d", policy, n, home, got, next)
				}
				targets[home].Load.Set(Ejected, false)
				if got := p.Pick(c); got != home {
					t.Fatalf("%s: went to %d, home is %d", policy, got, home)
				}
				standIns[next]++
			}
			if n == 100 && len(standIns) < 80 {
				t.Errorf("%s: only %d targets stand in for others", policy, len(standIns))
			}
		}
	}
}

// TestWithoutKey: a request that has nothing to hash goes by peakEWMA.
func TestWithoutKey(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		targets := named(equal(4))
		for i := range targets {
			targets[i].Load.Observe(ms, 50*ms)
		}
		targets[2].Load = &Load{}
		targets[2].Load.Observe(ms, ms)
		p := build(t, policy, targets)
		for range 50 {
			if i := p.Pick(Choice{Now: ms, Key: 42}); i != 2 {
				t.Fatalf("%s: picked %d, want the fastest", policy, i)
			}
		}
	}
}

// TestRingIsInOrder, complete, bounded, and a look-up is what a search through all of it would find.
func TestRingIsInOrder(t *testing.T) {
	for _, n := range []int{1, 2, 3, 300, 1000, 70_000} {
		targets := named(equal(n))
		targets[0].Weight = 1e9
		shares, _ := weights(targets)
		r := newRing(targets, shares)
		if len(r.hashes) > 2*mostPoints+n {
			t.Errorf("%d targets: %d points", n, len(r.hashes))
		}
		owners := map[int32]bool{}
		for i, h := range r.hashes {
			if i > 0 && h < r.hashes[i-1] {
				t.Fatalf("%d targets: point %d is out of order", n, i)
			}
			owners[r.owners[i]] = true
		}
		if len(owners) != n {
			t.Errorf("%d of %d targets have a point", len(owners), n)
		}
		for _, key := range []uint64{0, 1, math.MaxUint64, r.hashes[0], r.hashes[len(r.hashes)-1], r.hashes[len(r.hashes)/2] + 1} {
			want := 0
			for want < len(r.hashes) && r.hashes[want] < key {
				want++
			}
			if got := r.at(key, 0); got != int(r.owners[want%len(r.hashes)]) {
				t.Errorf("%d targets: key %x belongs to %d", n, key, got)
			}
			r.at(key, 10*len(r.hashes)+1)
		}
	}
}

// TestMaglevIsFull: every entry has an owner, as many as it weighs.
func TestMaglevIsFull(t *testing.T) {
	for _, weights := range [][]float64{{1}, {1, 1, 1}, {1, 5, 2.5}, {1e-6, 1e9}} {
		targets := named(targetsOf(weights...))
		s := newSet(&Config{}, targets, new(Pool))
		m := newMaglev(targets, s.shares)
		counts := make([]float64, len(weights))
		for _, owner := range m.entries {
			counts[owner]++
		}
		for i, got := range counts {
			if want := tableSize * s.shares[i] / float64(len(weights)); math.Abs(got-want) > 2 {
				t.Errorf("%v: target %d has %.0f entries, want %.0f", weights, i, got, want)
			}
		}
	}
	if testing.Short() {
		return
	}
	targets := named(equal(7000))
	s := newSet(&Config{}, targets, new(Pool))
	if m := newMaglev(targets, s.shares); len(m.entries) != bigTableSize {
		t.Errorf("%d entries for 7000 targets", len(m.entries))
	}
}

func BenchmarkTables(b *testing.B) {
	for _, n := range []int{10, 1000} {
		targets := named(equal(n))
		for _, policy := range []string{"ringHash", "maglev"} {
			b.Run(fmt.Sprintf("%s/targets=%d", policy, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					build(b, policy, targets)
				}
			})
		}
	}
}
