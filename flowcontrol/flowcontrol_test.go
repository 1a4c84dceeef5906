package flowcontrol

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func engine(t *testing.T) *Engine {
	t.Helper()
	e := New(t.Name(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func apply(t *testing.T, e *Engine, limits map[string]Limits) {
	t.Helper()
	if err := e.Apply(limits); err != nil {
		t.Fatal(err)
	}
}

// server answers everything at once.
func server(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	resp := req.NewResponse()
	resp.Status = 200
	return resp, nil
}

// ask sends one request and reports whether it passed, closing the answer.
func ask(t *testing.T, h protocol.Handler) bool {
	t.Helper()
	resp, err := h.Serve(context.Background(), &protocol.Request{Method: "GET", Path: "/"})
	if err != nil {
		var e *protocol.Error
		if !errors.As(err, &e) || e.Status != 429 || e.Code != protocol.CodeFlowLimited || e.RetryAfter <= 0 {
			t.Fatalf("refused with %v", err)
		}
		return false
	}
	if err := resp.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}

func passed(t *testing.T, h protocol.Handler, n int) int {
	t.Helper()
	got := 0
	for range n {
		if ask(t, h) {
			got++
		}
	}
	return got
}

func TestQPS(t *testing.T) {
	e := engine(t)
	apply(t, e, map[string]Limits{"orders": {QPS: 5}})
	h := e.Guard("orders").Filter()(protocol.HandlerFunc(server))
	// The loop takes far less than half a window, but may cross its border once.
	if n := passed(t, h, 50); n < 5 || n > 10 {
		t.Errorf("%d passed at once, want 5 (10 across a border)", n)
	}
	// In three and a half seconds the limit holds on average, and the resource comes back by itself.
	n, end := 0, time.Now().Add(3500*time.Millisecond)
	for time.Now().Before(end) {
		n += passed(t, h, 1)
		time.Sleep(5 * time.Millisecond)
	}
	if n < 10 || n > 25 {
		t.Errorf("%d passed in 3.5 s, want about 15", n)
	}
}

func TestConcurrency(t *testing.T) {
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {Concurrency: 2}})
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	var open []*protocol.Response
	for range 2 {
		resp, err := h.Serve(context.Background(), &protocol.Request{})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	if ask(t, h) {
		t.Error("a third one runs")
	}
	// A request runs until its answer is closed, not until its head is there.
	_ = open[0].Close()
	if !ask(t, h) {
		t.Error("refused, though one has ended")
	}
	_ = open[1].Close()
}

func TestEntryEndsHoweverTheHandlerEnds(t *testing.T) {
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {Concurrency: 1}})
	broken := e.Guard("r").Filter()(protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
		return nil, protocol.NewError(502, protocol.CodeUpstreamReset, "x")
	}))
	panics := e.Guard("r").Filter()(protocol.HandlerFunc(func(context.Context, *protocol.Request) (*protocol.Response, error) {
		panic("x")
	}))
	for range 3 {
		if _, err := broken.Serve(context.Background(), &protocol.Request{}); protocol.AsError(err).Code != protocol.CodeUpstreamReset {
			t.Fatalf("%v: still counted as running", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic: still counted as running")
				}
			}()
			_, _ = panics.Serve(context.Background(), &protocol.Request{})
		}()
	}
}

func TestRefusalNamesTheRule(t *testing.T) {
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {QPS: 1.0 / 60}})
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	passed(t, h, 2)
	_, err := h.Serve(context.Background(), &protocol.Request{})
	body := string(protocol.AppendProblem(nil, protocol.AsError(err), ""))
	for _, want := range []string{`"status":429`, `"code":"flow_limited"`, `"rule":"qps"`, `"resource":"r"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	if strings.Contains(body, t.Name()) {
		t.Error("the namespace is shown to clients")
	}
}

func TestApplyChangesOnlyWhatChanged(t *testing.T) {
	e := engine(t)
	limits := map[string]Limits{"a": {QPS: 1.0 / 60}, "b": {QPS: 1.0 / 60}}
	apply(t, e, limits)
	a := e.Guard("a").Filter()(protocol.HandlerFunc(server))
	b := e.Guard("b").Filter()(protocol.HandlerFunc(server))
	passed(t, a, 2)
	passed(t, b, 2)
	limits["b"] = Limits{QPS: 1000}
	apply(t, e, limits)
	if ask(t, a) {
		t.Error("a's count was lost by a change of b")
	}
	if !ask(t, b) {
		t.Error("b has not changed")
	}
	delete(limits, "a")
	apply(t, e, limits)
	if passed(t, a, 20) != 20 {
		t.Error("a is limited without a rule")
	}
}

func TestEnginesDoNotDisturbEachOther(t *testing.T) {
	one := New(t.Name()+"1", slog.New(slog.DiscardHandler))
	two := New(t.Name()+"2", slog.New(slog.DiscardHandler))
	apply(t, one, map[string]Limits{"r": {QPS: 1.0 / 60}})
	apply(t, two, map[string]Limits{"r": {QPS: 1000}})
	passed(t, one.Guard("r").Filter()(protocol.HandlerFunc(server)), 3)
	if n := passed(t, two.Guard("r").Filter()(protocol.HandlerFunc(server)), 20); n != 20 {
		t.Errorf("%d of 20 passed", n)
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	if ask(t, one.Guard("r").Filter()(protocol.HandlerFunc(server))) {
		t.Error("closing one engine freed the other's resource")
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWindow(t *testing.T) {
	for qps, want := range map[float64]struct {
		threshold float64
		interval  uint32
	}{
		1: {1, 1000}, 100: {100, 1000}, 0.5: {1, 2000}, 1.5: {3, 2000}, 2.25: {9, 4000}, 0.1: {1, 10000}, 1.0 / 60: {1, 60000},
		3.1415926: {12, 4000},
	} {
		if n, ms := window(qps); n != want.threshold || ms != want.interval {
			t.Errorf("%v a second: %v in %d ms, want %v in %d", qps, n, ms, want.threshold, want.interval)
		}
	}
}

func TestValidate(t *testing.T) {
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {QPS: 1.0 / 60}})
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	passed(t, h, 2)
	for _, bad := range []Limits{{QPS: -1}, {QPS: 1e-9}, {QPS: 1e10}, {Concurrency: -1}} {
		if err := e.Apply(map[string]Limits{"x": bad}); err == nil || !strings.Contains(err.Error(), "resource x: ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if ask(t, h) {
		t.Error("a refused Apply took the old rules away")
	}
}

// TestNothingIsOpenedOrWritten holds Sentinel to what the package comment promises.
func TestNothingIsOpenedOrWritten(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	e := engine(t)
	apply(t, e, map[string]Limits{"r": {QPS: 10, Concurrency: 5}})
	passed(t, e.Guard("r").Filter()(protocol.HandlerFunc(server)), 100)
	var files []string
	_ = filepath.Walk(home, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	if len(files) > 0 {
		t.Errorf("files in the home folder: %v", files)
	}
	if c, err := net.DialTimeout("tcp", "127.0.0.1:8719", time.Second); err == nil {
		_ = c.Close()
		t.Error("Sentinel's port is open")
	}
}

func BenchmarkGuard(b *testing.B) {
	e := New(b.Name(), slog.New(slog.DiscardHandler))
	if err := e.Apply(map[string]Limits{"r": {QPS: 1e9, Concurrency: 1000}}); err != nil {
		b.Fatal(err)
	}
	h := e.Guard("r").Filter()(protocol.HandlerFunc(server))
	req := &protocol.Request{}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := h.Serve(context.Background(), req)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Close()
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}
