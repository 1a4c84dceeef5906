package eureka

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

func TestHash(t *testing.T) {
	for want, counts := range map[string]map[string]int{
		"":                        {"UP": 0},
		"DOWN_1_STARTING_2_UP_9_": {"UP": 9, "DOWN": 1, "STARTING": 2, "UNKNOWN": 0},
	} {
		if got := hashOf(counts); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestStoreByModel lets random changes go through the store and through a plain list of instances, and compares what each says
// of every name; whether they come as a delta or as everything.
func TestStoreByModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newStore()
	model := map[[2]string]*entry{} // application and id
	apps, vips, statuses := []string{"a", "b", "c"}, []string{"", "a", "v", "w"}, []string{"UP", "DOWN", "OUT_OF_SERVICE"}
	for step := range 1000 {
		changes := map[string]change{}
		for range 1 + r.IntN(4) {
			app, id := apps[r.IntN(len(apps))], fmt.Sprint(r.IntN(5))
			if changes[app] == nil {
				changes[app] = change{}
			}
			if r.IntN(3) == 0 {
				changes[app][id] = nil
				delete(model, [2]string{app, id})
				continue
			}
			w := &wire{
				app: app, id: id, ip: "10.0.0." + id, port: wirePort{80 + r.IntN(2), true}, securePort: wirePort{443, true},
				vip: vips[r.IntN(len(vips))], secureVIP: vips[r.IntN(len(vips))], status: statuses[r.IntN(len(statuses))],
			}
			e := Default().entry(w, newInterner())
			changes[app][id] = e
			model[[2]string{app, id}] = e
		}
		u := s.plan(changes)
		if step%5 == 0 {
			everything := map[string]change{}
			for key, e := range model {
				if everything[key[0]] == nil {
					everything[key[0]] = change{}
				}
				everything[key[0]][key[1]] = e
			}
			u = s.replace(everything)
		}
		before := map[string][]string{}
		for _, n := range []string{"a", "b", "c", "v", "w"} {
			before[n] = describe(s, n)
		}
		names, listed := s.names(u)
		had := slices.Sorted(maps.Keys(s.apps))
		s.apply(u)
		if changed := !slices.Equal(had, slices.Sorted(maps.Keys(s.apps))); changed != listed {
			t.Fatalf("step %d: the list changed: %v, said: %v", step, changed, listed)
		}
		counts := map[string]int{}
		for _, e := range model {
			counts[e.status]++
		}
		if hashOf(counts) != hashOf(s.counts) {
			t.Fatalf("step %d: %q, want %q", step, hashOf(s.counts), hashOf(counts))
		}
		for n, old := range before {
			var want []string
			for key, e := range model {
				switch {
				case key[0] == n || slices.Contains(e.names, n):
					want = append(want, key[0]+key[1]+fmt.Sprint(e.instance))
				case slices.Contains(e.secureNames, n):
					want = append(want, key[0]+key[1]+fmt.Sprint(e.asSecure()))
				}
			}
			slices.Sort(want)
			got := describe(s, n)
			if !slices.Equal(got, want) {
				t.Fatalf("step %d: %s is %q, want %q", step, n, got, want)
			}
			if _, told := names[n]; !told && !slices.Equal(got, old) {
				t.Fatalf("step %d: nobody is told that %s has changed", step, n)
			}
		}
	}
}

// describe is what find finds, with its applications.
func describe(s *store, name string) []string {
	var out []string
	for _, f := range s.find(name) {
		for key, a := range s.apps {
			if a != f.app {
				continue
			}
			for _, e := range a.entries {
				one := snapshot(registry.App(name), name, []found{{&app{entries: []*entry{e}}, f.own}})
				for _, i := range one.Instances {
					out = append(out, key+e.id+fmt.Sprint(i))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestSameAddress puts the instance that can be used before what is left of its last life.
func TestSameAddress(t *testing.T) {
	s := newScript(t)
	s.say(asJSON(appsOf("DOWN_1_UP_1_", appOf("A",
		instanceOf("A", "1-old", "10.0.0.1", 80, "DOWN", "ADDED"), instanceOf("A", "2-new", "10.0.0.1", 80, "UP", "ADDED")))), asJSON(appsOf("DOWN_1_UP_1_")))
	got := newRig(t, s.URL).watch("a").until("both", func(s registry.Snapshot) bool { return len(s.Instances) == 2 })
	if got.Instances[0].Unhealthy || !got.Instances[1].Unhealthy {
		t.Errorf("%+v", got.Instances)
	}
}

func TestInterner(t *testing.T) {
	in := newInterner()
	if a, b := in.text([]byte("UP")), in.text([]byte("UP")); a != "UP" || b != "UP" || len(in.texts) != 1 {
		t.Errorf("%q %q, %d kept", a, b, len(in.texts))
	}
	if got := in.text([]byte("a\xffb")); got != "a\uFFFDb" {
		t.Errorf("%q", got)
	}
	if long := strings.Repeat("x", internBelow+1); in.text([]byte(long)) != long || in.lower(strings.ToUpper(long)) != long || len(in.texts) != 2 {
		t.Errorf("%d kept", len(in.texts))
	}
	one, two := in.pairs([]string{"a", "b", "c", "d"}), in.pairs([]string{"a", "b", "c", "d"})
	if len(in.metadata) != 1 || !maps.Equal(one, two) || one["c"] != "d" || in.pairs(nil) != nil {
		t.Errorf("%v %v, %d kept", one, two, len(in.metadata))
	}
	if in.pairs([]string{"ab", ""})["ab"] != "" || len(in.pairs([]string{"a", "b"})) != 1 || len(in.metadata) != 3 {
		t.Errorf("%v", in.metadata)
	}
	if n := testing.AllocsPerRun(100, func() {
		in.text([]byte("UP"))
		in.pairs([]string{"a", "b"})
	}); n > 0 {
		t.Errorf("%v allocations for what is known", n)
	}
}
