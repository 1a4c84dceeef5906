package resilience

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// scenario is something that happens to the fleet while requests come.
type scenario struct {
	name    string
	traffic func() traffic
	// harm is done while the traffic runs; nil does none. What it did to the instances is undone afterwards.
	harm func(f *fleet) func(context.Context) error
	// before is done before the first request.
	before func(t testing.TB, f *fleet)
	// judge holds Sluice to its bounds.
	judge func(t testing.TB, o outcome)
}

// The scenarios' names; the guide's table has them too.
const (
	even      = "all alike, 90 % load"
	alone     = "19 instances alone, same load"
	slow      = "with a twentieth that is three times slower"
	errors500 = "one answers 500 at once"
	resets    = "one hangs up at once"
	freezes   = "one freezes (SIGSTOP)"
	kills     = "one after the other is killed, and comes back"
	unsaid    = "all are restarted in turn, nobody is told"
	said      = "all are restarted in turn, by the registry"
	storms    = "all fail"
)

// load is that of the scenario with a slow instance, over all that it and the others can do.
const load = 0.9

// slowHeavy is the same traffic for the nineteen alone and with the slow one.
func slowHeavy() traffic { return heavy(size-1+1.0/3, load, either(4*time.Second, 25*time.Second)) }

// rolling is traffic that lasts as long as it takes to restart all.
func rolling() traffic {
	tr := quick(time.Minute)
	tr.untilDone = true
	return tr
}

func scenarios() []scenario {
	short := func(s, l time.Duration) func() traffic { return func() traffic { return quick(either(s, l)) } }
	return []scenario{
		{
			name:    even,
			traffic: func() traffic { return heavy(size, load, either(3*time.Second, 20*time.Second)) },
			judge:   func(t testing.TB, o outcome) { wantFailed(t, o, 0, 0) },
		},
		{
			name:    errors500,
			traffic: short(3*time.Second, 15*time.Second),
			before:  func(t testing.TB, f *fleet) { must[uint64](t)(f.control(t.Context(), f.all[3], "mode=fail")) },
			judge: func(t testing.TB, o outcome) {
				// Five in a row eject it; as many again may be on their way.
				wantFailed(t, o, 0, 12)
				wantFailed(t, o, 1, 0)
			},
		},
		{
			name:    resets,
			traffic: short(3*time.Second, 15*time.Second),
			before:  func(t testing.TB, f *fleet) { must[uint64](t)(f.control(t.Context(), f.all[4], "mode=reset")) },
			judge: func(t testing.TB, o outcome) {
				wantFailed(t, o, 0, 12)
				wantFailed(t, o, 1, 0)
			},
		},
		{
			name:    freezes,
			traffic: short(4*time.Second, 15*time.Second),
			harm:    func(f *fleet) func(context.Context) error { return frozen(f.all[5], frozenAfter) },
			judge:   judgeFrozen,
		},
		{
			name:    kills,
			traffic: short(4*time.Second, 25*time.Second),
			harm: func(f *fleet) func(context.Context) error {
				return f.killed(either(time.Second, 5*time.Second), either(300*time.Millisecond, time.Second))
			},
			judge: func(t testing.TB, o outcome) {
				wantFailed(t, o, 0, 8*either(5, 6)) // what was on its way to each of them, and who met it dead
				wantFailed(t, o, 1, 0)
			},
		},
		{
			name:    unsaid,
			traffic: short(5*time.Second, 20*time.Second),
			harm: func(f *fleet) func(context.Context) error {
				return f.unsaid()
			},
			judge: func(t testing.TB, o outcome) {
				wantFailed(t, o, 1, 0)
			},
		},
	}
}

// frozenAfter is when the instance freezes.
const frozenAfter = time.Second

// leaves is how long requests may still go to an instance that has frozen, but for single ones that try whether it is back:
// a second. In the short form a second after the first has been given up: until then it shows by nothing but the requests
// that it has, and where the cores stall it is not the only one that has many.
func leaves() time.Duration { return either(perTry()+time.Second, time.Second) }

// judgeFrozen wants the traffic to have left the frozen instance.
func judgeFrozen(t testing.TB, o outcome) {
	t.Helper()
	wantFailed(t, o, 1, 0)
	late, of := 0, 0
	for _, s := range o.samples {
		if s.at > frozenAfter+leaves() {
			of++
			if s.what != "" || s.took > perTry()*9/10 {
				late++
			}
		}
	}
	hung, _ := o.failed(0)
	t.Logf("%d plain requests hung; of %d sent later than %v after, %d met the frozen instance", hung, of, leaves(), late)
	if most := 2 + of/200; late > most { // a twentieth would be its share
		t.Errorf("of %d requests sent later than %v after, %d met the frozen instance, at most %d may", of, leaves(), late, most)
	}
}

// wantFailed bounds how many requests of a path may fail.
func wantFailed(t testing.TB, o outcome, path, most int) {
	t.Helper()
	if n, of := o.failed(path); n > most {
		t.Errorf("%d of %d requests of kind %d failed, at most %d may", n, of, path, most)
		o.tell(t, path)
	}
}

// play does a scenario before a front at url.
func (sc scenario) play(t testing.TB, f *fleet, url string) outcome {
	t.Helper()
	if sc.before != nil {
		sc.before(t, f)
	}
	var harm func(context.Context) error
	if sc.harm != nil {
		harm = sc.harm(f)
	}
	o := sc.traffic().run(t, url, harm)
	f.reset(t)
	return o
}

// TestResilience does every scenario to one fleet, before a gateway of its own.
func TestResilience(t *testing.T) {
	f := startFleet(t)
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			s := startSluice(t, f, routes()+judged)
			o := sc.play(t, f, s.url)
			t.Log(o)
			sc.judge(t, o)
			measured.note(sc.name, "Sluice", o)
		})
	}
	t.Run(slow, func(t *testing.T) {
		ratio := slowPair(t, f, "Sluice", func(t *testing.T) string { return startSluice(t, f, routes()+judged).url })
		if limit := either(1.8, 1.3); ratio > limit {
			t.Errorf("p99 is %.2f times that of the nineteen alone, at most %.1f", ratio, limit)
		}
	})
	t.Run(said, func(t *testing.T) { rollingRestart(t, f) })
	t.Run(storms, func(t *testing.T) {
		got, offered := storm(t, f, "Sluice", startSluice(t, f, routes()+judged).url)
		// A fifth of the requests, and three a second whatever they are; what the budget has when it is asked first is that of a
		// second before, for five requests at most.
		if most := 1.2*float64(offered) + 3*(stormy().length.Seconds()+1) + 1; float64(got) > most {
			t.Errorf("%d requests became %d at the instances, at most %.0f may", offered, got, most)
		}
	})
	t.Run("reloads", func(t *testing.T) { reloads(t, f) })
}

// slowPair lets nineteen instances, and then the same and a slow one beside them, answer the same requests. It returns how
// much longer the p99 is.
func slowPair(t *testing.T, f *fleet, name string, begin func(t *testing.T) string) (ratio float64) {
	all, lame := f.all, f.all[size-1]
	defer func() { f.all = all }()
	p99 := map[string]time.Duration{}
	for _, row := range []string{alone, slow} {
		f.all = all
		if row == alone {
			f.all = f.without(lame) // for the peers' configurations, too
		}
		if err := f.register(f.all); err != nil {
			t.Fatal(err)
		}
		must[uint64](t)(f.control(t.Context(), lame, "mode=&slow=3"))
		o := slowHeavy().run(t, begin(t), nil)
		p99[row] = o.percentile(0.99)
		t.Logf("%s: %v; the slow one answered %.1f %%", row, o, 100*o.share(lame.address))
		measured.note(row, name, o)
	}
	f.reset(t)
	ratio = float64(p99[slow]) / float64(p99[alone])
	t.Logf("p99 is %.2f times that of the nineteen alone", ratio)
	return ratio
}

// rollingRestart takes each instance out of the registry, restarts it and puts it back: nobody may notice.
func rollingRestart(t *testing.T, f *fleet) {
	s := startSluice(t, f, routes()+judged)
	o := rolling().run(t, s.url, f.said(s))
	f.reset(t)
	t.Log(o)
	wantFailed(t, o, 0, either(2, 0)) // two busy cores may need longer for a pick than it takes to restart an instance
	wantFailed(t, o, 1, 0)
	measured.note(said, "Sluice", o)
}

// storm lets all instances fail. It returns how many requests they got, and how many clients sent.
func storm(t *testing.T, f *fleet, name, url string) (got, offered int) {
	for _, m := range f.all {
		must[uint64](t)(f.control(t.Context(), m, "mode=fail"))
	}
	before := f.received(t)
	o := stormy().run(t, url, nil)
	got, offered = int(f.received(t)-before), len(o.samples)
	f.reset(t)
	t.Logf("%d requests became %d at the instances: %.3f times", offered, got, float64(got)/float64(offered))
	if failed, _ := o.failed(0); failed != offered {
		t.Errorf("%d of %d failed", failed, offered)
	}
	measured.set(loads, storms, name, fmt.Sprintf("%.2f", float64(got)/float64(offered)))
	return got, offered
}

func stormy() traffic {
	tr := quick(either(2*time.Second, 10*time.Second))
	tr.paths = []string{"/retried"}
	return tr
}
