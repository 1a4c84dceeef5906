package balance

import (
	"math"
	"testing"
	"time"
)

// short is a simulation long enough for the bounds below, which hold with a wide margin.
func short(s simulation, policy string) simulation {
	s.policy, s.seed = policy, 7
	s.warmup, s.measured = 2*time.Second, 6*time.Second
	if len(s.hosts) > 100 {
		s.warmup, s.measured = time.Second/2, time.Second/2
	}
	return s
}

// within fails when the p99 is over a bound.
func within(t *testing.T, what string, o outcome, most time.Duration) {
	t.Helper()
	t.Logf("%s: p50 %v, p99 %v", what, o.quantile(0.5), o.quantile(0.99))
	if got := o.quantile(0.99); got > most {
		t.Errorf("%s: p99 %v, want at most %v", what, got, most)
	}
}

func share(o outcome, n int) (sum float64) {
	for _, s := range o.shares[:n] {
		sum += s
	}
	return sum
}

// TestUnevenHosts: a fifth of the hosts is three times as slow. Going round sends them more than they can do, and their
// queues grow without end; watching latency and queue does not, with one gateway or with many.
func TestUnevenHosts(t *testing.T) {
	s := simulation{hosts: slowed(hosts(20), 4), gateways: 2, util: 0.85}
	round := short(s, "roundRobin").run(t)
	if got := share(round, 4); math.Abs(got-0.2) > 0.01 {
		t.Errorf("round robin sent %.3f to the slow fifth", got)
	}
	for _, s.gateways = range []int{1, 2, 20} {
		got := short(s, "peakEWMA").run(t)
		// They can do a third of what the others do: 1.33 of 17.33.
		if part := share(got, 4); part < 0.02 || part > 0.12 {
			t.Errorf("%d gateways: %.3f went to the slow fifth, want about 0.077", s.gateways, part)
		}
		within(t, "peakEWMA", got, 150*time.Millisecond)
		if got.quantile(0.99) > round.quantile(0.99)/4 {
			t.Errorf("p99 %v, round robin %v", got.quantile(0.99), round.quantile(0.99))
		}
	}
	s.gateways = 2
	within(t, "leastRequest", short(s, "leastRequest").run(t), 250*time.Millisecond)
	reports := short(s, "orca").run(t)
	within(t, "orca", reports, 800*time.Millisecond)
	if part := share(reports, 4); part > 0.1 {
		t.Errorf("orca sent %.3f to the slow fifth, want about 0.077", part)
	}
}

// TestManyHosts: five choices of 500 hosts, by 20 gateways of which each sees a twentieth of the requests.
func TestManyHosts(t *testing.T) {
	got := short(simulation{hosts: slowed(hosts(500), 100), gateways: 20, util: 0.85}, "peakEWMA").run(t)
	within(t, "peakEWMA", got, 150*time.Millisecond)
}

// TestOneSlowHost: at 90 % load the tail of 20 hosts of which one is slow is hardly that of the 19 others alone.
func TestOneSlowHost(t *testing.T) {
	alone := short(simulation{hosts: hosts(19), gateways: 2, util: 0.9}, "peakEWMA").run(t)
	with := short(simulation{hosts: slowed(hosts(20), 1), gateways: 2, util: 0.9}, "peakEWMA").run(t)
	within(t, "with a slow one", with, alone.quantile(0.99)*13/10)
}

// TestEvenHostsUnderLoad: at 90 % the tail must not be worse than going round makes it, whoever looks at load.
func TestEvenHostsUnderLoad(t *testing.T) {
	for _, gateways := range []int{2, 20} {
		s := simulation{hosts: hosts(20), gateways: gateways, util: 0.9}
		round := short(s, "roundRobin").run(t).quantile(0.99)
		for _, policy := range []string{"peakEWMA", "leastRequest", "maglev"} {
			got := short(s, policy).run(t)
			within(t, policy, got, round*11/10)
			for i, part := range got.shares {
				if part < 0.03 || part > 0.08 {
					t.Errorf("%s: host %d of 20 got %.3f", policy, i, part)
				}
			}
		}
	}
}

// TestChangingSpeed: every second other hosts are slow. Who remembers for long sends to the wrong ones.
func TestChangingSpeed(t *testing.T) {
	s := simulation{hosts: hosts(20), gateways: 20, util: 0.85, changing: time.Second}
	got := short(s, "peakEWMA").run(t)
	within(t, "peakEWMA", got, 180*time.Millisecond)
}

// TestFailingHostUnderLoad: a host that answers at once with failures looks fast, and must not attract traffic.
func TestFailingHostUnderLoad(t *testing.T) {
	all := hosts(20)
	all[7].fails = true
	for _, gateways := range []int{1, 2} {
		got := short(simulation{hosts: all, gateways: gateways, util: 0.7}, "peakEWMA").run(t)
		t.Logf("%d gateways: %.5f of all requests failed", gateways, got.failed)
		if got.failed > 0.001 {
			t.Errorf("%d gateways: %.4f of all requests failed", gateways, got.failed)
		}
	}
}

// TestHerding: all of 20 gateways find a new host idle at the same time. A slow start keeps them from breaking it.
func TestHerding(t *testing.T) {
	all := hosts(20)
	all[19].joins = time.Second
	for _, policy := range []string{"peakEWMA", "leastRequest", "roundRobin", "random", "orca"} {
		s := short(simulation{hosts: all, gateways: 20, util: 0.85, slowStart: 10 * time.Second}, policy)
		s.measured = 2 * time.Second
		slow := s.run(t)
		s.slowStart = 0
		rush := s.run(t)
		t.Logf("%s: at most %.1f times the mean of the others, %.1f without slow start", policy, slow.rush, rush.rush)
		if slow.rush > 2 || slow.rush > rush.rush {
			t.Errorf("%s: %.1f times the mean of the others, %.1f without slow start", policy, slow.rush, rush.rush)
		}
		if slow.shares[19] == 0 {
			t.Errorf("%s: the new host got nothing", policy)
		}
	}
}

// TestWeightsUnderLoad: weights that say what hosts can do give each its share of a load that needs them all.
func TestWeightsUnderLoad(t *testing.T) {
	all := hosts(8)
	weights := []float64{1, 1, 1, 1, 2, 2, 4, 4}
	for i, w := range weights {
		all[i].workers = int(4 * w)
	}
	for _, policy := range Policies() {
		s := simulation{hosts: all, gateways: 2, weights: weights, util: 0.8}
		if policy == "orca" {
			s.weights = nil // the hosts report what they can do; a weight would come on top of it
		}
		got := short(s, policy).run(t)
		for i, w := range weights {
			if want := w / 16; math.Abs(got.shares[i]-want) > want/3 {
				t.Errorf("%s: host %d got %.3f, want about %.3f", policy, i, got.shares[i], want)
			}
		}
		if p99 := got.quantile(0.99); p99 > 400*time.Millisecond {
			t.Errorf("%s: p99 %v", policy, p99)
		}
	}
}

// TestSimulationRepeats: the same seed comes to the same, to the last nanosecond.
func TestSimulationRepeats(t *testing.T) {
	for _, policy := range Policies() {
		s := short(simulation{hosts: slowed(hosts(5), 1), gateways: 3, util: 0.8, slowStart: time.Second}, policy)
		s.measured = time.Second
		a, b := s.run(t), s.run(t)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
			if a.quantile(q) != b.quantile(q) {
				t.Errorf("%s: %v and %v", policy, a.quantile(q), b.quantile(q))
			}
		}
	}
}

// TestZonesUnderLoad: with gateways in every zone requests stay where they come in, and with all gateways in one zone the
// others take their part of the work, though nobody has told the gateways who is where.
func TestZonesUnderLoad(t *testing.T) {
	for _, policy := range []string{"peakEWMA", "roundRobin"} {
		s := short(simulation{hosts: hosts(18), gateways: 6, util: 0.75, zones: []string{"a", "b", "c"}, home: []string{"a", "b", "c"}}, policy)
		everywhere := s.run(t)
		if everywhere.abroad > 0.03 {
			t.Errorf("%s: %.3f of the requests went to other zones, without need", policy, everywhere.abroad)
		}
		s.home, s.warmup, s.measured = []string{"a"}, 14*time.Second, 3*time.Second
		one := s.run(t)
		t.Logf("%s: gateways everywhere %.3f abroad, p99 %v; in one zone %.3f abroad, p99 %v", policy, everywhere.abroad, everywhere.quantile(0.99), one.abroad, one.quantile(0.99))
		if one.abroad < 0.5 {
			t.Errorf("%s: %.3f of the requests went to other zones, where two thirds of the targets are", policy, one.abroad)
		}
		within(t, policy, one, 5*everywhere.quantile(0.99))
	}
}
