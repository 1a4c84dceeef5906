package balance

import (
	"math"
	"testing"
	"time"
)

func explained(t *testing.T, cfg Config, targets []Target, pool *Pool, c Choice) []View {
	t.Helper()
	p, err := New(cfg, targets, pool)
	if err != nil {
		t.Fatal(err)
	}
	views := p.Explain(c)
	if len(views) != len(targets) {
		t.Fatalf("%d views of %d targets", len(views), len(targets))
	}
	return views
}

// TestExplainSaysWhy a target is avoided, and whether that counts now.
func TestExplainSaysWhy(t *testing.T) {
	for _, policy := range Policies() {
		targets := named(equal(5))
		targets[0].Load.SetDraining(true)
		targets[1].Load.Set(Ejected|Full, true)
		pool := new(Pool)
		c := Choice{Now: ms, Tried: []*Load{targets[2].Load}, Key: 1, Keyed: true}
		v := explained(t, Config{Policy: policy}, targets, pool, c)
		if !v[0].Avoided() || v[0].Flags != Draining || !v[1].Avoided() || v[1].Flags != Ejected|Full || !v[2].Tried || !v[2].Avoided() || v[3].Avoided() {
			t.Errorf("%s: %+v", policy, v)
		}
		if v[0].Share != 0 || v[3].Share != 0.5 || v[4].Share != 0.5 || v[0].TierShare != 1 {
			t.Errorf("%s: %+v", policy, v)
		}
		pool.Ignore(doubtful)
		targets[1].Load.Set(Full, false)
		if v = explained(t, Config{Policy: policy}, targets, pool, c); v[1].Avoided() || v[1].Ignored != Ejected || v[1].Share == 0 {
			t.Errorf("%s: ignored all the same: %+v", policy, v[1])
		}
		mark(targets, Draining, true)
		if v = explained(t, Config{Policy: policy}, targets, pool, c); v[0].Share != 0.2 {
			t.Errorf("%s: all are avoided: %+v", policy, v[0])
		}
		if v := explained(t, Config{Policy: policy}, nil, pool, c); len(v) != 0 {
			t.Errorf("%s: %+v of nothing", policy, v)
		}
	}
}

// TestExplainTellsPrices that a pick would compare: the one it tells to be the cheapest is the one that is picked.
func TestExplainTellsPrices(t *testing.T) {
	for _, policy := range []string{"peakEWMA", "leastRequest"} {
		targets := equal(2)
		targets[0].Load.Observe(ms, 10*ms)
		targets[1].Load.Observe(ms, 10*ms)
		for range 3 {
			targets[0].Load.Begin()
		}
		targets[1].Load.Begin()
		c := Choice{Now: ms}
		v := explained(t, Config{Policy: policy}, targets, new(Pool), c)
		want := []float64{float64(40 * ms), float64(20 * ms)}
		if policy == "leastRequest" {
			want = []float64{3, 1}
		}
		if v[0].Price != want[0] || v[1].Price != want[1] {
			t.Errorf("%s: prices %v and %v, want %v", policy, v[0].Price, v[1].Price, want)
		}
		if i := build(t, policy, targets).Pick(c); i != 1 {
			t.Errorf("%s: picked %d", policy, i)
		}
	}
}

// TestExplainTellsWarmth: how warm a target is, and what part of the requests it gets for it.
func TestExplainTellsWarmth(t *testing.T) {
	targets := equal(3)
	targets[2].Since = int64(time.Hour)
	for _, policy := range slowing {
		v := explained(t, Config{Policy: policy, SlowStart: 10 * time.Second}, targets, new(Pool), Choice{Now: int64(time.Hour + 5*time.Second)})
		if v[0].Warm != 1 || v[2].Warm != 0.5 || v[0].Share != 0.4 || v[2].Share != 0.2 {
			t.Errorf("%s: %+v", policy, v)
		}
	}
}

// TestExplainTellsKeys: where the key belongs, how full the target is, and from when on it is passed by.
func TestExplainTellsKeys(t *testing.T) {
	for _, policy := range []string{"ringHash", "maglev"} {
		targets := named(targetsOf(1, 1, 2, 1))
		for _, x := range targets {
			for range 40 {
				x.Load.Begin()
			}
		}
		p := build(t, policy, targets)
		c := Choice{Now: ms, Key: 7, Keyed: true}
		v, home := p.Explain(c), p.Pick(c)
		for i := range v {
			if v[i].Key != (i == home) {
				t.Errorf("%s: target %d has the key: %v, picked %d", policy, i, v[i].Key, home)
			}
		}
		share := 2 * 4.0 / 5
		if math.Abs(v[2].Price-40/share) > 1e-9 || math.Abs(v[2].Bound-fairness*161/4) > 1e-9 {
			t.Errorf("%s: price %v of at most %v", policy, v[2].Price, v[2].Bound)
		}
		c.Keyed = false
		if v := p.Explain(c); v[home].Key || v[0].Price == 0 {
			t.Errorf("%s, without a key: %+v", policy, v[home])
		}
	}
}

// TestExplainTellsReports that orca weighs by.
func TestExplainTellsReports(t *testing.T) {
	p := orcaOf(t, equal(3), 100, 300)
	v := p.Explain(Choice{Now: 2 * blackout})
	if math.Abs(v[0].Reported-0.5) > 1e-9 || math.Abs(v[1].Reported-1.5) > 1e-9 || math.Abs(v[2].Reported-1) > 1e-9 || math.Abs(v[1].Share-0.5) > 1e-9 {
		t.Errorf("%+v", v)
	}
}

// TestExplainTellsTiers: what part of the requests comes to each, and which one has the key.
func TestExplainTellsTiers(t *testing.T) {
	first := in("a", 0, 4)
	targets := together(first, in("b", 0, 4), in("b", 3, 8))
	mark(first[:2], Unhealthy, true)
	v := explained(t, Config{Zone: "a"}, targets, new(Pool), Choice{Now: ms})
	if got := v[0].Tier; got != (Tier{Level: 0, Zone: "a", Local: true}) {
		t.Errorf("%+v", got)
	}
	if got := v[15].Tier; got != (Tier{Level: 1, Zone: "b"}) {
		t.Errorf("%+v", got)
	}
	// 2 of 6 are here, and half of the requests come in here.
	if math.Abs(v[2].TierShare-2.0/3) > 1e-9 || math.Abs(v[2].Share-1.0/3) > 1e-9 || v[0].Share != 0 || math.Abs(v[4].TierShare-1.0/3) > 1e-9 || v[15].TierShare != 0 {
		t.Errorf("%+v", v)
	}
	for _, policy := range []string{"ringHash", "maglev"} {
		mark(first, Unhealthy, true)
		p := tiered(t, Config{Policy: policy}, targets, new(Pool))
		for k := range uint64(100) {
			c := Choice{Now: ms, Key: k, Keyed: true}
			picked, keys := p.Pick(c), 0
			for i, view := range p.Explain(c) {
				if view.Key {
					keys++
					if i != picked && !view.Avoided() {
						t.Fatalf("%s: the key belongs to %d, picked %d", policy, i, picked)
					}
				}
			}
			if keys != 1 {
				t.Fatalf("%s: the key belongs to %d targets", policy, keys)
			}
		}
	}
}

// TestConfigRefuses what cannot work.
func TestConfigRefuses(t *testing.T) {
	for _, cfg := range []Config{
		{Policy: "fastest"}, {SlowStart: -1}, {ZoneTraffic: 1.5}, {ZoneTraffic: -0.1}, {ZoneTraffic: math.NaN()}, {ZoneMinimum: -1},
	} {
		if _, err := New(cfg, equal(2), new(Pool)); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
