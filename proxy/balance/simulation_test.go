package balance

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// simulation is a number of gateways, each with its own view, before the same hosts, in virtual time: requests come at
// random (exponential gaps), wait in their host's queue, and take an exponential time, one in a hundred ten times as long.
type simulation struct {
	hosts    []simHost
	gateways int
	policy   string
	weights  []float64 // 1 each if nil
	util     float64   // offered load over what the hosts can do
	requests int
	warmup   int64
	seed     uint64
}

type simHost struct {
	mean    float64 // ns of one request
	workers int
	fails   bool // answers at once, with a failure
}

// outcome is what a simulation has measured after its warm-up.
type outcome struct {
	shares    []float64
	latencies []int64 // sorted
	failed    float64
}

func (o outcome) quantile(q float64) time.Duration {
	return time.Duration(o.latencies[int(q*float64(len(o.latencies)-1))])
}

type simEvent struct {
	at      int64
	gateway int
	host    int // -1: a request comes
	begun   int64
}

type simQueue []simEvent //nolint:recvcheck // as container/heap has it

func (q simQueue) Len() int           { return len(q) }
func (q simQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q simQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(x any)        { *q = append(*q, x.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (s simulation) run(t *testing.T) outcome {
	t.Helper()
	r := rand.New(rand.NewPCG(s.seed, 9))
	pickers, views := make([]Picker, s.gateways), make([][]Target, s.gateways)
	for g := range pickers {
		views[g] = equal(len(s.hosts))
		for i, w := range s.weights {
			views[g][i].Weight = w
		}
		pool := new(Pool)
		pool.turn.Store(r.Uint64N(1 << 20)) // gateways do not go round in step
		var err error
		if pickers[g], err = New(Config{Policy: s.policy}, views[g], pool); err != nil {
			t.Fatal(err)
		}
	}
	capacity := 0.0
	for _, h := range s.hosts {
		capacity += float64(h.workers) / (h.mean * 1.09)
	}
	gap := 1 / (capacity * s.util)
	busy, waiting := make([]int, len(s.hosts)), make([][]simEvent, len(s.hosts))
	service := func(h simHost) int64 {
		d := h.mean * r.ExpFloat64()
		if r.IntN(100) == 0 {
			d *= 10
		}
		return max(int64(d), 1)
	}
	out := outcome{shares: make([]float64, len(s.hosts))}
	measured, failed := 0, 0
	events := &simQueue{{at: 1, host: -1}}
	for begun := 0; events.Len() > 0; {
		e := heap.Pop(events).(simEvent)
		if e.host < 0 {
			if begun++; begun < s.requests {
				heap.Push(events, simEvent{at: e.at + 1 + int64(gap*r.ExpFloat64()), gateway: r.IntN(s.gateways), host: -1})
			}
			i := pickers[e.gateway].Pick(Choice{Now: e.at})
			views[e.gateway][i].Load.Begin()
			call := simEvent{gateway: e.gateway, host: i, begun: e.at}
			switch h := s.hosts[i]; {
			case h.fails:
				call.at = e.at + int64(time.Millisecond)/2
				heap.Push(events, call)
			case busy[i] < h.workers:
				busy[i]++
				call.at = e.at + service(h)
				heap.Push(events, call)
			default:
				waiting[i] = append(waiting[i], call)
			}
			continue
		}
		load := views[e.gateway][e.host].Load
		load.End()
		if s.hosts[e.host].fails {
			load.Fail(e.at, e.at-e.begun, 0)
		} else {
			load.Observe(e.at, e.at-e.begun)
			if busy[e.host]--; len(waiting[e.host]) > 0 {
				next := waiting[e.host][0]
				waiting[e.host] = waiting[e.host][1:]
				busy[e.host]++
				next.at = e.at + service(s.hosts[e.host])
				heap.Push(events, next)
			}
		}
		if e.begun > s.warmup {
			measured++
			out.shares[e.host]++
			if s.hosts[e.host].fails {
				failed++
			} else {
				out.latencies = append(out.latencies, e.at-e.begun)
			}
		}
	}
	for i := range out.shares {
		out.shares[i] /= float64(measured)
	}
	out.failed = float64(failed) / float64(measured)
	slices.Sort(out.latencies)
	return out
}

func hosts(n int) []simHost {
	all := make([]simHost, n)
	for i := range all {
		all[i] = simHost{mean: 10e6, workers: 4}
	}
	return all
}

// requests of one simulation; the bounds below hold with a wide margin at both.
func simRequests() int {
	if testing.Short() {
		return 40_000
	}
	return 150_000
}

// TestUnevenHosts: a fifth of the hosts is three times as slow. Going round sends them more than they can do, and their
// queues grow without end; watching latency and queue does not, with a few gateways or with many.
func TestUnevenHosts(t *testing.T) {
	uneven := hosts(20)
	for i := range 4 {
		uneven[i].mean *= 3
	}
	slow := func(o outcome) float64 { return o.shares[0] + o.shares[1] + o.shares[2] + o.shares[3] }
	s := simulation{hosts: uneven, gateways: 2, util: 0.85, requests: simRequests(), warmup: int64(2 * time.Second), seed: 1}
	s.policy = "roundRobin"
	round := s.run(t)
	if math.Abs(slow(round)-0.2) > 0.01 {
		t.Errorf("round robin sent %.3f to the slow fifth", slow(round))
	}
	s.policy = "peakEWMA"
	for _, s.gateways = range []int{2, 20} {
		got := s.run(t)
		t.Logf("%d gateways: %.3f to the slow fifth, p50 %v, p99 %v (round robin %v)", s.gateways, slow(got), got.quantile(0.5), got.quantile(0.99), round.quantile(0.99))
		// They can do a third of what the others do: 1.33 of 17.33.
		if share := slow(got); share < 0.02 || share > 0.12 {
			t.Errorf("%d gateways: %.3f went to the slow fifth, want about 0.077", s.gateways, share)
		}
		if p99 := got.quantile(0.99); p99 > 300*time.Millisecond || p99 > round.quantile(0.99)/4 {
			t.Errorf("%d gateways: p99 %v, round robin %v", s.gateways, p99, round.quantile(0.99))
		}
	}
}

// TestEvenHostsUnderLoad: at 90 % the tail must not be worse than going round makes it.
func TestEvenHostsUnderLoad(t *testing.T) {
	s := simulation{hosts: hosts(20), gateways: 2, util: 0.9, requests: simRequests(), warmup: int64(2 * time.Second), seed: 2}
	s.policy = "roundRobin"
	round := s.run(t)
	s.policy = "peakEWMA"
	got := s.run(t)
	t.Logf("p99 %v, round robin %v", got.quantile(0.99), round.quantile(0.99))
	if got.quantile(0.99) > round.quantile(0.99) {
		t.Errorf("p99 %v, round robin %v", got.quantile(0.99), round.quantile(0.99))
	}
	for i, share := range got.shares {
		if share < 0.03 || share > 0.08 {
			t.Errorf("host %d of 20 got %.3f", i, share)
		}
	}
}

// TestFailingHostUnderLoad: a host that answers at once with failures looks fast, and must not attract traffic.
func TestFailingHostUnderLoad(t *testing.T) {
	all := hosts(20)
	all[7].fails = true
	s := simulation{hosts: all, gateways: 2, policy: "peakEWMA", util: 0.7, requests: simRequests(), warmup: int64(2 * time.Second), seed: 3}
	if got := s.run(t); got.failed > 0.01 {
		t.Errorf("%.4f of all requests failed", got.failed)
	}
}

// TestWeightsUnderLoad: weights that say what hosts can do give each its share of a load that needs them all.
func TestWeightsUnderLoad(t *testing.T) {
	all := hosts(8)
	weights := []float64{1, 1, 1, 1, 2, 2, 4, 4}
	for i, w := range weights {
		all[i].workers = int(4 * w)
	}
	for _, policy := range Policies() {
		s := simulation{hosts: all, gateways: 2, policy: policy, weights: weights, util: 0.8, requests: simRequests(), warmup: int64(2 * time.Second), seed: 4}
		got := s.run(t)
		for i, w := range weights {
			if want := w / 16; math.Abs(got.shares[i]-want) > want/3 {
				t.Errorf("%s: host %d got %.3f, want about %.3f", policy, i, got.shares[i], want)
			}
		}
		if p99 := got.quantile(0.99); p99 > 400*time.Millisecond {
			t.Errorf("%s: p99 %v", policy, p99)
		}
	}
}
