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
	best, bestPrice := -1, 0.0
	r := p.pool.random()
	for k := range p.choices {
		i := int(bound(uint32(r>>32), n))
		for r = step(r); slices.Contains(seen[:k], i); r = step(r) {
			i = int(bound(uint32(r>>32), n))
		}
		seen[k] = i
		best, bestPrice = p.better(best, bestPrice, i, &c)
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
	best, bestPrice := -1, 0.0
	for k := 0; k < 4 && best < 0; k++ {
		best, bestPrice = p.better(best, bestPrice, int(bound(uint32(r>>32), n)), c)
		r = step(r)
	}
	if best < 0 {
		return p.fallback(c, r)
	}
	for i := range n {
		if i != best {
			best, bestPrice = p.better(best, bestPrice, i, c)
		}
	}
	return best
}

// pickWeighted draws two targets in proportion to their weights and keeps the first, unless the second is clearly
// cheaper: small differences, such as a memory of latency that fades between rare requests, must not blur the weights that
// an operator has set. Drawn more often is what a weight means when the service is idle; the queue relative to the weight
// is what it means under load.
func (p *cheapest) pickWeighted(c *Choice) int {
	a := p.table.draw(p.pool.random())
	best, bestPrice := p.better(-1, 0, a, c)
	best, _ = p.better(best, bestPrice*p.margin, p.table.draw(p.pool.random()), c)
	if best < 0 {
		return p.fallback(c, p.pool.random())
	}
	return best
}

// pickSlowly is Pick while there are new targets. One that is drawn takes part only as often as it is warm, and its queue
// counts for as much more: its place is small. If only such remain, the cheapest of them is taken all the same.
func (p *cheapest) pickSlowly(c *Choice) int {
	n, choices, margin := len(p.loads), min(p.choices, len(p.loads)), 1.0
	if p.table != nil {
		choices, margin = 2, p.margin
	}
	best, bestPrice, held, heldPrice := -1, 0.0, -1, 0.0
	for draws := 0; draws < mostDraws && choices > 0; draws++ {
		i := 0
		if r := p.pool.random(); p.table != nil {
			i = p.table.draw(r)
		} else {
			i = int(bound(uint32(r), n))
		}
		if p.pool.passes(p.loads[i], c) {
			continue
		}
		f := p.warm.factor(i, c.Now)
		price := p.price(p.loads[i], c.Now, p.shares[i]*f)
		if !p.pool.admits(f) {
			if held < 0 || price < heldPrice {
				held, heldPrice = i, price
			}
			continue
		}
		if choices--; best < 0 || price < bestPrice*margin {
			best, bestPrice = i, price
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

// better returns the cheaper one of best and i. Equal prices keep the earlier draw, which is random.
func (p *cheapest) better(best int, bestPrice float64, i int, c *Choice) (int, float64) {
	load := p.loads[i]
	if p.pool.passes(load, c) {
		return best, bestPrice
	}
	if price := p.price(load, c.Now, p.shares[i]); best < 0 || price < bestPrice {
		return i, price
	}
	return best, bestPrice
}

func (p *cheapest) price(l *Load, now int64, share float64) float64 {
	if p.by == byQueue {
		return float64(l.inflight.Load()) / share
	}
	return l.price(now, share)
}
