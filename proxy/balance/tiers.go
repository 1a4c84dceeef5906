package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// overprovision is how much more than its part a level can carry: it keeps all of its requests until less than 1/1.4 of
	// it is available (Envoy's overprovisioning factor).
	overprovision = 1.4
	// zoneMinimum is the default of Config.ZoneMinimum.
	zoneMinimum = 6
	// reshare is how often the groups' parts are worked out again.
	reshare = int64(20 * time.Millisecond)
)

// tiers divides requests among groups of targets, by what each can carry, and leaves the choice within a group to the policy.
type tiers struct {
	set
	cfg      Config
	groups   []group
	pickers  []Picker
	cuts     []atomic.Uint32
	shared   atomic.Int64 // when the cuts were worked out
	sharing  atomic.Bool  // somebody works them out
	pressure pressure
}

func newTiers(cfg *Config, targets []Target, groups []group, pool *Pool) *tiers {
	t := &tiers{
		set: newSet(cfg, targets, pool), cfg: *cfg, groups: groups, cuts: make([]atomic.Uint32, len(groups)),
		pickers: make([]Picker, len(groups)),
	}
	for g := range groups {
		members := make([]Target, len(groups[g].members))
		for k, i := range groups[g].members {
			members[k] = targets[i]
		}
		// Groups that went by the same turns would each see every second one, or worse.
		at := &pool.turn
		if g > 0 {
			at = new(turn)
		}
		t.pickers[g] = newPolicy(cfg, members, pool, at)
	}
	t.pressure.spill.Store(pool.spill.Load())
	return t
}

func (t *tiers) Pick(c Choice) int {
	g := t.pick(&c)
	i := int(t.groups[g].members[t.pickers[g].Pick(c)])
	if t.pool.passes(t.loads[i], &c) {
		return t.elsewhere(&c, g, i)
	}
	return i
}

// pick chooses the group: at random or, so that a key stays where it is, by the key.
func (t *tiers) pick(c *Choice) int {
	if at := t.shared.Load(); (c.Now-at >= reshare || c.Now < at || at == 0) && t.shared.CompareAndSwap(at, max(c.Now, 1)) {
		t.share(c.Now)
	}
	var r uint32
	if c.Keyed {
		r = uint32(mix(c.Key+golden) >> 32)
	} else {
		r = uint32(t.pool.random() >> 32)
	}
	g := 0
	for g < len(t.cuts)-1 && r >= t.cuts[g].Load() {
		g++
	}
	return g
}

// elsewhere is for a request whose group has only worst to offer: it goes to the first group that has better.
func (t *tiers) elsewhere(c *Choice, not, worst int) int {
	for g := range t.groups {
		if g == not {
			continue
		}
		i := int(t.groups[g].members[t.pickers[g].Pick(*c)])
		if !t.pool.passes(t.loads[i], c) {
			return i
		}
	}
	if !c.tried(t.loads[worst]) {
		return worst
	}
	return t.fallback(c, t.pool.random())
}

// capacity is what a group's targets weigh, and how many and how heavy those are that nothing speaks against.
type capacity struct {
	total, available float64
	count            int
}

// share works out the cuts: a random number below cut g, and not below the cut before it, is for group g.
func (t *tiers) share(now int64) {
	if !t.sharing.CompareAndSwap(false, true) {
		return
	}
	defer t.sharing.Store(false)
	if t.groups[0].local {
		alike := 1
		for alike < len(t.groups) && t.groups[alike].level == t.groups[0].level {
			alike++
		}
		t.pressure.look(now, t.loads, t.groups[0], t.groups[1:alike])
		t.pool.spill.Store(t.pressure.spill.Load())
	}
	var parts [maxLevels * maxZones]float64
	t.parts(parts[:len(t.groups)])
	sum := 0.0
	for g := range t.cuts {
		sum += parts[g]
		t.cuts[g].Store(uint32(min(sum, 1) * math.MaxUint32))
	}
}

// parts fills in each group's part of the requests.
func (t *tiers) parts(parts []float64) {
	var groups [maxLevels * maxZones]capacity
	var whole [maxLevels]capacity
	for g := range t.groups {
		for _, i := range t.groups[g].members {
			w := t.shares[i]
			groups[g].total += w
			// Flags that are ignored in panic speak against a level all the same: another one may be in a better state.
			if t.loads[i].flags.Load() == 0 {
				groups[g].available += w
				groups[g].count++
			}
		}
		level := &whole[t.groups[g].level]
		level.total += groups[g].total
		level.available += groups[g].available
		level.count += groups[g].count
	}
	levels := byLevel(&whole)
	for from := 0; from < len(t.groups); {
		level := t.groups[from].level
		to := from + 1
		for to < len(t.groups) && t.groups[to].level == level {
			to++
		}
		t.zones(groups[from:to], parts[from:to], whole[level], t.groups[from].local)
		for g := from; g < to; g++ {
			parts[g] *= levels[level]
		}
		from = to
	}
}

// byLevel is what each level gets: the first as much as it can carry, then the next, and in proportion to what they can
// carry when all together are too few.
func byLevel(whole *[maxLevels]capacity) (parts [maxLevels]float64) {
	sum := 0.0
	for n := range whole {
		if whole[n].total > 0 {
			parts[n] = min(1, overprovision*whole[n].available/whole[n].total)
		}
		sum += parts[n]
	}
	if sum == 0 {
		parts[0] = 1
		return parts
	}
	if sum < 1 {
		for n := range parts {
			parts[n] /= sum
		}
		return parts
	}
	rest := 1.0
	for n := range parts {
		parts[n] = min(parts[n], rest)
		rest -= parts[n]
	}
	return parts
}

// zones divides a level's requests among its zones, of which the first is the gateway's own if local is true. That one gets
// all of them, unless its part of the service is smaller than its part of the service's requests: then what is too much for
// it goes to the zones that have more than they need. When it is under strain all the same, it gets less, down to what
// would be its part if there were no zones.
func (t *tiers) zones(groups []capacity, parts []float64, whole capacity, local bool) {
	panics := t.pool.Ignored()&doubtful != 0
	for g := range groups {
		if whole.available == 0 || panics {
			parts[g] = groups[g].total / whole.total
		} else {
			parts[g] = groups[g].available / whole.available
		}
	}
	least := t.cfg.ZoneMinimum
	if least == 0 {
		least = zoneMinimum
	}
	if !local || len(groups) == 1 || whole.count < least || whole.available == 0 || panics {
		return
	}
	traffic := t.cfg.ZoneTraffic
	if traffic == 0 {
		traffic = 1 / float64(len(groups))
	}
	// What the others can do beyond what comes in there.
	need, spare := (1-traffic)/float64(len(groups)-1), 0.0
	for _, part := range parts[1:] {
		spare += max(0, part-need)
	}
	alike, own := parts[0], min(1, parts[0]/traffic)
	if spare == 0 {
		own = 1
	}
	spill := t.pressure.value() * (own - alike)
	for g, part := range parts[1:] {
		parts[g+1] = 0
		if spare > 0 {
			parts[g+1] = (1 - own) * max(0, part-need) / spare
		}
		if alike < 1 {
			parts[g+1] += spill * part / (1 - alike)
		}
	}
	parts[0] = own - spill
}
