package telemetry

import (
	"bufio"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMetrics(t *testing.T) {
	m := NewMetrics()
	r := m.Route("orders")
	if m.Route("orders") != r {
		t.Fatal("a second ask gave other counters")
	}
	m.Route("idle")
	for _, x := range []struct {
		status int
		nanos  int64
		rec    protocol.Record
	}{
		{200, int64(3 * time.Millisecond), protocol.Record{RequestBytes: 10, ResponseBytes: 100}},
		{204, int64(time.Millisecond), protocol.Record{}},
		{503, int64(time.Minute), protocol.Record{Code: protocol.CodeNoInstance}},
		{999, -5, protocol.Record{}},
	} {
		r.Begin()
		r.End(&x.rec, x.status, x.nanos)
	}
	r.Begin()
	want := `
# HELP sluice_errors_total Answers that the gateway made itself, by error code.
# TYPE sluice_errors_total counter
sluice_errors_total{code="no_instance",route="orders"} 1
# HELP sluice_http_body_bytes_total Body bytes that passed.
# TYPE sluice_http_body_bytes_total counter
sluice_http_body_bytes_total{direction="in",route="orders"} 10
sluice_http_body_bytes_total{direction="out",route="orders"} 100
# HELP sluice_http_requests_in_flight Requests that have begun and not ended.
# TYPE sluice_http_requests_in_flight gauge
sluice_http_requests_in_flight{route="orders"} 1
# HELP sluice_http_requests_total Requests that ended, by route and class of status.
# TYPE sluice_http_requests_total counter
sluice_http_requests_total{route="orders",status="2xx"} 2
sluice_http_requests_total{route="orders",status="5xx"} 2
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), "sluice_errors_total", "sluice_http_body_bytes_total",
		"sluice_http_requests_in_flight", "sluice_http_requests_total"); err != nil {
		t.Error(err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "sluice_http_request_duration_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		if h.GetSampleCount() != 4 || len(h.GetBucket()) != numBuckets {
			t.Errorf("histogram %v", h)
		}
		if first := h.GetBucket()[0]; first.GetUpperBound() != 0.001 || first.GetCumulativeCount() != 2 {
			t.Errorf("first bucket %v, want 2 up to 1 ms", first)
		}
		if last := h.GetBucket()[numBuckets-1]; last.GetCumulativeCount() != 3 {
			t.Errorf("last bucket %v, want 3", last)
		}
	}
	if len(Buckets()) != numBuckets {
		t.Error("numBuckets is wrong")
	}
	if problems, err := testutil.CollectAndLint(m); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func exchange() *protocol.Request {
	req := &protocol.Request{
		Method: "GET", Authority: "shop", Path: "/rewritten", RawQuery: "x=1", HasQuery: true, Version: protocol.HTTP11, ID: "r1",
		Client: netip.MustParseAddr("192.0.2.7"),
	}
	req.Header.Add("User-Agent", "curl\x01")
	req.Record = protocol.Record{
		Path: "/a\"b", Route: "orders", Service: "orders", Instance: "10.0.0.1:80", Attempts: 2, UpstreamNanos: 1_234_567,
		RequestBytes: 3, ResponseBytes: 5, Code: protocol.CodeUpstreamReset, Err: errors.New("line\nbreak"),
	}
	return req
}

func TestLine(t *testing.T) {
	line := appendLine(nil, time.Date(2026, 11, 24, 1, 2, 3, 4e6, time.UTC), exchange(), 502, 12_345_678)
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	for key, want := range map[string]any{
		"time": "2026-11-24T01:02:03.004Z", "level": "INFO", "msg": "request", "method": "GET", "host": "shop", "path": "/a\"b",
		"query": "x=1", "protocol": "HTTP/1.1", "status": 502.0, "durationMs": 12.345, "client": "192.0.2.7", "route": "orders",
		"service": "orders", "instance": "10.0.0.1:80", "attempts": 2.0, "upstreamMs": 1.234, "bytesIn": 3.0, "bytesOut": 5.0,
		"requestId": "r1", "userAgent": "curl\x01", "code": "upstream_reset", "error": "line\nbreak",
	} {
		if got[key] != want {
			t.Errorf("%s: %v, want %v", key, got[key], want)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("untested members %v", got)
	}
	if strings.Count(string(line), "\n") != 1 {
		t.Error("not one line")
	}
	bare := appendLine(nil, time.Now(), &protocol.Request{Method: "GET", Path: "/"}, 200, 1)
	if !strings.Contains(string(bare), `"path":"/"`) {
		t.Errorf("no path: %s", bare)
	}
	for _, key := range []string{"route", "query", "client", "attempts", "code", "error"} {
		if strings.Contains(string(bare), `"`+key+`"`) {
			t.Errorf("%s has no value and is written: %s", key, bare)
		}
	}
}

func lines(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); n++ {
		if !json.Valid(s.Bytes()) {
			t.Fatalf("not JSON: %s", s.Text())
		}
	}
	return n
}

func TestAccessLogLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := OpenAccessLog(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			req := exchange()
			for range 500 {
				l.Log(req, 200, 1000)
			}
		})
	}
	wg.Wait()
	l.Close()
	if n := lines(t, path); n != 2000 || l.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", n, l.Dropped())
	}
}

func TestAccessLogReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := OpenAccessLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Log(exchange(), 200, 1)
	until(t, func() bool { return lines(t, path) == 1 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	until(t, func() bool { _, err := os.Stat(path); return err == nil })
	l.Log(exchange(), 200, 1)
	until(t, func() bool { return lines(t, path) == 1 })
	if n := lines(t, path+".1"); n != 1 {
		t.Errorf("%d lines in the old file", n)
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come to be")
		}
	}
}

func TestAccessLogOff(t *testing.T) {
	l, err := OpenAccessLog("off")
	if err != nil || l != nil {
		t.Fatalf("%v %v", l, err)
	}
	l.Log(exchange(), 200, 1)
	l.Reopen()
	l.Close()
	if l.Path() != "off" || l.Dropped() != 0 {
		t.Error("a log that is off is not silent")
	}
	if _, err := OpenAccessLog(t.TempDir()); err == nil {
		t.Error("a folder was opened as a file")
	}
}

func TestAccessLogIsBounded(t *testing.T) {
	l := &AccessLog{wake: make(chan struct{}, 1)} // nobody writes it out
	req := exchange()
	for range 2 * maxBuffered / 300 {
		l.Log(req, 200, 1)
	}
	if len(l.buf) > maxBuffered+1024 || l.Dropped() == 0 {
		t.Errorf("%d bytes held, %d lines dropped", len(l.buf), l.Dropped())
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	req := exchange()
	req.Record.Code, req.Record.Err = "", nil
	r := NewMetrics().Route("x")
	buf := make([]byte, 0, 4096)
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		r.Begin()
		r.End(&req.Record, 200, 1e6)
		buf = appendLine(buf[:0], now, req, 200, 1e6)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEnd(b *testing.B) {
	req := exchange()
	req.Record.Code, req.Record.Err = "", nil
	r := NewMetrics().Route("x")
	b.Run("metrics", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Begin()
			r.End(&req.Record, 200, 1e6)
		}
	})
	b.Run("line", func(b *testing.B) {
		b.ReportAllocs()
		l := &AccessLog{wake: make(chan struct{}, 1)}
		for b.Loop() {
			l.Log(req, 200, 1e6)
			if len(l.buf) > flushAt {
				l.buf = l.buf[:0]
			}
		}
	})
}
