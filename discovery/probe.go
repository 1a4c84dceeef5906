package discovery

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// probeEvery is how long after one probe of an address the next begins, give or take a quarter.
	probeEvery = time.Second
	// probeTimeout is how long an address may take to accept a connection.
	probeTimeout = time.Second
	// probesAtOnce bounds connections that are being made.
	probesAtOnce = 64
	// probePace is the least time per address between two rounds: many held addresses are probed less often, at most
	// 2,000 a second in all, which is some 10 % of a core.
	probePace = 500 * time.Microsecond
)

// prober finds out whether held instances still accept connections. An address is probed once for all services that
// hold an instance of it. One that refuses is let go at once, one that does not answer twice in a row as well.
type prober struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	clock  *clock
	ctx    context.Context //nolint:containedctx // the life of the prober: probes end with it
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	targets map[string]*target
	ready   []*target
	busy    int
	calls   uint64 // of watch
	closed  bool
}

// target is one address.
type target struct {
	address string
	holders map[*holder]uint64 // who holds an instance of it, and when in the order of calls it said so
	lost    []suspect          // who has believed that it is gone, and will hold it if it answers
	silent  int                // probes without an answer, in a row
}

type suspect struct {
	by       *holder
	endpoint Endpoint
}

func newProber(c *clock, dial func(ctx context.Context, network, address string) (net.Conn, error)) *prober {
	p := &prober{dial: dial, clock: c, targets: map[string]*target{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// watch probes an address for as long as h holds an instance of it.
func (p *prober) watch(h *holder, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	p.target(address).holders[h] = p.calls
}

// resurrect probes what was believed to be gone, and gives those that answer back to be held.
func (p *prober) resurrect(suspects []suspect) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range suspects {
		t := p.target(s.endpoint.ID)
		t.lost = append(t.lost, s)
	}
}

// target finds the address, or begins to probe it.
func (p *prober) target(address string) *target {
	t := p.targets[address]
	if t == nil {
		t = &target{address: address, holders: map[*holder]uint64{}}
		p.targets[address] = t
		p.clock.after(rand.N(p.round()), func() { p.due(t) })
	}
	return t
}

// round is the time in which all targets may be probed once.
func (p *prober) round() time.Duration { return time.Duration(len(p.targets))*probePace + 1 }

// due begins a probe now, or when another has ended.
func (p *prober) due(t *target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.busy >= probesAtOnce:
		p.ready = append(p.ready, t)
	default:
		p.busy++
		p.tasks.Go(func() { p.work(t) })
	}
}

// work probes t, and then whoever has had to wait.
func (p *prober) work(t *target) {
	for t != nil {
		if p.wanted(t) {
			p.settle(t, p.probe(t.address))
		}
		p.mu.Lock()
		t = nil
		if len(p.ready) > 0 && !p.closed {
			t, p.ready = p.ready[0], p.ready[1:]
		} else {
			p.busy--
		}
		p.mu.Unlock()
	}
}

// wanted asks those who held an instance of t whether they still do, and forgets t if nobody does.
func (p *prober) wanted(t *target) bool {
	p.mu.Lock()
	asked, wanted := maps.Clone(t.holders), len(t.lost) > 0
	p.mu.Unlock()
	for h := range asked {
		if h.holds(t.address) {
			delete(asked, h)
			wanted = true
		}
	}
	if !wanted {
		p.again(t, asked)
	}
	return wanted
}

type verdict uint8

const (
	answers verdict = iota
	silent
	refuses
	unknown // the fault is ours
)

func (p *prober) probe(address string) verdict {
	ctx, cancel := context.WithTimeout(p.ctx, probeTimeout)
	defer cancel()
	conn, err := p.dial(ctx, "tcp", address)
	switch {
	case err == nil:
		conn.Close()
		return answers
	case errors.Is(err, syscall.ECONNREFUSED):
		return refuses
	case p.ctx.Err() != nil, errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.ENOBUFS):
		return unknown
	}
	return silent
}

// settle draws the consequences of a probe.
func (p *prober) settle(t *target, v verdict) {
	p.mu.Lock()
	switch v {
	case answers:
		t.silent = 0
	case silent:
		t.silent++
	case refuses, unknown:
	}
	dead := v == refuses || t.silent >= 2
	lost := t.lost
	if v == answers || dead {
		t.lost = nil
	}
	asked := make(map[*holder]uint64, len(t.holders)+len(lost))
	maps.Copy(asked, t.holders)
	p.mu.Unlock()

	if v == answers {
		for _, s := range lost {
			s.by.bringBack(s.endpoint)
			if _, known := asked[s.by]; !known {
				asked[s.by] = 0
			}
		}
	}
	for h := range asked {
		if dead {
			h.letGo(t.address)
		} else if h.holds(t.address) {
			delete(asked, h)
			p.confirm(t, h)
		}
	}
	p.again(t, asked)
}

// confirm keeps a holder, which may be new.
func (p *prober) confirm(t *target, h *holder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.holders[h] == 0 {
		p.calls++
		t.holders[h] = p.calls
	}
}

// again plans the next probe, if there is still something to find out. done have said that they hold nothing; one that
// has called watch since holds something again.
func (p *prober) again(t *target, done map[*holder]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, call := range done {
		if t.holders[h] == call {
			delete(t.holders, h)
		}
	}
	if len(t.holders) == 0 && len(t.lost) == 0 {
		delete(p.targets, t.address)
		return
	}
	every := max(probeEvery, p.round())
	p.clock.after(every*3/4+rand.N(every/2), func() { p.due(t) })
}

func (p *prober) close() {
	p.cancel()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.tasks.Wait()
}
