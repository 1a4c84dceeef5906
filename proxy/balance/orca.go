package balance

import (
	"slices"
	"sync/atomic"
)

// turns is the sequence of the weighted round robin over weights that change: orca's, by what targets report of their load.
// A turn's number times the golden ratio falls evenly over a table drawn by weight, and each target's turns keep their
// distance, however the weights are; so the table can be replaced without a schedule to be worked out.
type turns struct {
	loads  []*Load
	shares []float64
	turn   *turn
	offset uint64

	weighed atomic.Int64
	table   atomic.Pointer[alias]
}

func newOrca(s set, at *turn) *blind {
	return &blind{s, &turns{loads: s.loads, shares: s.shares, turn: at, offset: s.pool.offset()}}
}

func (t *turns) next(now int64) int {
	table := t.table.Load()
	if at := t.weighed.Load(); (table == nil || now-at >= reweigh) && t.weighed.CompareAndSwap(at, max(now, at+1)) || table == nil {
		table = newAlias(t.weights(now))
		t.table.Store(table)
	}
	return table.spread(t.turn.Add(1)*golden + t.offset)
}

// weights are the targets' own by the registry times what they report, with an average of 1. One that has not reported
// counts for the middle of the others, and one that is far from the middle for no more than can be true: so one wrong report
// does no harm to those that are right. With fewer than two reports there is nothing to compare.
func (t *turns) weights(now int64) []float64 {
	all, known := make([]float64, len(t.loads)), make([]float64, 0, len(t.loads))
	for i, l := range t.loads {
		if w, counts := l.Reported(now); counts {
			all[i] = w
			known = append(known, w)
		}
	}
	if len(known) < 2 {
		return t.shares
	}
	slices.Sort(known)
	middle := (known[(len(known)-1)/2] + known[len(known)/2]) / 2
	total := 0.0
	for i, w := range all {
		if w == 0 {
			w = middle
		}
		all[i] = min(max(w, middle*leastRatio), middle*mostRatio) * t.shares[i]
		total += all[i]
	}
	for i := range all {
		all[i] *= float64(len(all)) / total
	}
	return all
}

func (t *turns) share(i int, now int64) float64 { return t.weights(now)[i] }
