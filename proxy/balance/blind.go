package balance

import "sync/atomic"

// patience is how many times a blind policy goes on to its next target when one is to be avoided, before it looks through
// the whole list. Going on spreads what the avoided ones do not get over all others; their neighbours alone would break
// under it.
const patience = 8

// turn counts picks.
type turn = atomic.Uint64

// sequence names targets one after the other, whatever their state.
type sequence interface {
	next(now int64) int
	// share is target i's part of the turns, over the average.
	share(i int, now int64) float64
}

// blind follows a sequence: its choice does not depend on what the targets show of themselves, but for their flags.
type blind struct {
	set
	sequence sequence
}

func (b *blind) Pick(c Choice) int {
	n := len(b.loads)
	if n <= 1 {
		return n - 1
	}
	slow, held := b.warm.slows(c.Now), -1
	for range patience {
		i := b.sequence.next(c.Now)
		if b.pool.passes(b.loads[i], &c) {
			continue
		}
		if slow && !b.pool.admits(b.warm.factor(i, c.Now)) {
			held = i
			continue
		}
		return i
	}
	if held >= 0 {
		return held
	}
	return b.fallback(&c, b.pool.random())
}

// draws is the sequence of random draws by weight.
type draws struct {
	n      int
	shares []float64
	table  *alias // nil when all weigh the same
	pool   *Pool
}

func newRandom(s set) *blind {
	return &blind{s, &draws{len(s.loads), s.shares, s.alias(), s.pool}}
}

func (d *draws) next(int64) int {
	r := d.pool.random()
	if d.table != nil {
		return d.table.draw(r)
	}
	return int(bound(uint32(r), d.n))
}

func (d *draws) share(i int, _ int64) float64 { return d.shares[i] }
