package eureka

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// app is an application. It never changes once made: a change makes a new one.
type app struct {
	entries []*entry // by id
	aliases []string // every virtual name of its instances
}

// store is what a server said last: everything, in whole answers.
type store struct {
	apps    map[string]*app                // by name in lower case
	aliases map[string]map[string]struct{} // virtual name to the applications that have it
	counts  map[string]int                 // instances by status
}

func newStore() *store {
	return &store{apps: map[string]*app{}, aliases: map[string]map[string]struct{}{}, counts: map[string]int{}}
}

// hashOf is Eureka's apps__hashcode: how many instances are in each status, in alphabetical order.
func hashOf(counts map[string]int) string {
	var b strings.Builder
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[status]; n > 0 {
			b.WriteString(status)
			b.WriteByte('_')
			b.WriteString(strconv.Itoa(n))
			b.WriteByte('_')
		}
	}
	return b.String()
}

// change is what became of one application's instances: by id, nil for one that is gone.
type change map[string]*entry

// with is the application after a change; the same when nothing has changed, and nil when nothing is left. Entries that are
// equal are the old ones.
func (a *app) with(c change) *app {
	var old []*entry
	if a != nil {
		old = a.entries
	}
	same := true
	next := make([]*entry, 0, len(old)+len(c))
	for _, e := range old {
		changed, ok := c[e.id]
		switch {
		case !ok:
			next = append(next, e)
		case changed == nil:
			same = false
		case changed.equal(e):
			next = append(next, e)
		default:
			next, same = append(next, changed), false
		}
	}
	for id, e := range c {
		if e == nil {
			continue
		}
		if _, found := slices.BinarySearchFunc(old, id, byID); !found {
			next, same = append(next, e), false
		}
	}
	if same {
		return a
	}
	return newApp(next)
}

func byID(e *entry, id string) int { return cmp.Compare(e.id, id) }

// newApp takes the entries, which have different ids; nil for none.
func newApp(entries []*entry) *app {
	if len(entries) == 0 {
		return nil
	}
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
	a := &app{entries: slices.Clip(entries)}
	for _, e := range entries {
		for _, names := range [][]string{e.names, e.secureNames} {
			for _, n := range names {
				if at, found := slices.BinarySearch(a.aliases, n); !found {
					a.aliases = slices.Insert(a.aliases, at, n)
				}
			}
		}
	}
	return a
}

// update is what a delta does to the applications that it names: nil for one that is gone.
type update struct {
	apps   map[string]*app
	counts map[string]int
}

// plan works out a delta without applying it. Applications that stay as they are have no part in it.
func (s *store) plan(changes map[string]change) update {
	u := update{apps: map[string]*app{}, counts: maps.Clone(s.counts)}
	for key, c := range changes {
		old := s.apps[key]
		next := old.with(c)
		if next == old {
			continue
		}
		u.apps[key] = next
		count(u.counts, old, -1)
		count(u.counts, next, 1)
	}
	return u
}

// replace works out what a list of everything does.
func (s *store) replace(next map[string]change) update {
	u := update{apps: map[string]*app{}, counts: map[string]int{}}
	for key, c := range next {
		old := s.apps[key]
		if old != nil {
			for _, e := range old.entries {
				if _, ok := c[e.id]; !ok {
					c[e.id] = nil
				}
			}
		}
		a := old.with(c)
		count(u.counts, a, 1)
		if a != old {
			u.apps[key] = a
		}
	}
	for key := range s.apps {
		if _, ok := next[key]; !ok {
			u.apps[key] = nil
		}
	}
	return u
}

func count(counts map[string]int, a *app, sign int) {
	if a == nil {
		return
	}
	for _, e := range a.entries {
		counts[e.status] += sign
	}
}

// names is who must hear of an update, in lower case, and whether applications have come or gone.
func (s *store) names(u update) (names map[string]struct{}, listed bool) {
	names = map[string]struct{}{}
	for key, next := range u.apps {
		names[key] = struct{}{}
		old := s.apps[key]
		for _, a := range []*app{old, next} {
			if a == nil {
				listed = true
				continue
			}
			for _, alias := range a.aliases {
				names[alias] = struct{}{}
			}
		}
	}
	return names, listed
}

// apply makes an update the truth.
func (s *store) apply(u update) {
	s.counts = u.counts
	for key, next := range u.apps {
		if old := s.apps[key]; old != nil {
			for _, alias := range old.aliases {
				delete(s.aliases[alias], key)
				if len(s.aliases[alias]) == 0 {
					delete(s.aliases, alias)
				}
			}
		}
		if next == nil {
			delete(s.apps, key)
			continue
		}
		s.apps[key] = next
		for _, alias := range next.aliases {
			if s.aliases[alias] == nil {
				s.aliases[alias] = map[string]struct{}{}
			}
			s.aliases[alias][key] = struct{}{}
		}
	}
}

// found is an application that has a service's instances, or some of them.
type found struct {
	app *app
	own bool // it is the application of that name
}

// find is where the instances of a service are.
func (s *store) find(name string) []found {
	var all []found
	if a := s.apps[name]; a != nil {
		all = append(all, found{a, true})
	}
	for _, key := range slices.Sorted(maps.Keys(s.aliases[name])) {
		if key != name {
			all = append(all, found{s.apps[key], false})
		}
	}
	return all
}

// snapshot is the state of one service: the instances of the application of that name, and those that have it as a virtual
// name. Those that can be picked come first, so that what is left of an earlier life of the same address does not hide it.
func snapshot(service registry.ServiceName, name string, in []found) registry.Snapshot {
	out := registry.Snapshot{Service: service}
	for _, usable := range []bool{true, false} {
		for _, f := range in {
			for _, e := range f.app.entries {
				if e.usable() != usable {
					continue
				}
				switch {
				case !f.own && !slices.Contains(e.names, name) && !slices.Contains(e.secureNames, name):
				case e.problem != "":
					out.Skip(e.id, e.problem)
				case !f.own && !slices.Contains(e.names, name):
					out.Add(e.id, e.asSecure())
				default:
					out.Add(e.id, e.instance)
				}
			}
		}
	}
	return out
}
