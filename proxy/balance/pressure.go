package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// steer is how often the pressure on the gateway's own zone is looked at, and keep how much of what was seen before
	// still counts then: after two seconds a third.
	steer = int64(100 * time.Millisecond)
	keep  = 0.95
	// evidence is how many answers it takes to say how a side does.
	evidence = 20
	// calm is how much longer than at their best answers may take before requests go to other zones to compare.
	calm = 1.5
	// From worse on, the own zone against the others, more of its requests go there, and from better on fewer; of all that
	// could go, this much at each look.
	worse, better = 1.3, 1.1
	rise, fall    = 0.02, 0.01
	// creep is how fast the best time is forgotten: it doubles in about ten minutes.
	creep = 1.0001
)

// pressure is by how much the gateway's own zone does worse than the others, and what is to be done about it. How many
// gateways there are in which zone is not known: where most requests come in, targets can have too much to do while those of
// other zones are idle. Answers tell: they then take less time there. Until the own zone's take longer than they use to,
// nothing is sent elsewhere only to compare.
type pressure struct {
	spill atomic.Uint64 // float64 bits: 0, the own zone first, to 1, all zones alike

	looked      int64
	here, there answers
	best        float64 // of here, in nanoseconds
}

func (p *pressure) value() float64 { return math.Float64frombits(p.spill.Load()) }

// look compares the members of the own zone with those of the others. Only one goroutine at a time may call it.
func (p *pressure) look(now int64, loads []*Load, own group, others []group) {
	if now-p.looked < steer && now >= p.looked {
		return
	}
	p.looked = now
	p.here.see(loads, own)
	p.there.see(loads, others...)
	if p.here.count < evidence {
		return
	}
	here, spill := p.here.mean(), p.value()
	if p.best = min(p.best*creep, here); p.best == 0 {
		p.best = here
	}
	switch known, strained := p.there.count >= evidence, here > calm*p.best; {
	case known && here > worse*p.there.mean():
		spill += rise * min(here/p.there.mean(), 5)
	case !known && strained:
		spill += fall
	case !known || here < better*p.there.mean():
		spill -= fall
	}
	p.spill.Store(math.Float64bits(min(max(spill, 0), 1)))
}

// answers are the latest ones of some targets, the older the less they count.
type answers struct {
	count, nanos float64
	// What the targets had counted when they were seen last.
	answered uint64
	total    int64
	seen     bool
}

func (a *answers) see(loads []*Load, groups ...group) {
	var answered uint64
	var total int64
	for g := range groups {
		for _, i := range groups[g].members {
			answered += loads[i].answered()
			total += loads[i].total.Load()
		}
	}
	if a.seen && answered >= a.answered {
		a.count = a.count*keep + float64(answered-a.answered)
		a.nanos = a.nanos*keep + float64(total-a.total)
	}
	a.answered, a.total, a.seen = answered, total, true
}

func (a *answers) mean() float64 { return a.nanos / a.count }
