package discovery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// model is what the policy promises, without how: everything that was ever usable in a service, by when the registry
// said so last.
type model struct {
	listed  map[string]bool      // usable by the newest push
	dropped map[string]time.Time // when the registry dropped it
	put     map[string]bool      // out of service on purpose, by the newest push
	pushes  int
}

// Random pushes, collapses, reconnects, reloads, policies and probes: what subscribers hear is what the registry said
// last, and what it dropped is used no longer than Hold allows.
func TestPolicyAgainstAModel(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playAgainstModel(t, rand.New(rand.NewPCG(uint64(seed), 7))) })
		})
	}
}

func playAgainstModel(t *testing.T, r *rand.Rand) {
	names := []string{"s0", "s1", "s2", "s3"}
	s := newStage(t, names...)
	models := map[string]*model{}
	for _, n := range names {
		models[n] = &model{listed: map[string]bool{}, dropped: map[string]time.Time{}, put: map[string]bool{}}
	}
	rev := 1
	for range 150 {
		switch r.IntN(12) {
		case 0: // everything at once
			for _, name := range names {
				pushRandom(s, r, name, models[name], 0)
			}
		case 1:
			reg := s.world.named("a")
			reg.opts.Report(registry.Stale, errors.New("lost"))
			time.Sleep(time.Duration(r.IntN(30)) * time.Second)
			reg.opts.Report(registry.Live, nil)
		case 2:
			rev++
			apply(t, s.c, map[string]registry.Config{"a": s.world.config(rev)})
			synctest.Wait()
		case 3:
			address := fmt.Sprintf("10.0.0.%d:80", r.IntN(12))
			s.net.set(s.net.refuse, address, r.IntN(2) == 0)
			s.net.set(s.net.silence, address, r.IntN(2) == 0)
		case 4:
			time.Sleep(time.Duration(r.IntN(70)) * time.Second)
		default:
			name := names[r.IntN(len(names))]
			pushRandom(s, r, name, models[name], r.IntN(13))
		}
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		synctest.Wait()
		for _, name := range names {
			checkModel(t, s, name, models[name])
		}
	}
	time.Sleep(DefaultPolicy().Hold + time.Second)
	synctest.Wait()
	for _, name := range names {
		checkModel(t, s, name, models[name])
	}
	total := 0
	for _, m := range models {
		total += len(m.listed)
	}
	g := s.c.guards["a"]
	if n := s.counts(); n.Held != 0 || g.held != 0 || g.total != total {
		t.Errorf("in the end %d are held, by the guard's books %d, and %d usable of %d", n.Held, g.held, g.total, total)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	if n := len(s.c.prober.targets); n != 0 {
		t.Errorf("%d addresses are still probed", n)
	}
}

// pushRandom tells a random state of at most most instances.
func pushRandom(s *stage, r *rand.Rand, name string, m *model, most int) {
	var list []registry.Instance
	listed, put := map[string]bool{}, map[string]bool{}
	for _, n := range r.Perm(12)[:min(most, 12)] {
		i := at(fmt.Sprintf("10.0.0.%d", n), 80)
		switch r.IntN(8) {
		case 0:
			i.Disabled = true
			put[i.Address()] = true
		case 1:
			i.Unhealthy = true
		default:
			listed[i.Address()] = true
		}
		list = append(list, i)
	}
	for a := range m.listed {
		if !listed[a] {
			m.dropped[a] = time.Now()
		}
	}
	m.listed, m.put = listed, put
	m.pushes++
	s.push(name, list...)
}

func checkModel(t *testing.T, s *stage, name string, m *model) {
	t.Helper()
	if m.pushes == 0 {
		return
	}
	e, _ := s.c.services.feeds[key("a", name)].newest()
	ordinary, held := map[string]bool{}, 0
	for _, u := range e.Usable {
		if u.Held == nil {
			ordinary[u.ID] = true
			continue
		}
		held++
		gone, ever := m.dropped[u.ID]
		if !ever || m.listed[u.ID] || m.put[u.ID] {
			t.Fatalf("%s: %s is held for no reason", name, u.ID)
		}
		if age := time.Since(gone); age >= DefaultPolicy().Hold {
			t.Fatalf("%s: %s is usable %v after the registry has dropped it", name, u.ID, age)
		}
	}
	if len(ordinary) != len(m.listed) || held != e.Held {
		t.Fatalf("%s: usable %s, the registry says %v", name, ids(e), m.listed)
	}
	for a := range m.listed {
		if !ordinary[a] {
			t.Fatalf("%s: %s is listed and not used", name, a)
		}
	}
	if !slices.IsSortedFunc(e.Usable, func(a, b Endpoint) int { return compare(&a, &b) }) {
		t.Fatalf("%s: %s is not in order", name, ids(e))
	}
	for _, x := range e.Excluded {
		for _, u := range e.Usable {
			if u.ID == x.ID {
				t.Fatalf("%s: %s is used and excluded", name, u.ID)
			}
		}
	}
}

// What subscribers hear in the end is what is there, whatever came in between: no update is lost.
func TestNoUpdateIsLost(t *testing.T) {
	for seed := range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			s := newStage(t, "s0", "s1", "s2")
			for range 300 {
				name := fmt.Sprint("s", r.IntN(3))
				s.push(name, hosts(1, r.IntN(12))...)
				if r.IntN(5) == 0 {
					time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond)
				}
			}
			settle()
			for name, h := range s.heard {
				e, _ := s.c.services.feeds[key("a", name)].newest()
				if got, want := h.ids(), ids(e); got != want {
					t.Errorf("seed %d: the subscriber of %s believes %s, it is %s", seed, name, got, want)
				}
			}
		})
	}
}
