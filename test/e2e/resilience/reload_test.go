package resilience

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// version is the n-th of a row of documents: routes and services come, go and change beside those that are measured.
func version(n int) string {
	text := fmt.Sprintf(`
routes:
  - {name: patient, match: {path: /patient}, to: {service: work}}
  - {name: turns, match: {path: /turns}, to: {service: turns}}
  - {name: changing, match: {path: "/changing/**"}, filters: [{setRequestHeader: {name: X-Version, value: "%d"}}], to: {service: work}}
`, n)
	for i := range n % 5 {
		text += fmt.Sprintf("  - {name: other-%d-%d, match: {path: /other/%d}, to: {service: other}}\n", n, i, i)
	}
	return text + fmt.Sprintf(`
services:
  - {match: {service: turns}, balance: {policy: roundRobin}}
  - {match: {service: other}, timeouts: {connect: %dms}}
`, 100+n%7)
}

// reloads compares how requests are spread, and how long they take, with and without a reload every few milliseconds. One
// instance is three times slower: a gateway that forgets it with each reload would send it its full share again and again.
func reloads(t *testing.T, f *fleet) {
	lame := f.all[size-1]
	must[uint64](t)(f.control(t.Context(), lame, "mode=&slow=3"))
	defer f.reset(t)
	tr := heavy(size, 0.5, either(3*time.Second, 30*time.Second))
	tr.paths, tr.rate = []string{"/patient", "/turns"}, tr.rate*2
	tr.mean /= 2
	tr.warmup = 0
	spread := map[bool][2]map[string]int{}
	for _, reloading := range []bool{false, true} {
		s := startSluice(t, f, version(0))
		reloads := 0
		harm := func(ctx context.Context) error {
			for n := 1; reloading && pause(ctx, 80*time.Millisecond); n++ { // what is written faster counts as one change
				before, err := s.planned(t.Context())
				if err == nil {
					err = s.write(version(n))
				}
				after := before
				for err == nil && !after.After(before) && pause(ctx, 5*time.Millisecond) {
					after, err = s.planned(t.Context())
				}
				if err != nil {
					return err
				}
				reloads++
			}
			return nil
		}
		o := tr.run(t, s.url, harm)
		wantFailed(t, o, 0, 0)
		wantFailed(t, o, 1, 0)
		seen := [2]map[string]int{}
		for path, service := range []string{"work", "turns"} {
			seen[path] = must[map[string]int](t)(s.sent(t.Context(), service))
		}
		spread[reloading] = seen
		t.Logf("%d reloads: %v; the slow one answered %.1f %%", reloads, o, 100*o.share(lame.address))
		if reloading && reloads < 10 {
			t.Errorf("only %d reloads", reloads)
		}
	}
	for path, name := range []string{"peakEWMA", "roundRobin"} {
		before, after := spread[false][path], spread[true][path]
		x := chiSquare(before, after) / dispersion(before, lame.address)
		t.Logf("%s: chi square %.1f: %v, with reloads %v", name, x, slices.Sorted(maps.Values(before)), slices.Sorted(maps.Values(after)))
		if len(before) != size || len(after) != size {
			t.Errorf("%s: %d and %d instances were sent requests", name, len(before), len(after))
		}
		if x > chiSquareBound {
			t.Errorf("%s: with reloads requests are spread differently: chi square is %.1f, at most %.1f", name, x, chiSquareBound)
		}
	}
	if before, after := spread[false][0][lame.address], spread[true][0][lame.address]; after > 2*before+5 {
		t.Errorf("with reloads the slow instance was sent %d requests, without %d", after, before)
	}
	// A turn is kept over a reload: nobody gets more than another, but for a request at each of a few of them.
	turns := slices.Sorted(maps.Values(spread[true][1]))
	if d := turns[len(turns)-1] - turns[0]; d > max(2, turns[0]/5) {
		t.Errorf("roundRobin with reloads: %v", turns)
	}
}

// chiSquareBound is exceeded by one of a million pairs of samples that are alike (19 degrees of freedom).
const chiSquareBound = 62.2

// chiSquare says how much two samples differ, by the test of homogeneity.
func chiSquare(a, b map[string]int) float64 {
	total := func(m map[string]int) (n float64) {
		for _, c := range m {
			n += float64(c)
		}
		return n
	}
	na, nb := total(a), total(b)
	names := map[string]bool{}
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	x := 0.0
	for name := range names {
		sum := float64(a[name] + b[name])
		for _, s := range []struct{ seen, all float64 }{{float64(a[name]), na}, {float64(b[name]), nb}} {
			if want := sum * s.all / (na + nb); want > 0 {
				x += (s.seen - want) * (s.seen - want) / want
			}
		}
	}
	return x
}

// dispersion is how much more the counts of instances that are alike differ than chance would have it: what peakEWMA picks
// depends on what it picked before. Less than chance counts as chance.
func dispersion(counts map[string]int, but string) float64 {
	n, sum, squares := 0.0, 0.0, 0.0
	for name, c := range counts {
		if name != but {
			n++
			sum += float64(c)
			squares += float64(c) * float64(c)
		}
	}
	if n < 2 {
		return 1
	}
	mean := sum / n
	return max(1, (squares-n*mean*mean)/mean/(n-1))
}

func TestChiSquare(t *testing.T) {
	if x := chiSquare(map[string]int{"a": 50, "b": 50}, map[string]int{"a": 100, "b": 100}); x != 0 {
		t.Errorf("alike: %v", x)
	}
	if x := chiSquare(map[string]int{"a": 10, "b": 20}, map[string]int{"a": 20, "b": 10}); x < 6.66 || x > 6.67 {
		t.Errorf("%v, want 20/3", x)
	}
	if d := dispersion(map[string]int{"a": 10, "b": 10, "c": 50}, "c"); d != 1 {
		t.Errorf("no dispersion: %v", d)
	}
	if d := dispersion(map[string]int{"a": 10, "b": 30}, ""); d != 10 {
		t.Errorf("dispersion %v, want 200/20", d)
	}
}
