package balance

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// simulation is a number of gateways, each with its own view, before the same hosts, in virtual time: requests come at
// random (exponential gaps), wait in their host's queue, and take an exponential time, one in a hundred ten times as long.
// Everything random comes from the seed: a simulation that is repeated comes to the same.
type simulation struct {
	policy    string
	hosts     []simHost
	gateways  int
	util      float64       // offered load over what the hosts can do
	warmup    time.Duration // not measured
	measured  time.Duration
	changing  time.Duration // every so often another fifth of the hosts is three times as slow; 0: never
	weights   []float64     // 1 each if nil
	slowStart time.Duration
	seed      uint64
	zones     []string // of the hosts, in turns; none: no zones
	home      []string // zones of the gateways, in turns
}

// simHost is one instance.
type simHost struct {
	mean    float64 // ns of one request
	workers int
	fails   bool          // answers at once, with a failure
	joins   time.Duration // after the begin of what is measured
}

// workFactor is the mean of a request's work over the host's mean.
const workFactor = 0.99 + 0.01*10

// outcome is what a simulation has measured after its warm-up.
type outcome struct {
	shares    []float64
	latencies []int64 // sorted; of answers that are no failures
	failed    float64 // of all
	abroad    float64 // of all: sent to another zone than the gateway's
	rush      float64 // the most that the host which joins had at once in its first second, over the mean of the others
}

func (o outcome) quantile(q float64) time.Duration {
	return time.Duration(o.latencies[int(q*float64(len(o.latencies)-1))])
}

type simEvent struct {
	at      int64
	begun   int64
	gateway int32
	host    int32 // or one of those below
}

const (
	simArrival = -1 - iota
	simChange
	simJoin
	simWindow // hosts work out what they report
)

// simQueue is a heap by time.
type simQueue []simEvent

func (q *simQueue) push(e simEvent) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (q *simQueue) pop() simEvent {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && h[child+1].at < h[child].at {
			child++
		}
		if h[i].at <= h[child].at {
			return top
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// simState is a host while the simulation runs.
type simState struct {
	simHost
	slow     float64
	busy     int
	inflight int
	waiting  []simEvent
	done     float64 // requests and work, in ns, since the last window
	work     float64
	qps      float64 // of the last window
	usage    float64
}

type simRun struct {
	simulation
	random  *rand.Rand
	events  simQueue
	hosts   []simState
	pools   []*Pool
	pickers []Picker
	views   [][]Target
	present int // hosts that have joined
	out     outcome
}

func (s simulation) run(t testing.TB) outcome {
	t.Helper()
	r := &simRun{simulation: s, random: rand.New(rand.NewPCG(s.seed, 9))}
	capacity := 0.0
	for _, h := range s.hosts {
		r.hosts = append(r.hosts, simState{simHost: h, slow: 1})
		if h.joins == 0 {
			r.present++
		}
		if !h.fails {
			capacity += float64(h.workers) / (h.mean * workFactor)
		}
	}
	if s.changing > 0 {
		capacity *= 0.8 + 0.2/3
	}
	r.out.shares = make([]float64, len(s.hosts))
	for g := range s.gateways {
		r.pools = append(r.pools, &Pool{source: rand.NewPCG(s.seed, 100+uint64(g))})
		r.pools[g].turn.Store(r.random.Uint64N(1 << 20)) // gateways do not go round in step
		r.views = append(r.views, equal(len(s.hosts)))
		for i := range r.views[g] {
			target := &r.views[g][i]
			target.ID = string(rune('a' + i))
			if s.weights != nil {
				target.Weight = s.weights[i]
			}
			if len(s.zones) > 0 {
				target.Zone = s.zones[i%len(s.zones)]
			}
			if h := s.hosts[i]; s.policy == "orca" && !h.fails && h.joins == 0 {
				// It has reported before.
				target.Load.Report(-blackout, float64(h.workers)*1e9/h.mean/workFactor, 1, 0)
			}
		}
	}
	r.compile(t)
	r.simulate(t, 1/(capacity*s.util))
	return r.out
}

func (r *simRun) compile(t testing.TB) {
	r.pickers = r.pickers[:0]
	for g := range r.views {
		cfg := Config{Policy: r.policy, SlowStart: r.slowStart}
		if len(r.home) > 0 {
			cfg.Zone = r.home[g%len(r.home)]
		}
		p, err := New(cfg, r.views[g][:r.present], r.pools[g])
		if err != nil {
			t.Fatal(err)
		}
		r.pickers = append(r.pickers, p)
	}
}

func (r *simRun) simulate(t testing.TB, gap float64) {
	end := int64(r.warmup + r.measured)
	r.events.push(simEvent{at: 1, host: simArrival})
	if r.changing > 0 {
		r.events.push(simEvent{at: 1, host: simChange})
	}
	if r.policy == "orca" {
		r.events.push(simEvent{at: int64(time.Second), host: simWindow})
	}
	for _, h := range r.hosts {
		if h.joins > 0 {
			r.events.push(simEvent{at: int64(r.warmup + h.joins), host: simJoin})
		}
	}
	counted := 0.0
	for len(r.events) > 0 {
		e := r.events.pop()
		switch e.host {
		case simArrival:
			if next := e.at + 1 + int64(gap*r.random.ExpFloat64()); next < end {
				r.events.push(simEvent{at: next, gateway: int32(r.random.IntN(r.gateways)), host: simArrival})
			}
			r.send(e)
		case simChange:
			for i, k := range r.random.Perm(len(r.hosts)) {
				r.hosts[k].slow = 1
				if i < len(r.hosts)/5 {
					r.hosts[k].slow = 3
				}
			}
			if e.at+int64(r.changing) < end {
				r.events.push(simEvent{at: e.at + int64(r.changing), host: simChange})
			}
		case simJoin:
			for g := range r.views {
				r.views[g][r.present].Since = e.at
			}
			r.present++
			r.compile(t)
		case simWindow:
			for i := range r.hosts {
				h := &r.hosts[i]
				h.qps, h.usage = h.done, h.work/float64(time.Second)/float64(h.workers)
				h.done, h.work = 0, 0
			}
			if e.at+int64(time.Second) < end {
				r.events.push(simEvent{at: e.at + int64(time.Second), host: simWindow})
			}
		default:
			r.answer(e)
			if e.begun > int64(r.warmup) {
				counted++
			}
		}
	}
	for i := range r.out.shares {
		r.out.shares[i] /= counted
	}
	r.out.failed /= counted
	r.out.abroad /= counted
	slices.Sort(r.out.latencies)
}

func (r *simRun) send(e simEvent) {
	key := mix(r.random.Uint64N(10_000))
	e.host = int32(r.pickers[e.gateway].Pick(Choice{Now: e.at, Key: key, Keyed: true}))
	e.begun = e.at
	r.views[e.gateway][e.host].Load.Begin()
	r.views[e.gateway][e.host].Load.Wait(e.at)
	h := &r.hosts[e.host]
	h.inflight++
	if h.joins > 0 && e.at < int64(r.warmup+h.joins+time.Second) {
		others := 0
		for i := range r.hosts {
			others += r.hosts[i].inflight
		}
		mean := float64(others-h.inflight) / float64(len(r.hosts)-1)
		r.out.rush = max(r.out.rush, float64(h.inflight)/max(mean, 1))
	}
	switch {
	case h.fails:
		e.at += int64(time.Millisecond) / 2
		r.events.push(e)
	case h.busy < h.workers:
		r.begin(h, e)
	default:
		h.waiting = append(h.waiting, e)
	}
}

// begin puts a worker to a request that came in or has waited.
func (r *simRun) begin(h *simState, e simEvent) {
	h.busy++
	work := h.mean * h.slow * r.random.ExpFloat64()
	if r.random.IntN(100) == 0 {
		work *= 10
	}
	h.work += work
	e.at += max(int64(work), 1)
	r.events.push(e)
}

func (r *simRun) answer(e simEvent) {
	load, h := r.views[e.gateway][e.host].Load, &r.hosts[e.host]
	load.End()
	load.Answered(e.at)
	h.inflight--
	latency := e.at - e.begun
	if h.fails {
		load.Fail(e.at, latency, 0)
	} else {
		load.Observe(e.at, latency)
		h.done++
		load.Report(e.at, h.qps, h.usage, 0)
		h.busy--
		if len(h.waiting) > 0 {
			next := h.waiting[0]
			h.waiting = h.waiting[1:]
			next.at = e.at
			r.begin(h, next)
		}
	}
	if e.begun <= int64(r.warmup) {
		return
	}
	r.out.shares[e.host]++
	if len(r.home) > 0 && r.home[int(e.gateway)%len(r.home)] != r.zones[int(e.host)%len(r.zones)] {
		r.out.abroad++
	}
	if h.fails {
		r.out.failed++
	} else {
		r.out.latencies = append(r.out.latencies, latency)
	}
}

// hosts are n equal ones of four workers, 10 ms each.
func hosts(n int) []simHost {
	all := make([]simHost, n)
	for i := range all {
		all[i] = simHost{mean: 10e6, workers: 4}
	}
	return all
}

// slowed makes the first n hosts three times as slow.
func slowed(all []simHost, n int) []simHost {
	for i := range n {
		all[i].mean *= 3
	}
	return all
}
