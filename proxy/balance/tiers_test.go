package balance

import (
	"fmt"
	"math"
	"testing"
)

// in makes n targets of a zone and priority.
func in(zone string, priority, n int) []Target {
	all := equal(n)
	for i := range all {
		all[i].Zone, all[i].Priority = zone, priority
		all[i].ID = fmt.Sprintf("%s-%d-%d", zone, priority, i)
	}
	return all
}

func together(groups ...[]Target) (all []Target) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

func mark(targets []Target, flags Flags, on bool) {
	for i := range targets {
		targets[i].Load.Set(flags, on)
	}
}

// sharesBy counts picks by zone and priority. Each begins at another time, so that the tiers look at the flags anew.
func sharesBy(t *testing.T, p Picker, targets []Target, now *int64) map[string]float64 {
	t.Helper()
	const n = 6000
	counts := map[string]float64{}
	*now += reshare
	for range n {
		i := p.Pick(Choice{Now: *now})
		counts[fmt.Sprint(targets[i].Zone, targets[i].Priority)] += 1.0 / n
	}
	return counts
}

func wantShares(t *testing.T, what string, got, want map[string]float64) {
	t.Helper()
	for k := range got {
		if _, known := want[k]; !known {
			want[k] = 0
		}
	}
	for k, w := range want {
		if math.Abs(got[k]-w) > 0.025 {
			t.Errorf("%s: %s got %.3f, want %.3f", what, k, got[k], w)
		}
	}
}

func tiered(t *testing.T, cfg Config, targets []Target, pool *Pool) Picker {
	t.Helper()
	p, err := New(cfg, targets, pool)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPriorities: the first level keeps everything until less than 1/1.4 of it is left, then the next one helps out.
func TestPriorities(t *testing.T) {
	for _, policy := range Policies() {
		first, second, third := in("", 0, 10), in("", 5, 10), in("", 7, 10)
		targets := together(first, second, third)
		p := tiered(t, Config{Policy: policy}, targets, seeded(1))
		now := ms
		for _, c := range []struct {
			firstDown, secondDown int
			want                  map[string]float64
		}{
			{0, 0, map[string]float64{"0": 1}},
			{2, 0, map[string]float64{"0": 1}},
			{5, 0, map[string]float64{"0": 0.7, "5": 0.3}},
			{5, 9, map[string]float64{"0": 0.7, "5": 0.14, "7": 0.16}},
			{10, 0, map[string]float64{"5": 1}},
			{10, 10, map[string]float64{"7": 1}},
		} {
			mark(targets, Unhealthy, false)
			mark(first[:c.firstDown], Unhealthy, true)
			mark(second[:c.secondDown], Ejected, true)
			got := sharesBy(t, p, targets, &now)
			wantShares(t, fmt.Sprintf("%s, %d and %d down", policy, c.firstDown, c.secondDown), got, c.want)
			mark(second, Ejected, false)
		}
		// All of them together cannot do it: in proportion to what is left.
		mark(targets, Unhealthy, true)
		mark(first[:2], Unhealthy, false)
		mark(third[:1], Unhealthy, false)
		wantShares(t, policy+", three left", sharesBy(t, p, targets, &now), map[string]float64{"0": 2.0 / 3, "7": 1.0 / 3})
		mark(targets, Unhealthy, true)
		wantShares(t, policy+", none left", sharesBy(t, p, targets, &now), map[string]float64{"0": 1, "5": 0, "7": 0})
	}
}

// TestZones: requests stay in the gateway's zone as far as its part of the service allows.
func TestZones(t *testing.T) {
	for _, policy := range []string{"peakEWMA", "leastRequest", "roundRobin", "random", "orca"} {
		for _, c := range []struct {
			what    string
			a, b, c int // targets in each zone
			down    int // of them in zone a
			cfg     Config
			want    map[string]float64
		}{
			{"even", 4, 4, 4, 0, Config{Zone: "a"}, map[string]float64{"a0": 1}},
			{"more here", 8, 2, 2, 0, Config{Zone: "a"}, map[string]float64{"a0": 1}},
			// A third of the requests comes in here, and 2 of 12 targets are: half of it is more than they need to do.
			{"fewer here", 2, 5, 5, 0, Config{Zone: "a"}, map[string]float64{"a0": 0.5, "b0": 0.25, "c0": 0.25}},
			{"some down", 4, 4, 4, 2, Config{Zone: "a"}, map[string]float64{"a0": 0.6, "b0": 0.2, "c0": 0.2}},
			{"all down", 4, 4, 4, 4, Config{Zone: "a"}, map[string]float64{"b0": 0.5, "c0": 0.5}},
			// Only the zone that has more than it needs helps.
			{"one can spare", 2, 4, 6, 0, Config{Zone: "a"}, map[string]float64{"a0": 0.5, "b0": 0, "c0": 0.5}},
			{"all requests come in here", 4, 4, 4, 0, Config{Zone: "a", ZoneTraffic: 1}, map[string]float64{"a0": 1.0 / 3, "b0": 1.0 / 3, "c0": 1.0 / 3}},
			{"most requests come in here", 4, 4, 4, 0, Config{Zone: "a", ZoneTraffic: 0.5}, map[string]float64{"a0": 2.0 / 3, "b0": 1.0 / 6, "c0": 1.0 / 6}},
			{"no zone of its own", 4, 4, 4, 0, Config{}, map[string]float64{"a0": 1.0 / 3, "b0": 1.0 / 3, "c0": 1.0 / 3}},
			{"nobody in its zone", 4, 4, 4, 0, Config{Zone: "d"}, map[string]float64{"a0": 1.0 / 3, "b0": 1.0 / 3, "c0": 1.0 / 3}},
			{"too few", 2, 2, 1, 0, Config{Zone: "a"}, map[string]float64{"a0": 0.4, "b0": 0.4, "c0": 0.2}},
			{"few, but enough", 2, 2, 1, 0, Config{Zone: "a", ZoneMinimum: 2}, map[string]float64{"a0": 1}},
		} {
			a := in("a", 0, c.a)
			targets := together(a, in("b", 0, c.b), in("c", 0, c.c))
			mark(a[:c.down], Unhealthy, true)
			c.cfg.Policy = policy
			now := ms
			p := tiered(t, c.cfg, targets, seeded(1))
			wantShares(t, policy+", "+c.what, sharesBy(t, p, targets, &now), c.want)
		}
	}
}

// TestZonesInPanic: when health is not to be believed zones are not either.
func TestZonesInPanic(t *testing.T) {
	pool := seeded(1)
	a := in("a", 0, 4)
	targets := together(a, in("b", 0, 4), in("c", 0, 4))
	p := tiered(t, Config{Zone: "a"}, targets, pool)
	mark(targets[1:8], Unhealthy, true)
	if !pool.Update(targets, 0.5) {
		t.Fatal("no panic")
	}
	now := ms
	wantShares(t, "panic", sharesBy(t, p, targets, &now), map[string]float64{"a0": 1.0 / 3, "b0": 1.0 / 3, "c0": 1.0 / 3})
}

// TestHashesKnowNoZones: gateways in different zones must agree.
func TestHashesKnowNoZones(t *testing.T) {
	targets := together(in("a", 0, 5), in("b", 0, 5))
	for _, policy := range []string{"ringHash", "maglev"} {
		one, other := tiered(t, Config{Policy: policy, Zone: "a"}, targets, new(Pool)), tiered(t, Config{Policy: policy, Zone: "b"}, targets, new(Pool))
		for k := range uint64(1000) {
			c := Choice{Now: ms, Key: k, Keyed: true}
			if one.Pick(c) != other.Pick(c) {
				t.Fatalf("%s: gateways differ on key %d", policy, k)
			}
		}
	}
}

// TestKeysStayWithPriorities: while the second level helps out, a key that stays in the first one stays where it was.
func TestKeysStayWithPriorities(t *testing.T) {
	first := in("", 0, 10)
	targets := together(first, in("", 1, 10))
	p := tiered(t, Config{Policy: "ringHash"}, targets, new(Pool))
	before := make([]int, 5000)
	for k := range before {
		before[k] = p.Pick(Choice{Now: ms, Key: uint64(k), Keyed: true})
	}
	mark(first[:4], Unhealthy, true)
	moved := 0
	for k := range before {
		i := p.Pick(Choice{Now: ms + reshare, Key: uint64(k), Keyed: true})
		if i != before[k] && before[k] >= 4 {
			moved++
		}
	}
	// 0.6 of the level can carry 0.84 of the requests.
	if part := float64(moved) / float64(len(before)); part > 0.16*0.6+0.02 {
		t.Errorf("%.3f of the keys left targets that are well", part)
	}
}

// TestElsewhereAtOnce: what happens between two looks at the flags does not wait for the next.
func TestElsewhereAtOnce(t *testing.T) {
	a := in("a", 0, 4)
	targets := together(a, in("b", 0, 4), in("b", 1, 4))
	p := tiered(t, Config{Zone: "a"}, targets, seeded(1))
	p.Pick(Choice{Now: ms})
	mark(a, Full, true)
	for range 100 {
		if i := p.Pick(Choice{Now: ms}); i < 4 || i >= 8 {
			t.Fatalf("picked %d, want one of the other zone", i)
		}
	}
	var tried []*Load
	for _, x := range targets[4:11] {
		tried = append(tried, x.Load)
	}
	if i := p.Pick(Choice{Now: ms, Tried: tried}); i != 11 {
		t.Errorf("picked %d, want the last one that was not tried", i)
	}
}

// TestManyZonesAndLevels: names out of a registry make no more groups than there is room for.
func TestManyZonesAndLevels(t *testing.T) {
	targets := equal(1000)
	for i := range targets {
		targets[i].Zone, targets[i].Priority = fmt.Sprint("z", i%100), i%37
	}
	p := tiered(t, Config{Zone: "z5"}, targets, seeded(1))
	groups := p.(*tiers).groups
	if len(groups) > 2*maxLevels {
		t.Errorf("%d groups", len(groups))
	}
	seen := map[int32]bool{}
	for _, g := range groups {
		for _, i := range g.members {
			if seen[i] {
				t.Fatalf("%d is in two groups", i)
			}
			seen[i] = true
		}
	}
	if len(seen) != len(targets) {
		t.Errorf("%d of %d targets are in a group", len(seen), len(targets))
	}
	if i := p.Pick(Choice{Now: ms}); targets[i].Priority != 0 {
		t.Errorf("picked priority %d", targets[i].Priority)
	}
}

func TestLevels(t *testing.T) {
	var l levels
	for _, p := range []int{5, 3, 5, -1, 9, 3} {
		l.add(p)
	}
	for p, want := range map[int]int{-1: 0, 3: 1, 5: 2, 9: 3, 100: 3} {
		if got := l.of(p); got != want {
			t.Errorf("priority %d is level %d, want %d", p, got, want)
		}
	}
	for p := range 50 {
		l.add(50 - p)
	}
	if l.n != maxLevels || l.of(1000) != maxLevels-1 || l.of(-1) != 0 {
		t.Errorf("%+v", l)
	}
}
