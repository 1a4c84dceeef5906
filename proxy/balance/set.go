package balance

import "math"

// Weights are taken within these bounds, so that no arithmetic on them can fail.
const (
	leastWeight = 1e-6
	mostWeight  = 1e9
)

// set is what every policy needs of its targets, as compactly as picks like it.
type set struct {
	loads  []*Load
	shares []float64 // weight over the average weight
	uneven bool      // they are not all 1
	pool   *Pool
	warm   *warmup // nil when nobody was new
}

func newSet(cfg *Config, targets []Target, pool *Pool) set {
	s := set{loads: make([]*Load, len(targets)), pool: pool, warm: newWarmup(cfg, targets)}
	for i := range targets {
		s.loads[i] = targets[i].Load
	}
	s.shares, s.uneven = weights(targets)
	return s
}

// weights returns each target's share of the average weight, and whether they differ at all.
func weights(targets []Target) (shares []float64, uneven bool) {
	var sum float64
	shares = make([]float64, len(targets))
	for i := range targets {
		shares[i] = weightOf(&targets[i])
		sum += shares[i]
		uneven = uneven || shares[i] != shares[0]
	}
	for i := range shares {
		if uneven {
			shares[i] *= float64(len(targets)) / sum
		} else {
			shares[i] = 1
		}
	}
	return shares, uneven
}

func weightOf(t *Target) float64 {
	if math.IsNaN(t.Weight) {
		return leastWeight
	}
	return min(max(t.Weight, leastWeight), mostWeight)
}

// alias is the table for draws by weight, or nil when all weigh the same.
func (s *set) alias() *alias {
	if !s.uneven {
		return nil
	}
	return newAlias(s.shares)
}

// fallback is the slow path, when the policy's own choices are all to be avoided or tried: one of the targets that are
// neither, by weight, else of those that were not tried, else any. r is random, or a hash that shall come to the same target
// again.
func (s *set) fallback(c *Choice, r uint64) int {
	if len(s.loads) == 0 {
		return -1
	}
	for _, accepts := range []func(*Load) bool{
		func(l *Load) bool { return !s.pool.passes(l, c) },
		func(l *Load) bool { return !c.tried(l) },
	} {
		var sum float64
		for i, l := range s.loads {
			if accepts(l) {
				sum += s.shares[i]
			}
		}
		point, last := float64(r>>11)/(1<<53)*sum, -1
		for i, l := range s.loads {
			if !accepts(l) {
				continue
			}
			last = i
			if point -= s.shares[i]; point < 0 {
				break
			}
		}
		if last >= 0 {
			return last
		}
	}
	return int(bound(uint32(r>>32), len(s.loads)))
}

// bound maps a random r to [0, n) without division (Lemire, "Fast random integer generation in an interval", 2019; the
// bias of at most n/2^32 does not matter here).
func bound(r uint32, n int) uint32 { return uint32(uint64(r) * uint64(n) >> 32) }
