package balance

import "slices"

// measure says what makes a target expensive.
type measure bool

const (
	// byLatency is peakEWMA's: recent latency times the queue.
	byLatency measure = false
	// byQueue is leastRequest's: requests in flight for its weight.
	byQueue measure = true
)

// Of how many targets the cheapest is picked when all weigh the same. In simulation two already avoid the worst, five
// keep the tail when hosts are uneven and many gateways share them, and all of them herd. Queues alone say less than
// latency, and full scans by them attract everybody to a host that fails fast: two, as everywhere.
const (
	latencyChoices = 5
	queueChoices   = 2
)

// mostDraws bounds the search for targets that may take part while there are new ones.
const mostDraws = 16

// cheapest compares a few random targets by their price.
type cheapest struct {
	set
	by      measure
	choices int
	table   *alias // nil when all weigh the same
	margin  float64
}

func newCheapest(s set, by measure) *cheapest {
	p := &cheapest{set: s, by: by, choices: latencyChoices, margin: 0.5, table: s.alias()}
	if by == byQueue {
		p.choices, p.margin = queueChoices, 1
	}
	return p
}

func (p *cheapest) Pick(c Choice) int {
	n := len(p.loads)
	switch {
	case n <= 1:
		return n - 1
	case p.warm.slows(c.Now):
		return p.pickSlowly(&c)
	case p.table != nil:
		return p.pickWeighted(&c)
	}
	if n <= p.choices {
		return p.pickAny(&c)
	}
	var seen [latencyChoices]int
	best, least := -1, price{}
	r, ignored := p.pool.random(), p.pool.ignored.Load()
	for k := range p.choices {
		i := int(bound(uint32(r>>32), n))
		for r = step(r); slices.Contains(seen[:k], i); r = step(r) {
			i = int(bound(uint32(r>>32), n))
		}
		seen[k] = i
		// What offer does, written out: five calls fewer are a sixth of a pick.
		load := p.loads[i]
		if load.flags.Load()&^ignored != 0 || (len(c.Tried) > 0 && c.tried(load)) {
			continue
		}
		var offer price
		if p.by == byQueue {
			offer = load.byQueue(1)
		} else {
			offer = load.byLatency(c.Now, 1)
		}
		if best < 0 || offer.below(least) {
			best, least = i, offer
		}
	}
	if best < 0 {
		return p.fallback(&c, step(r))
	}
	return best
}

// step makes more numbers of a random one; that is cheaper than to ask for more (Steele and Vigna, "Computationally easy,
// spectrally good multipliers for congruential pseudorandom number generators", 2021). The upper bits are the better ones.
func step(r uint64) uint64 { return r*0xd1342543de82ef95 + 1 }

// pickAny compares all targets. Among equals it keeps the first one it sees, so that one must be any of those that may be
// picked: the neighbour of one that may not would get the requests of both.
func (p *cheapest) pickAny(c *Choice) int {
	n, r := len(p.loads), p.pool.random()
	best, least, ok := -1, price{}, false
	for k := 0; k < 4 && !ok; k++ {
		best = int(bound(uint32(r>>32), n))
		least, ok = p.offer(best, c)
		r = step(r)
	}
	if !ok {
		return p.fallback(c, r)
	}
	for i := range n {
		if i == best {
			continue
		}
		if offer, ok := p.offer(i, c); ok && offer.below(least) {
			best, least = i, offer
		}
	}
	return best
}

// pickWeighted draws two targets in proportion to their weights and keeps the first, unless the second is clearly
// cheaper: small differences, such as a memory of latency that fades between rare requests, must not blur the weights that
// an operator has set. Drawn more often is what a weight means when the service is idle; the queue relative to the weight
// is what it means under load.
func (p *cheapest) pickWeighted(c *Choice) int {
	a, b := p.table.draw(p.pool.random()), p.table.draw(p.pool.random())
	first, ok := p.offer(a, c)
	second, other := p.offer(b, c)
	first.over *= p.margin
	switch {
	case ok && !(other && second.below(first)):
		return a
	case other:
		return b
	}
	return p.fallback(c, p.pool.random())
}

// pickSlowly is Pick while there are new targets. One that is drawn takes part only as often as it is warm, and its queue
// counts for as much more: its place is small. If only such remain, the cheapest of them is taken all the same.
func (p *cheapest) pickSlowly(c *Choice) int {
	n, choices, margin := len(p.loads), min(p.choices, len(p.loads)), 1.0
	if p.table != nil {
		choices, margin = 2, p.margin
	}
	best, held := -1, -1
	var least, heldFor price
	for draws := 0; draws < mostDraws && choices > 0; draws++ {
		i := 0
		if r := p.pool.random(); p.table != nil {
			i = p.table.draw(r)
		} else {
			i = int(bound(uint32(r>>32), n))
		}
		if p.pool.passes(p.loads[i], c) {
			continue
		}
		f := p.warm.factor(i, c.Now)
		offer := p.price(p.loads[i], c.Now, p.shares[i]*f)
		if !p.pool.admits(f) {
			if held < 0 || offer.below(heldFor) {
				held, heldFor = i, offer
			}
			continue
		}
		choices--
		if best < 0 || offer.below(price{least.over * margin, least.under}) {
			best, least = i, offer
		}
	}
	if best < 0 {
		best = held
	}
	if best < 0 {
		return p.fallback(c, p.pool.random())
	}
	return best
}

// offer is target i's price, and whether it may be picked.
func (p *cheapest) offer(i int, c *Choice) (price, bool) {
	load := p.loads[i]
	if p.pool.passes(load, c) {
		return price{}, false
	}
	return p.price(load, c.Now, p.shares[i]), true
}

func (p *cheapest) price(l *Load, now int64, share float64) price {
	if p.by == byQueue {
		return l.byQueue(share)
	}
	return l.byLatency(now, share)
}
