package flowcontrol

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alibaba/sentinel-golang/core/base"
	"github.com/alibaba/sentinel-golang/core/stat"

	"github.com/sluice-gateway/sluice/protocol"
)

// together runs f in n goroutines until it returns false, and waits.
func together(n int, f func() bool) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for f() {
			}
		})
	}
	wg.Wait()
}

// TestRateUnderParallelLoad holds Sentinel to what a window of two halves can promise: over any second at most twice the
// limit, in the long run the limit, and never a pause of more than the window while requests keep coming.
func TestRateUnderParallelLoad(t *testing.T) {
	const limit, callers = 100, 16
	length := 3 * time.Second
	if testing.Short() {
		length = 1200 * time.Millisecond
	}
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {QPS: limit}})
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	var mu sync.Mutex
	var passes []time.Duration
	start := time.Now()
	together(callers, func() bool {
		if ask(t, h) {
			mu.Lock()
			passes = append(passes, time.Since(start))
			mu.Unlock()
		} else {
			time.Sleep(time.Millisecond)
		}
		return time.Since(start) < length
	})
	slices.Sort(passes)
	const overshoot = callers // each may have looked before the others were counted, once a half window
	for i, from := range passes {
		end, _ := slices.BinarySearch(passes, from+time.Second)
		if n := end - i; n > 2*limit+overshoot {
			t.Fatalf("%d passed within one second after %v", n, from)
		}
		if i > 0 && from-passes[i-1] > 1500*time.Millisecond {
			t.Errorf("nothing passed between %v and %v", passes[i-1], from)
		}
	}
	// One window may have been full before the first, one half is begun at the end.
	if most := int(limit*(length.Seconds()+1)) + 4*overshoot; len(passes) > most || len(passes) < limit*int(length.Seconds())*7/10 {
		t.Errorf("%d passed in %v, want about %d", len(passes), length, int(limit*length.Seconds()))
	}
}

// TestConcurrencyUnderParallelLoad: Sentinel looks before it counts, so that a few more may run for a moment; what runs is
// counted to the end, and nothing is left over.
func TestConcurrencyUnderParallelLoad(t *testing.T) {
	const limit, callers = 5, 32
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {Concurrency: limit}})
	var running, peak, passes, refusals atomic.Int64
	h := e.Guard("r").Filter()(protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		now := running.Add(1)
		for top := peak.Load(); now > top && !peak.CompareAndSwap(top, now); top = peak.Load() {
		}
		time.Sleep(200 * time.Microsecond)
		running.Add(-1)
		return server(ctx, req)
	}))
	left := atomic.Int64{}
	left.Store(callers * 100)
	together(callers, func() bool {
		if ask(t, h) {
			passes.Add(1)
		} else {
			refusals.Add(1)
			time.Sleep(50 * time.Microsecond)
		}
		return left.Add(-1) > 0
	})
	t.Logf("%d at once, %d passed, %d refused", peak.Load(), passes.Load(), refusals.Load())
	if peak.Load() > 2*limit || peak.Load() < limit/2 || refusals.Load() == 0 {
		t.Errorf("%d ran at once with a limit of %d; %d refused", peak.Load(), limit, refusals.Load())
	}
	// All places are free again: exactly the limit can be held open, one after the other.
	h = e.Guard("r").Filter()(protocol.HandlerFunc(server))
	var open []*protocol.Response
	for range limit {
		resp, err := h.Serve(context.Background(), &protocol.Request{})
		if err != nil {
			t.Fatalf("only %d places of %d are free: %v", len(open), limit, err)
		}
		open = append(open, resp)
	}
	_, err := h.Serve(context.Background(), &protocol.Request{})
	body := string(protocol.AppendProblem(nil, protocol.AsError(err), ""))
	if !strings.Contains(body, `"rule":"concurrency"`) || !strings.Contains(body, `"resource":"r"`) {
		t.Errorf("one more than the limit: %s", body)
	}
	for _, resp := range open {
		if err := resp.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestApplyUnderLoad changes limits while requests run: each call ends well, and the last limits hold.
func TestApplyUnderLoad(t *testing.T) {
	e := engine(t)
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	traffic.Go(func() {
		together(4, func() bool {
			ask(t, h)
			select {
			case <-stop:
				return false
			default:
				return true
			}
		})
	})
	for i := range 50 {
		apply(t, e, map[string]Limits{"r": {QPS: float64(1 + i%3), Concurrency: 1 + i%4}, "other": {QPS: float64(i + 1)}})
	}
	apply(t, e, map[string]Limits{"r": {QPS: 1e6}})
	close(stop)
	traffic.Wait()
	if n := passed(t, h, 200); n != 200 {
		t.Errorf("%d of 200 passed after the limit was raised and the load was gone", n)
	}
	apply(t, e, nil)
	if n := passed(t, h, 200); n != 200 {
		t.Errorf("%d of 200 passed without limits", n)
	}
}

// TestGuardsFollowTheRules: a guard that was made first keeps working whatever is applied later.
func TestGuardsFollowTheRules(t *testing.T) {
	e := engine(t)
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	if n := passed(t, h, 50); n != 50 {
		t.Errorf("%d of 50 passed before there was a rule", n)
	}
	apply(t, e, map[string]Limits{"r": {}, "other": {QPS: 1}}) // no limit at all
	if n := passed(t, h, 50); n != 50 {
		t.Errorf("%d of 50 passed with empty limits", n)
	}
	apply(t, e, map[string]Limits{"r": {QPS: 1.0 / 60}})
	if n := passed(t, h, 50); n > 2 {
		t.Errorf("%d of 50 passed a limit of one a minute", n)
	}
}

// TestWindowsNeverLetMoreThrough: whatever the rate, the window that Sentinel gets lets at least one request through, never
// more than the rate, and comes within a tenth of it.
func TestWindowsNeverLetMoreThrough(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		qps := math.Exp(r.Float64()*(math.Log(1e9)+math.Log(maxWindow))) / maxWindow // from one a minute to 1e9
		if (Limits{QPS: qps}).Validate() != nil {
			continue
		}
		threshold, interval := window(qps)
		rate := threshold / (float64(interval) / 1000)
		if threshold < 1 || threshold != math.Trunc(threshold) || interval < 1000 || interval > 60_000 || interval%1000 != 0 {
			t.Fatalf("%v: %v in %d ms", qps, threshold, interval)
		}
		if rate > qps*(1+1e-6) || qps > 10/maxWindow && rate < qps*0.89 {
			t.Fatalf("%v a second became %v", qps, rate)
		}
	}
}

func TestLimitsAtTheirEdges(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		ok     bool
	}{
		{Limits{}, true},
		{Limits{QPS: 1.0 / 60}, true},
		{Limits{QPS: 1.0/60 - 1e-9}, false},
		{Limits{QPS: 1e9}, true},
		{Limits{QPS: 1e9 + 1}, false},
		{Limits{QPS: math.NaN()}, false},
		{Limits{QPS: math.Inf(1)}, false},
		{Limits{Concurrency: math.MaxInt32}, true},
		{Limits{Concurrency: math.MaxInt32 + 1}, false},
	} {
		if err := c.limits.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.limits, err)
		}
	}
	e := engine(t)
	err := e.Apply(map[string]Limits{"b": {QPS: -1}, "a": {Concurrency: -1}, "good": {QPS: 1}})
	if err == nil || !strings.HasPrefix(err.Error(), "resource a: concurrency: ") || !strings.Contains(err.Error(), "\nresource b: qps: ") {
		t.Errorf("both mistakes by name, in order; got %v", err)
	}
}

// TestErrorsAreCounted for whoever reads Sentinel's statistics: failures of the service and of the transfer, not what the
// client did wrong.
func TestErrorsAreCounted(t *testing.T) {
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {QPS: 1e6}})
	broken := errors.New("broken")
	for _, end := range []func(req *protocol.Request) (*protocol.Response, error){
		func(*protocol.Request) (*protocol.Response, error) {
			return nil, protocol.NewError(404, protocol.CodeNoRoute, "x")
		},
		func(*protocol.Request) (*protocol.Response, error) {
			return nil, protocol.NewError(502, protocol.CodeUpstreamReset, "x")
		},
		func(*protocol.Request) (*protocol.Response, error) { return nil, broken },
		func(req *protocol.Request) (*protocol.Response, error) { return server(context.Background(), req) },
		func(req *protocol.Request) (*protocol.Response, error) {
			resp, err := server(context.Background(), req)
			resp.Fail(broken)
			return resp, err
		},
	} {
		h := e.Guard("r").Filter()(protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) { return end(req) }))
		if resp, err := h.Serve(context.Background(), &protocol.Request{}); err == nil {
			_ = resp.Close()
		}
	}
	node := stat.GetResourceNode(e.resource("r"))
	if n := node.GetSum(base.MetricEventError); n > 3 || n < 1 { // a second may have begun meanwhile
		t.Errorf("%d errors, want 3", n)
	}
	if n := node.CurrentConcurrency(); n != 0 {
		t.Errorf("%d still run", n)
	}
}

// TestSentinelsWords: what the library calls information is for debugging here, and its errors keep their message.
func TestSentinelsWords(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "level=DEBUG msg=i k=1\nlevel=WARN msg=w\nlevel=ERROR msg=e k=2 error=broken\n",
		slog.LevelInfo:  "level=WARN msg=w\nlevel=ERROR msg=e k=2 error=broken\n",
	} {
		var out bytes.Buffer
		a := &adapter{slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))}
		a.Debug("d")
		a.Info("i", "k", 1)
		a.Warn("w")
		a.Error(errors.New("broken"), "e", "k", 2)
		if out.String() != want {
			t.Errorf("%v:\n%s", level, &out)
		}
		if a.InfoEnabled() != (level == slog.LevelDebug) || a.DebugEnabled() || !a.WarnEnabled() || !a.ErrorEnabled() {
			t.Errorf("%v: enabled otherwise", level)
		}
	}
}
