package balance

import (
	"math"
	"testing"
	"time"
)

const second = int64(time.Second)

// TestReportsAreWeights, by A58's formula: qps / (utilization + eps/qps * penalty).
func TestReportsAreWeights(t *testing.T) {
	for _, c := range []struct{ qps, utilization, eps, want float64 }{
		{100, 0.5, 0, 200},
		{100, 1.5, 0, 100 / 1.5},
		{100, 0.5, 50, 100},
		{100, 0.5, -50, 200},
		{100, 0.5, math.NaN(), 200},
		{100, 0.5, 1e9, 100 / 1.5}, // no more than all can fail
	} {
		l := &Load{}
		l.Report(1, c.qps, c.utilization, c.eps)
		if got, counts := l.Reported(1 + blackout); !counts || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v, %v", c, got, counts)
		}
	}
}

// TestReportsThatSayNothing, or cannot be true, leave what was said before.
func TestReportsThatSayNothing(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range [][3]float64{{0, 0.5, 0}, {100, 0, 0}, {-1, 0.5, 0}, {100, -1, 0}, {nan, 1, 0}, {1, nan, 0}, {inf, 1, 0}, {1, inf, 0}, {1e308, 1e-308, 0}, {1e-308, 1e308, 0}} {
		l := &Load{}
		l.Report(1, c[0], c[1], c[2])
		if _, counts := l.Reported(1 + blackout); counts {
			t.Errorf("%v counts", c)
		}
		l.Report(1, 100, 0.5, 0)
		l.Report(2, c[0], c[1], c[2])
		if got, counts := l.Reported(1 + blackout); !counts || got != 200 {
			t.Errorf("%v: %v, %v", c, got, counts)
		}
	}
}

// TestBlackoutAndExpiry: a report counts ten seconds after the first, and for three minutes; then all begins anew.
func TestBlackoutAndExpiry(t *testing.T) {
	l := &Load{}
	counts := func(at int64) bool { _, ok := l.Reported(at); return ok }
	start := int64(time.Hour)
	for at := start; at < start+60*second; at += second / 4 {
		l.Report(at, 100, 0.5, 0)
		if got, want := counts(at), at-start >= blackout; got != want {
			t.Fatalf("counts %v after %v", got, time.Duration(at-start))
		}
	}
	last := start + 60*second - second/4
	if !counts(last+expiry-1) || counts(last+expiry) {
		t.Error("the last report does not count for three minutes")
	}
	l.Report(last+2*expiry, 100, 0.5, 0)
	if counts(last+2*expiry) || counts(last+2*expiry+blackout-1) || !counts(last+2*expiry+blackout) {
		t.Error("no blackout after the reports had stopped")
	}
}

// orcaOf is a picker over targets that have reported these numbers of requests a second for long enough, each half busy.
func orcaOf(t *testing.T, targets []Target, qps ...float64) Picker {
	t.Helper()
	p, err := New(Config{Policy: "orca"}, targets, seeded(2))
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range qps {
		targets[i].Load.Report(1, q, 0.5, 0)
	}
	return p
}

func wantParts(t *testing.T, what string, p Picker, now int64, want ...float64) {
	t.Helper()
	const n = 30_000
	got, sum := make([]float64, len(want)), 0.0
	for range n {
		got[p.Pick(Choice{Now: now})] += 1.0 / n
	}
	for _, w := range want {
		sum += w
	}
	for i, w := range want {
		if math.Abs(got[i]-w/sum) > 0.002 {
			t.Errorf("%s: %.4f, want %.4f of each by weight", what, got[i], w/sum)
		}
	}
}

func TestOrcaGoesByReports(t *testing.T) {
	at := 2 * blackout
	wantParts(t, "two reports", orcaOf(t, equal(2), 100, 300), at, 1, 3)
	wantParts(t, "in the blackout", orcaOf(t, equal(2), 100, 300), blackout-1, 1, 1)
	wantParts(t, "times weight", orcaOf(t, targetsOf(2, 1), 100, 300), at, 2, 3)
	wantParts(t, "one without counts for the average", orcaOf(t, equal(3), 100, 300), at, 1, 3, 2)
	wantParts(t, "one report compares with nothing", orcaOf(t, targetsOf(1, 2), 100), at, 1, 2)
	wantParts(t, "none", orcaOf(t, equal(3)), at, 1, 1, 1)
	wantParts(t, "a strange one is bounded", orcaOf(t, equal(30), append([]float64{1e9}, 1, 1, 1)...), at, append([]float64{10, 1, 1, 1}, ones(26)...)...)
	p := orcaOf(t, equal(2), 100, 300)
	wantParts(t, "before", p, at, 1, 3)
	wantParts(t, "within a second", p, at+reweigh-1, 1, 3)
	wantParts(t, "expired", p, at+expiry, 1, 1)
}

func ones(n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = 1
	}
	return all
}

// TestOrcaIsSmooth: turns of one target keep their distance, whatever the weights, so that no burst meets one of them.
func TestOrcaIsSmooth(t *testing.T) {
	for _, qps := range [][]float64{{100, 100, 100}, {100, 300}, {10, 20, 30, 40, 57}, {100, 101, 99, 100, 100, 98, 100}} {
		targets := equal(len(qps))
		p := orcaOf(t, targets, qps...)
		sum := 0.0
		for _, q := range qps {
			sum += q
		}
		counts := make([]float64, len(qps))
		for turn := 1; turn <= 20_000; turn++ {
			counts[p.Pick(Choice{Now: 2 * blackout})]++
			for i, q := range qps {
				if off := counts[i] - float64(turn)*q/sum; math.Abs(off) > 6 {
					t.Fatalf("%v: after %d turns target %d is %.1f off", qps, turn, i, off)
				}
			}
		}
	}
}

// TestGatewaysAreNotInStep: those that start together begin at different targets.
func TestGatewaysAreNotInStep(t *testing.T) {
	first := map[int]bool{}
	for range 50 {
		p, err := New(Config{Policy: "orca"}, equal(100), new(Pool))
		if err != nil {
			t.Fatal(err)
		}
		first[p.Pick(Choice{Now: 1})] = true
	}
	if len(first) < 15 {
		t.Errorf("50 gateways begin at %d of 100 targets", len(first))
	}
}

func BenchmarkReport(b *testing.B) {
	l := &Load{}
	b.ReportAllocs()
	for now := int64(1); b.Loop(); now += 1000 {
		l.Report(now, 100, 0.5, 1)
	}
}
