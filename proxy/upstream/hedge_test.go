package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// moody is an instance that takes its time while it is slow. It counts requests, and those that were given up.
type moody struct {
	slow          atomic.Bool
	seen, givenUp atomic.Int32
	address       string
}

func newMoody(t *testing.T, name string) *moody {
	t.Helper()
	m := &moody{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.seen.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that its client leaves
		if m.slow.Load() {
			select {
			case <-time.After(20 * time.Second):
			case <-r.Context().Done():
				m.givenUp.Add(1)
				return
			}
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Name", name)
		_, _ = io.WriteString(w, name)
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, "!")
		w.Header().Set("X-Sum", "2")
	}))
	t.Cleanup(s.Close)
	m.address = s.Listener.Addr().String()
	return m
}

func hedged(svc *Service, delay time.Duration) *Target {
	return NewTarget(svc, tries(10*time.Second, 0)).Hedge(&config.Hedge{Delay: delay})
}

func TestLateRequestsGetASecondTry(t *testing.T) {
	b := newBed(t)
	settings := generous()
	settings.Balance.Policy = "roundRobin"
	one, two := newMoody(t, "one"), newMoody(t, "two")
	svc := b.over(settings, one.address, two.address)
	h := hedged(svc, 30*time.Millisecond)
	one.slow.Store(true)
	for range 6 {
		began := time.Now()
		req := &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11}
		resp, err := h.Serve(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := protocol.ReadAll(nil, resp.Body, 100)
		if string(body) != "two!" || err != nil || resp.Header.Get("X-Name") != "two" || resp.Trailer.Get("X-Sum") != "2" {
			t.Errorf("%q, %v, %q", body, err, resp.Trailer.Get("X-Sum"))
		}
		if req.Record.Instance != two.address {
			t.Errorf("recorded: %s", req.Record.Instance)
		}
		if err := resp.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 700*time.Millisecond { // clients look at an ordinary context once a second
			t.Errorf("took %v", took)
		}
	}
	eventually(t, func() bool { return one.givenUp.Load() == one.seen.Load() && one.seen.Load() > 0 })
	for _, i := range svc.state.Load().instances {
		eventually(t, func() bool { return i.load.InFlight() == 0 })
		if i.load.Failures() != 0 {
			t.Errorf("%s is blamed for what was given up", i.endpoint.ID)
		}
	}
}

func TestWhatIsNotHedged(t *testing.T) {
	b := newBed(t)
	settings := generous()
	settings.Balance.Policy = "roundRobin"
	one, two := newMoody(t, "one"), newMoody(t, "two")
	svc := b.over(settings, one.address, two.address)
	one.slow.Store(true)
	two.slow.Store(true)
	send := func(h *Target, method string, body protocol.Body, length int64) {
		t.Helper()
		before := one.seen.Load() + two.seen.Load()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		req := &protocol.Request{Method: method, Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11, Body: body, ContentLength: length}
		if resp, err := h.Serve(ctx, req); err == nil {
			_ = resp.Close()
		}
		if n := one.seen.Load() + two.seen.Load() - before; n != 1 {
			t.Errorf("%s: %d tries", method, n)
		}
	}
	send(hedged(svc, 20*time.Millisecond), "POST", nil, 0)
	send(hedged(svc, 20*time.Millisecond), "PUT", protocol.NewBytes([]byte("x")), 1)
	send(hedged(svc, 0), "GET", nil, 0) // nothing is known yet of what is late
	poor := settings
	poor.RetryBudget = config.RetryBudget{}
	send(hedged(b.acquireFor(poor), 20*time.Millisecond), "GET", nil, 0)
}

// acquireFor is the service s treated in another way.
func (b *bed) acquireFor(settings config.Service) *Service {
	b.t.Helper()
	svc := b.acquire(key("s"), settings)
	b.t.Cleanup(func() { b.Release(svc) })
	eventually(b.t, func() bool { return len(svc.state.Load().instances) > 0 })
	return svc
}

// TestHedgingUnderLoad sends requests whose tries win, lose and fail in every order.
func TestHedgingUnderLoad(t *testing.T) {
	b := newBed(t)
	var n atomic.Int32
	uneven := func() string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch n.Add(1) % 7 {
			case 0, 1:
				select {
				case <-time.After(8 * time.Millisecond):
				case <-r.Context().Done():
				}
			case 2:
				panic(http.ErrAbortHandler)
			}
			_, _ = fmt.Fprint(w, "answer")
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	svc := b.over(limited(config.RequestLimits{Instance: 20, Queue: 50, QueueTimeout: time.Second}), uneven(), uneven(), uneven())
	h := NewTarget(svc, tries(5*time.Second, 3)).Hedge(&config.Hedge{Delay: 4 * time.Millisecond})
	var tasks sync.WaitGroup
	for range 12 {
		tasks.Go(func() {
			for range 60 {
				got, err := ask(h, "GET")
				if err == nil && got != "200 answer" {
					t.Errorf("%q", got)
				}
			}
		})
	}
	tasks.Wait()
	for _, i := range svc.state.Load().instances {
		eventually(t, func() bool { return i.load.InFlight() == 0 })
	}
}

func TestUsual(t *testing.T) {
	var u usual
	for range enough - 1 {
		u.observe(int64(time.Millisecond))
	}
	if got := u.late(); got != 0 {
		t.Errorf("%v is late by too few answers", got)
	}
	for n := range 10_000 {
		nanos := int64(10 * time.Millisecond)
		if n%100 == 0 {
			nanos = int64(time.Second)
		}
		u.observe(nanos)
	}
	if got := u.late(); got < 10*time.Millisecond || got > 14*time.Millisecond {
		t.Errorf("%v is late, while 99 of 100 take 10 ms", got)
	}
	// It has become slow: what was usual is forgotten.
	for range 40_000 {
		u.observe(int64(100 * time.Millisecond))
	}
	if got := u.late(); got < 100*time.Millisecond || got > 130*time.Millisecond {
		t.Errorf("%v is late, while all take 100 ms", got)
	}
	for _, odd := range []int64{0, -1, 1, int64(100 * time.Hour)} {
		u.observe(odd)
	}
}

func BenchmarkUsual(b *testing.B) {
	var u usual
	b.ReportAllocs()
	for b.Loop() {
		u.observe(int64(time.Millisecond))
	}
}
