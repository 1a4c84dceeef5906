package balance

import (
	"math"
	"slices"
)

// maxTurns bounds the schedule of a weighted round robin.
const maxTurns = 1 << 14

// rounds is the sequence of the weighted round robin: a schedule in which each target stands as often as it weighs, spread as
// evenly as possible.
type rounds struct {
	n        uint64
	shares   []float64
	schedule []int32 // nil when all weigh the same: the schedule is the list itself
	turn     *turn
}

func newRoundRobin(s set, at *turn) *blind {
	r := &rounds{n: uint64(len(s.loads)), shares: s.shares, turn: at}
	if s.uneven {
		r.schedule = smooth(s.shares)
	}
	return &blind{s, r}
}

func (r *rounds) next(int64) int {
	at := r.turn.Add(1) - 1
	if r.schedule != nil {
		return int(r.schedule[at%uint64(len(r.schedule))])
	}
	return int(at % r.n)
}

func (r *rounds) share(i int, _ int64) float64 { return r.shares[i] }

// smooth lays out one round by nginx's smooth weighted round robin: in each turn everybody gains its weight, the richest
// is chosen and pays the total. Weights are rounded to a common grid so that a round stays short.
func smooth(shares []float64) []int32 {
	counts := grid(shares)
	total := 0
	for _, c := range counts {
		total += c
	}
	current := make([]int, len(counts))
	schedule := make([]int32, 0, total)
	for range total {
		best := 0
		for i, c := range counts {
			current[i] += c
			if current[i] > current[best] {
				best = i
			}
		}
		current[best] -= total
		schedule = append(schedule, int32(best))
	}
	return schedule
}

// grid turns shares into whole numbers with the same ratios, as exactly as maxTurns allows; nobody gets zero.
func grid(shares []float64) []int {
	least := slices.Min(shares)
	// The smallest factor, up to 100, that makes every ratio whole; 100 keeps two digits of odd ones.
	factor := 1.0
	for ; factor < 100; factor++ {
		if !slices.ContainsFunc(shares, func(s float64) bool {
			q := s / least * factor
			return math.Abs(q-math.Round(q)) > 1e-6*q
		}) {
			break
		}
	}
	// Sorting out the schedule costs turns times targets, so long lists get a coarser grid.
	limit := float64(max(2*len(shares), min(maxTurns, 1<<22/len(shares))))
	var total float64
	for _, s := range shares {
		total += s / least * factor
	}
	if total > limit {
		factor *= limit / total
	}
	counts := make([]int, len(shares))
	for i, s := range shares {
		counts[i] = max(1, int(math.Round(s/least*factor)))
	}
	return counts
}
