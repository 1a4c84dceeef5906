package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/registry/static"
)

// answering starts an instance that gives its answers in turn, the last one for ever, and counts its requests.
func answering(t *testing.T, statuses ...int) (address string, seen *atomic.Int32) {
	t.Helper()
	seen = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(seen.Add(1))
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(statuses[min(n, len(statuses))-1])
		_, _ = fmt.Fprintf(w, "try %d %s", n, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), seen
}

// route is a route's tries, changed.
func route(change func(*config.Target)) Tries {
	var to config.Target
	to.SetDefaults()
	change(&to)
	return TriesOf(&to)
}

func (b *bed) over(settings config.Service, addresses ...string) *Service {
	b.t.Helper()
	b.set(map[string][]static.Instance{"s": at(addresses...)})
	svc := b.acquire(key("s"), settings)
	b.t.Cleanup(func() { b.Release(svc) })
	until(b.t, svc, len(addresses))
	return svc
}

func generous() config.Service {
	s := defaults()
	s.RetryBudget = config.RetryBudget{Share: 1, MinPerSecond: 1000}
	return s
}

func TestAnswersThatAreTriedAgain(t *testing.T) {
	for _, c := range []struct {
		on         []string
		attempts   int
		idempotent bool
		method     string
		statuses   []int
		want       string
		seen       int32
	}{
		{[]string{"503"}, 2, false, "GET", []int{503, 200}, "200 try 2 ", 2},
		{[]string{"503"}, 2, false, "GET", []int{502, 200}, "502 try 1 ", 1},
		{[]string{"5xx"}, 3, false, "GET", []int{502, 500, 503, 599, 200}, "599 try 4 ", 4},
		{[]string{"429", "5xx"}, 3, false, "PUT", []int{429, 500, 200}, "200 try 3 ", 3},
		{[]string{"5xx"}, 3, false, "POST", []int{500, 200}, "500 try 1 ", 1},
		{[]string{"5xx"}, 3, true, "POST", []int{500, 200}, "200 try 2 body", 2},
		{[]string{"5xx"}, 0, false, "GET", []int{500, 200}, "500 try 1 ", 1},
		{[]string{"connect"}, 3, false, "GET", []int{500, 200}, "500 try 1 ", 1},
	} {
		b := newBed(t)
		address, seen := answering(t, c.statuses...)
		svc := b.over(generous(), address)
		h := NewTarget(svc, route(func(to *config.Target) {
			to.Retries = config.Retries{Attempts: c.attempts, On: c.on, Idempotent: c.idempotent}
		}))
		req := &protocol.Request{Method: c.method, Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11}
		if c.method == "POST" {
			req.Body, req.ContentLength = protocol.NewBytes([]byte("body")), 4
		}
		got, err := askWith(h, req)
		if want := c.want; err != nil || !strings.HasPrefix(got, want) || seen.Load() != c.seen || req.Record.Attempts != int(c.seen) {
			t.Errorf("%+v: %q, %v, %d seen, %d attempts", c, got, err, seen.Load(), req.Record.Attempts)
		}
	}
}

func TestEachTryHasItsTime(t *testing.T) {
	b := newBed(t)
	stuck := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer hang.Close()
	defer close(stuck)
	svc := b.over(generous(), hang.Listener.Addr().String(), named(t, "quick"))
	h := NewTarget(svc, route(func(to *config.Target) {
		to.Timeout = 10 * time.Second
		to.Retries = config.Retries{Attempts: 1, On: []string{"timeout"}, PerTry: 150 * time.Millisecond}
	}))
	slow := 0
	for range 12 {
		began := time.Now()
		if got, err := ask(h, "GET"); got != "200 quick" {
			t.Fatalf("%q, %v", got, err)
		}
		if time.Since(began) > 100*time.Millisecond {
			slow++
		}
	}
	if slow > 3 {
		t.Errorf("%d of 12 requests went to the stuck instance first", slow)
	}
}

// TestNeverTheSameTwiceWhileAnotherLives: three tries over three instances see each once.
func TestNeverTheSameTwiceWhileAnotherLives(t *testing.T) {
	b := newBed(t)
	a, seenA := answering(t, 500)
	c, seenC := answering(t, 500)
	d, seenD := answering(t, 500)
	svc := b.over(generous(), a, c, d)
	h := NewTarget(svc, route(func(to *config.Target) { to.Retries = config.Retries{Attempts: 2, On: []string{"5xx"}} }))
	for n := int32(1); n <= 10; n++ {
		if got, err := ask(h, "GET"); err != nil || !strings.HasPrefix(got, "500") {
			t.Fatalf("%q, %v", got, err)
		}
		if seenA.Load() != n || seenC.Load() != n || seenD.Load() != n {
			t.Fatalf("after %d requests: %d, %d, %d", n, seenA.Load(), seenC.Load(), seenD.Load())
		}
	}
}

func TestPausesBeforeTheSameInstance(t *testing.T) {
	b := newBed(t)
	address, seen := answering(t, 500, 500, 200)
	svc := b.over(generous(), address)
	h := NewTarget(svc, route(func(to *config.Target) {
		to.Retries = config.Retries{Attempts: 2, On: []string{"5xx"}, Backoff: 40 * time.Millisecond}
	}))
	began := time.Now()
	if got, err := ask(h, "GET"); got != "200 try 3 " || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if took := time.Since(began); took < 60*time.Millisecond || seen.Load() != 3 { // at least half of 40 and of 80 ms
		t.Errorf("took %v, %d seen", took, seen.Load())
	}
	// A client that leaves is not kept waiting, nor its request repeated.
	again, seen := answering(t, 500)
	svc = newBed(t).over(generous(), again)
	h = NewTarget(svc, route(func(to *config.Target) {
		to.Retries = config.Retries{Attempts: 5, On: []string{"5xx"}, Backoff: time.Hour}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	resp, err := h.Serve(ctx, &protocol.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/", Version: protocol.HTTP11})
	if err != nil || resp.Status != 500 || seen.Load() != 1 {
		t.Fatalf("%v, %d seen", err, seen.Load())
	}
	if err := resp.Close(); err != nil {
		t.Error(err)
	}
}

// TestRetryStorm: when everybody fails, instances get hardly more than what clients send.
func TestRetryStorm(t *testing.T) {
	b := newBed(t)
	a, seenA := answering(t, 503)
	c, seenC := answering(t, 503)
	svc := b.over(defaults(), a, c)
	h := NewTarget(svc, route(func(to *config.Target) { to.Retries = config.Retries{Attempts: 3, On: []string{"5xx"}} }))
	var sent atomic.Int32
	var tasks sync.WaitGroup
	end := time.Now().Add(1500 * time.Millisecond)
	for range 8 {
		tasks.Go(func() {
			for time.Now().Before(end) {
				sent.Add(1)
				if _, err := ask(h, "GET"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	tasks.Wait()
	ratio := float64(seenA.Load()+seenC.Load()) / float64(sent.Load())
	t.Logf("%d requests, %.3f tries each", sent.Load(), ratio)
	// A few retries a second come on top of the share; among thousands of requests they hardly show.
	if ratio > 1.22 || ratio < 1.02 {
		t.Errorf("%.3f tries a request", ratio)
	}
	if _, granted, refused := svc.budget.left(protocol.Now(), svc.requests(), svc.settings.RetryBudget); granted == 0 || refused == 0 {
		t.Errorf("granted %d, refused %d", granted, refused)
	}
}

// TestDeadInstanceNeedsNoBudget: what never reached the service is tried elsewhere whatever the budget says.
func TestDeadInstanceNeedsNoBudget(t *testing.T) {
	b := newBed(t)
	settings := defaults()
	settings.RetryBudget = config.RetryBudget{}
	settings.Balance.Policy = "roundRobin"
	svc := b.over(settings, refusing(t), named(t, "alive"))
	h := NewTarget(svc, tries(0, 1))
	for range 50 {
		if got, err := ask(h, "POST"); got != "200 alive" {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// TestManyDeadAtOnce: with the one attempt that routes have by default, a request finds the instance that lives.
func TestManyDeadAtOnce(t *testing.T) {
	b := newBed(t)
	settings := defaults()
	settings.Balance.Policy = "roundRobin"
	svc := b.over(settings, refusing(t), refusing(t), refusing(t), named(t, "alive"), refusing(t))
	h := NewTarget(svc, tries(0, 1))
	for range 20 {
		if got, err := ask(h, "POST"); got != "200 alive" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	// Without attempts nothing is tried twice.
	failed := 0
	h = NewTarget(svc, tries(0, 0))
	for range 10 {
		if _, err := ask(h, "GET"); err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Error("it was tried again")
	}
}

func TestBudget(t *testing.T) {
	rule := config.RetryBudget{Share: 0.2, MinPerSecond: 3}
	second := int64(time.Second)
	var b budget
	now, requests := second, uint64(1_000_000)
	if took := drain(&b, now, requests, rule); took != 3 {
		t.Errorf("a service with a past has %d retries at first, want the 3 of a second", took)
	}
	// 1,000 requests a second put 200 in; a second's worth is kept.
	for range 20 {
		now, requests = now+second, requests+1000
		b.left(now, requests, rule)
	}
	if took := drain(&b, now, requests, rule); took < 150 || took > 201 {
		t.Errorf("a busy service has %d retries at once, want about 200", took)
	}
	// In a storm each request puts its fifth in.
	took := 0
	for range 100 {
		now, requests = now+second/100, requests+10
		took += drain(&b, now, requests, rule)
	}
	if took < 195 || took > 210 {
		t.Errorf("%d retries in a second of 1,000 requests", took)
	}
	// Instances that leave take their counts with them.
	drain(&b, now, requests, rule)
	if took := drain(&b, now, 5, rule); took != 0 {
		t.Errorf("%d retries out of nothing", took)
	}
	if took := drain(&b, now+second, 5, rule); took != 3 {
		t.Errorf("%d retries after a quiet second", took)
	}
	none := config.RetryBudget{}
	if took := drain(&budget{}, now, 1000, none); took != 0 {
		t.Errorf("%d retries of no budget", took)
	}
}

// drain takes all retries that there are.
func drain(b *budget, now int64, requests uint64, rule config.RetryBudget) (n int) {
	for n < 1e6 && b.take(now, requests, rule) {
		n++
	}
	return n
}

// TestFastErrorsArePriced: by default, and without retries, an instance that fails at once does not attract traffic.
func TestFastErrorsArePriced(t *testing.T) {
	b := newBed(t)
	addresses := make([]string, 0, 20)
	bad, seen := answering(t, 500)
	addresses = append(addresses, bad)
	for range 19 {
		addresses = append(addresses, named(t, "good"))
	}
	svc := b.over(defaults(), addresses...)
	h := NewTarget(svc, tries(0, 0))
	const n = 3000
	for range n {
		if _, err := ask(h, "GET"); err != nil {
			t.Fatal(err)
		}
	}
	if failed := seen.Load(); failed > n/200 {
		t.Errorf("%d of %d requests went to the one of 20 that fails", failed, n)
	}
	for status, want := range map[int]bool{200: false, 404: false, 499: false, 500: true, 501: false, 502: true, 504: true, 505: false, 599: true} {
		if failing(status) != want {
			t.Errorf("%d: %v", status, failing(status))
		}
	}
}
