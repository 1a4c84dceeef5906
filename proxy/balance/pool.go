package balance

import (
	"math/rand/v2"
	"sync/atomic"
)

// Pool is what the pickers of one service share, and what outlives them. The zero value is ready.
type Pool struct {
	turn    atomic.Uint64 // the round robin's place
	ignored atomic.Uint32
	phase   atomic.Uint64 // where this gateway's weighted turns begin; 0: not drawn yet
	spill   atomic.Uint64 // float64 bits: what the last picker with zones had found out about its own zone

	source *rand.PCG // instead of the runtime's generator, for a simulation that can be repeated
}

// random is 64 random bits.
func (p *Pool) random() uint64 {
	if p.source != nil {
		return p.source.Uint64()
	}
	return rand.Uint64()
}

// offset is a random number that stays the same for the pool: gateways that start together must not go round in step.
func (p *Pool) offset() uint64 {
	if at := p.phase.Load(); at != 0 {
		return at
	}
	p.phase.CompareAndSwap(0, p.random()|1)
	return p.phase.Load()
}

// Ignore makes picks take no notice of these flags, as when most instances have one of them and the flags are to be
// doubted. It replaces what was ignored before.
func (p *Pool) Ignore(flags Flags) { p.ignored.Store(uint32(flags)) }

// Ignored is what Ignore or Update has set.
func (p *Pool) Ignored() Flags { return Flags(p.ignored.Load()) }

// avoids reports whether a target is to be picked only when nothing else is left.
func (p *Pool) avoids(l *Load) bool { return l.flags.Load()&^p.ignored.Load() != 0 }

// passes reports whether a request goes by a target: it is to be avoided, or the request has been there.
func (p *Pool) passes(l *Load, c *Choice) bool {
	return p.avoids(l) || (len(c.Tried) > 0 && c.tried(l))
}

// Update decides whether the service is in panic: more than the share threshold (0 to 1, such as 0.5) of its targets is
// Unhealthy or Ejected, and targets of other priorities cannot make up for them. Then these two flags are ignored, because
// a service whose last instances get everybody's requests loses them too, and because so many opinions at once are more
// likely wrong than right. It is for whoever changes the flags of a service's instances, after the change, with all its
// targets; it costs a few nanoseconds a target and allocates nothing. A threshold of 1 or more never panics.
func (p *Pool) Update(targets []Target, threshold float64) (panics bool) {
	bad, spare := 0, 0.0
	for i := range targets {
		if targets[i].Load.Flags()&doubtful != 0 {
			bad++
		}
	}
	panics = float64(bad) > threshold*float64(len(targets))
	if panics {
		var totals, sound [maxLevels]float64
		levels := levelsOf(targets)
		for i := range targets {
			n := levels.of(targets[i].Priority)
			totals[n]++
			if targets[i].Load.Flags()&doubtful == 0 {
				sound[n]++
			}
		}
		for n, total := range totals {
			if total > 0 && total < float64(len(targets)) {
				spare += min(1, overprovision*sound[n]/total)
			}
		}
		panics = spare < 1
	}
	if panics {
		p.ignored.Or(uint32(doubtful))
	} else {
		p.ignored.And(^uint32(doubtful))
	}
	return panics
}
