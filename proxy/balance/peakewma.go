package balance

import "math/rand/v2"

// choices is how many targets a pick compares when all weigh the same. In simulation two already avoid the worst, five
// keep their tail when hosts are uneven and many gateways share them, and all of them herd.
const choices = 5

// peakEWMA compares a few random targets by latency times queue.
type peakEWMA struct {
	targets []Target
	pool    *Pool
	shares  []float64
	alias   *alias // nil when all weigh the same
}

func newPeakEWMA(targets []Target, pool *Pool) *peakEWMA {
	shares, uneven := weights(targets)
	p := &peakEWMA{targets: targets, pool: pool, shares: shares}
	if uneven {
		p.alias = newAlias(shares)
	}
	return p
}

func (p *peakEWMA) Pick(c Choice) int {
	n := len(p.targets)
	switch {
	case n == 0:
		return -1
	case n == 1:
		return 0
	case p.alias != nil:
		return p.pickWeighted(c)
	}
	best, bestPrice := -1, 0.0
	r := rand.Uint64()
	first := int(bound(uint32(r), n))
	if n <= choices {
		for k := range n {
			best, bestPrice = p.better(best, bestPrice, (first+k)%n, c)
		}
	} else {
		// A random walk over the list: each step lands on another target, and any five are as likely as any other
		// five neighbours by random strides. Strides come from fresh bits, so that no pair of targets is tied together.
		i := first
		stride := uint32(r >> 32)
		for range choices {
			best, bestPrice = p.better(best, bestPrice, i, c)
			i += 1 + int(bound(stride, (n-1)/choices))
			stride *= 0x9e3779b1
			if i >= n {
				i -= n
			}
		}
	}
	if best < 0 {
		return fallback(p.targets, p.pool, c.Tried, first)
	}
	return best
}

// pickWeighted draws two targets in proportion to their weights and keeps the first, unless the second is clearly
// cheaper: small differences, such as a memory of latency that fades between rare requests, must not blur the weights that
// an operator has set. Drawn more often is what a weight means when the service is idle; the queue relative to the weight
// is what it means under load.
func (p *peakEWMA) pickWeighted(c Choice) int {
	a := p.alias.draw(rand.Uint64())
	best, bestPrice := p.better(-1, 0, a, c)
	best, _ = p.better(best, bestPrice/2, p.alias.draw(rand.Uint64()), c)
	if best < 0 {
		return fallback(p.targets, p.pool, c.Tried, a)
	}
	return best
}

// better returns the cheaper one of best and i. Equal prices keep the earlier draw, which is random.
func (p *peakEWMA) better(best int, bestPrice float64, i int, c Choice) (int, float64) {
	load := p.targets[i].Load
	if p.pool.passes(load, c.Tried) {
		return best, bestPrice
	}
	if price := load.price(c.Now, p.shares[i]); best < 0 || price < bestPrice {
		return i, price
	}
	return best, bestPrice
}

// bound maps a random r to [0, n) without division (Lemire, "Fast random integer generation in an interval", 2019; the
// bias of at most n/2^32 does not matter here).
func bound(r uint32, n int) uint32 { return uint32(uint64(r) * uint64(n) >> 32) }
