package upstream

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// gate is an instance whose requests wait until they are let go. It knows how many it has had at once.
type gate struct {
	address   string
	open      chan struct{} // one token lets one request go
	now, most atomic.Int32
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{open: make(chan struct{}, 10_000)}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := g.now.Add(1)
		for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
		}
		<-g.open
		g.now.Add(-1)
	}))
	t.Cleanup(func() { g.let(1000); s.Close() })
	g.address = s.Listener.Addr().String()
	return g
}

func (g *gate) let(n int) {
	for range n {
		g.open <- struct{}{}
	}
}

func limited(l config.RequestLimits) config.Service {
	s := defaults()
	s.Limits = l
	return s
}

// sent sends n requests at once and returns a function that waits for them and counts the answers by status.
func sent(t *testing.T, h protocol.Handler, n int) (answers func() map[int]int) {
	t.Helper()
	var mu sync.Mutex
	var tasks sync.WaitGroup
	counts := map[int]int{}
	for range n {
		tasks.Go(func() {
			status := 200
			if _, err := ask(h, "GET"); err != nil {
				e := protocol.AsError(err)
				if status = e.Status; e.Code != protocol.CodeOverloaded || e.RetryAfter == 0 {
					t.Errorf("%v", err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			counts[status]++
		})
	}
	return func() map[int]int { tasks.Wait(); return counts }
}

func TestInstancesHaveNoMoreThanTheirLimit(t *testing.T) {
	b := newBed(t)
	one, two := newGate(t), newGate(t)
	svc := b.over(limited(config.RequestLimits{Instance: 3, Queue: 100, QueueTimeout: 10 * time.Second}), one.address, two.address)
	h := NewTarget(svc, tries(0, 1))
	answers := sent(t, h, 40)
	eventually(t, func() bool { return one.now.Load() == 3 && two.now.Load() == 3 && svc.limits.waiting.Load() == 34 })
	one.let(100)
	two.let(100)
	if got := answers(); got[200] != 40 {
		t.Errorf("%v", got)
	}
	if one.most.Load() > 3 || two.most.Load() > 3 {
		t.Errorf("%d and %d at once", one.most.Load(), two.most.Load())
	}
	for _, i := range svc.state.Load().instances {
		if i.load.InFlight() != 0 || i.load.Flags()&balance.Full != 0 {
			t.Errorf("%s: %d in flight, flags %b", i.endpoint.ID, i.load.InFlight(), i.load.Flags())
		}
	}
}

func TestTheServiceHasNoMoreThanItsLimit(t *testing.T) {
	b := newBed(t)
	one, two := newGate(t), newGate(t)
	svc := b.over(limited(config.RequestLimits{Service: 4, Queue: 2, QueueTimeout: 10 * time.Second}), one.address, two.address)
	answers := sent(t, NewTarget(svc, tries(0, 1)), 20)
	eventually(t, func() bool { return one.now.Load()+two.now.Load() == 4 && svc.limits.waiting.Load() == 2 })
	one.let(100)
	two.let(100)
	if got := answers(); got[200] < 6 || got[200]+got[503] != 20 {
		t.Errorf("%v: 4 run, 2 wait, the rest is refused at once", got)
	}
	if n := svc.limits.inflight.Load(); n != 0 {
		t.Errorf("%d places are lost", n)
	}
}

func TestQueueIsShort(t *testing.T) {
	b := newBed(t)
	g := newGate(t)
	svc := b.over(limited(config.RequestLimits{Instance: 1, Queue: 5, QueueTimeout: 50 * time.Millisecond}), g.address)
	answers := sent(t, NewTarget(svc, tries(0, 0)), 3)
	eventually(t, func() bool { return svc.limits.waiting.Load() == 0 && g.now.Load() == 1 })
	began := time.Now()
	if _, err := ask(NewTarget(svc, tries(0, 0)), "GET"); protocol.AsError(err).Code != protocol.CodeOverloaded {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("refused after %v", took)
	}
	// A client that leaves gives its place in the queue up.
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := NewTarget(svc, tries(0, 0)).Serve(ctx, &protocol.Request{Method: "GET", Path: "/", Version: protocol.HTTP11})
		left <- err
	}()
	cancel()
	if err := <-left; err == nil || svc.limits.waiting.Load() != 0 {
		t.Errorf("%v, %d wait", err, svc.limits.waiting.Load())
	}
	g.let(10)
	if got := answers(); got[200] != 1 || got[503] != 2 {
		t.Errorf("%v", got)
	}
}

// TestUnderOverloadTheNewestGoesFirst: the oldest would be late anyway.
func TestUnderOverloadTheNewestGoesFirst(t *testing.T) {
	l := newLimits(config.RequestLimits{Instance: 1, Queue: 4})
	waiters := make([]*waiter, 4)
	for n := range waiters {
		waiters[n] = &waiter{turn: make(chan struct{}, 1)}
	}
	l.queue = append(l.queue, waiters...)
	var order []int
	for range waiters {
		l.wake()
		for n, w := range waiters {
			select {
			case <-w.turn:
				order = append(order, n)
			default:
			}
		}
	}
	if want := [4]int{3, 2, 0, 1}; len(order) != 4 || [4]int(order) != want {
		t.Errorf("%v, want %v", order, want)
	}
	l.wake()
	if l.leave(waiters[0]) {
		t.Error("who has had its turn is not in the queue")
	}
}

// TestLimitsLoseNoPlace sends requests that end in every way.
func TestLimitsLoseNoPlace(t *testing.T) {
	b := newBed(t)
	bad, _ := resetting(t)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}))
	defer slow.Close()
	busy, _ := answering(t, 503)
	svc := b.over(limited(config.RequestLimits{Service: 6, Instance: 2, Adaptive: true, Queue: 3, QueueTimeout: 5 * time.Millisecond}),
		bad, refusing(t), slow.Listener.Addr().String(), busy, named(t, "good"))
	h := NewTarget(svc, tries(10*time.Millisecond, 2))
	var tasks sync.WaitGroup
	for range 16 {
		tasks.Go(func() {
			for range 50 {
				ctx, cancel := context.WithTimeout(context.Background(), 15*time.Millisecond)
				resp, err := h.Serve(ctx, &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11})
				if err == nil {
					_ = resp.Close()
				}
				cancel()
			}
		})
	}
	tasks.Wait()
	if n := svc.limits.inflight.Load(); n != 0 || svc.limits.waiting.Load() != 0 {
		t.Errorf("%d places of the service are lost, %d wait", n, svc.limits.waiting.Load())
	}
	for _, i := range svc.state.Load().instances {
		if i.load.InFlight() != 0 || i.load.Flags()&balance.Full != 0 {
			t.Errorf("%s: %d in flight, flags %b", i.endpoint.ID, i.load.InFlight(), i.load.Flags())
		}
	}
}
