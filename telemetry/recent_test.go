package telemetry

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

func asked(id, path string) *protocol.Request {
	return &protocol.Request{Method: "GET", Authority: "shop.example.com", Path: path, ID: id, Start: protocol.Now(), Record: protocol.Record{
		Path: path, Route: "orders", Service: "orders", Instance: "10.0.0.1:80", Attempts: 1, UpstreamNanos: int64(time.Millisecond),
	}}
}

func TestRecentTellsAll(t *testing.T) {
	r := NewRecent(8)
	before := time.Now()
	req := asked("abc", "/orders/1")
	req.Path = "/1" // a filter's doing
	r.Note(req, 200, int64(2*time.Millisecond))
	req = asked("abc", "/orders/1")
	req.Start += int64(time.Second)
	req.Record.Attempts, req.Record.Err, req.Record.Code = 3, errors.New("no luck"), protocol.CodeUpstreamReset
	req.Record.Earlier = []protocol.Try{{Instance: "10.0.0.2:80", Nanos: 5, Code: protocol.CodeUpstreamConnect}, {Instance: "10.0.0.3:80", Status: 503}}
	r.Note(req, 502, int64(3*time.Millisecond))
	r.Note(asked("other", "/"), 200, 1)
	found := r.Find("abc", 10)
	if len(found) != 2 {
		t.Fatalf("%+v", found)
	}
	bad, good := found[0], found[1]
	if good.Path != "/orders/1" || good.Method != "GET" || good.Host != "shop.example.com" || good.Status != 200 || good.Route != "orders" ||
		good.Service != "orders" || good.Instance != "10.0.0.1:80" || good.Upstream != time.Millisecond || good.Duration != 2*time.Millisecond ||
		good.Attempts != 1 || good.Earlier != nil || good.Code != "" || good.Err != "" || good.ID != "abc" {
		t.Errorf("%+v", good)
	}
	if good.Start.Before(before.Add(-time.Second)) || good.Start.After(time.Now()) {
		t.Errorf("started %v", good.Start)
	}
	if bad.Status != 502 || bad.Attempts != 3 || len(bad.Earlier) != 2 || bad.Earlier[1].Status != 503 || bad.Code != protocol.CodeUpstreamReset || bad.Err != "no luck" {
		t.Errorf("%+v", bad)
	}
	if only := r.Find("abc", 1); len(only) != 1 || only[0].Status != 502 {
		t.Errorf("%+v", only)
	}
	if f := r.Failed(10); len(f) != 1 || f[0].Status != 502 {
		t.Errorf("failed: %+v", f)
	}
}

func TestRecentChooses(t *testing.T) {
	broken := asked("", "/broken")
	broken.Record.Err = errors.New("reset")
	again := asked("", "/again")
	again.Record.Attempts = 2
	mistake := asked("", "/mistake")
	mistake.Record.Err, mistake.Record.Code = errors.New("no route"), protocol.CodeNoRoute
	for _, c := range []struct {
		req    *protocol.Request
		status int
		failed bool
	}{
		{asked("", "/fine"), 200, false}, {mistake, 404, false}, {asked("", "/gone"), 499, true},
		{asked("", "/error"), 500, true}, {broken, 200, true}, {again, 200, true},
	} {
		r := NewRecent(1)
		r.Note(c.req, c.status, 1)
		if n := len(r.Failed(5)); (n == 1) != c.failed {
			t.Errorf("%s %d: %d failures", c.req.Path, c.status, n)
		}
		if n := len(r.Find("", 5)); (n == 1) != c.failed {
			t.Errorf("%s %d: %d kept without an id", c.req.Path, c.status, n)
		}
	}
	r := NewRecent(1)
	mistake.ID = "x"
	r.Note(mistake, 404, 1)
	if f := r.Find("x", 5); len(f) != 1 || len(r.Failed(5)) != 0 || f[0].Err != "no route" {
		t.Errorf("%+v", f)
	}
}

func TestRecentNeverGrows(t *testing.T) {
	r := NewRecent(10)
	bad := asked("bad", "/bad")
	r.Note(bad, 500, 1)
	for i := range 1000 {
		req := asked(fmt.Sprint(i), "/x")
		req.Start = int64(i + 1)
		r.Note(req, 200, 1)
	}
	for i, n := range map[int]int{999: 1, 995: 1, 994: 0, 1: 0} {
		if got := len(r.Find(fmt.Sprint(i), 5)); got != n {
			t.Errorf("%d is there %d times, want %d", i, got, n)
		}
	}
	if len(r.Find("bad", 5)) != 1 {
		t.Error("a failure was pushed out by what went well")
	}
	long := strings.Repeat("x", 5000)
	req := asked(long, "/"+long)
	req.Method, req.Authority, req.Record.Err = long, long, errors.New(long)
	r.Note(req, 502, 1)
	x := r.Find(long, 1)[0]
	if len(x.ID) != keptID || len(x.Method) != keptMethod || len(x.Host) != keptHost || !x.PathCut || !strings.HasPrefix(x.Path, "/xxx") ||
		len(x.ID)+len(x.Method)+len(x.Host)+len(x.Path) != keptText || len(x.Err) != keptError {
		t.Errorf("%+v", x)
	}
}

func TestRecentOff(t *testing.T) {
	var r *Recent
	r.Note(asked("a", "/"), 500, 1)
	if r.Find("a", 1) != nil || r.Failed(1) != nil || r.Size() != 0 || NewRecent(0) != nil || NewRecent(1024).Size() != 1024 {
		t.Error("nil is not off")
	}
}

// TestRecentOwnsItsText: the exchange's memory is another exchange's a moment later.
func TestRecentOwnsItsText(t *testing.T) {
	r := NewRecent(4)
	memory := []byte("id-1 /path host")
	var a protocol.Arena
	req := asked(a.String(memory[:4]), a.String(memory[5:10]))
	req.Authority = a.String(memory[11:])
	r.Note(req, 200, 1)
	a.Reset()
	a.String([]byte("################"))
	if x := r.Find("id-1", 1); len(x) != 1 || x[0].Path != "/path" || x[0].Host != "host" {
		t.Errorf("%+v", x)
	}
}

func TestRecentIsReadWhileWritten(t *testing.T) {
	r := NewRecent(8)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 2000 {
				id := strings.Repeat(string(rune('a'+(n+i)%20)), 1+i%100)
				r.Note(asked(id, "/"+id), 200+300*(i%2), 1)
			}
		})
	}
	all.Go(func() {
		for range 500 {
			for _, x := range append(r.Failed(8), r.Find("a", 8)...) {
				if x.Path != "/"+x.ID {
					t.Errorf("id %q, path %q", x.ID, x.Path)
				}
			}
		}
	})
	all.Wait()
}

func TestNoteAllocatesNothing(t *testing.T) {
	r := NewRecent(1024)
	req := asked("5f2b8c1e-8a4d-4b6f-9d53-0d1b5f0f5a11", "/orders/123456/items")
	req.Record.Earlier = []protocol.Try{{}}
	if n := testing.AllocsPerRun(1000, func() { r.Note(req, 200, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNote(b *testing.B) {
	with := asked("5f2b8c1e-8a4d-4b6f-9d53-0d1b5f0f5a11", "/orders/123456/items/42")
	without := asked("", "/orders/123456/items/42")
	for name, req := range map[string]*protocol.Request{"id": with, "none": without} {
		b.Run(name, func(b *testing.B) {
			r := NewRecent(1024)
			b.ReportAllocs()
			for b.Loop() {
				r.Note(req, 200, 1)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			r := NewRecent(1024)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.Note(req, 200, 1)
				}
			})
		})
	}
}
