package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// one is a service with one instance, as the static registry has it.
func one(name, address string) string { return fmt.Sprintf("%s: [%q]", name, address) }

func TestSplit(t *testing.T) {
	g := start(t, registries(one("a", echo(t, "A")), one("b", echo(t, "B")))+`
routes:
  - name: split
    match: {path: "/**"}
    to: {split: [{service: a, weight: 90}, {service: b, weight: 10}, {service: a, weight: 0}]}
`)
	g.ready()
	b := 0
	const n = 600
	for range n {
		switch got := g.get("/"); {
		case strings.Contains(got, "B"):
			b++
		case !strings.Contains(got, "A"):
			t.Fatal(got)
		}
	}
	if b < n/25 || b > n/5 { // 10 %, within far more than chance allows
		t.Errorf("%d of %d requests went to the tenth", b, n)
	}
}

// recorder is a service that keeps what it was sent, and answers when it is let go.
type recorder struct {
	seen    chan string
	release chan struct{}
	count   atomic.Int32
}

func record(t *testing.T) (*recorder, string) {
	t.Helper()
	r := &recorder{seen: make(chan string, 1000), release: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.count.Add(1)
		r.seen <- fmt.Sprintf("%s %s %s %s", req.Method, req.URL, req.Header.Get("X-Test"), body)
		select {
		case <-r.release:
		case <-req.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return r, s.Listener.Addr().String()
}

func TestMirror(t *testing.T) {
	shadow, address := record(t)
	main := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		_, _ = fmt.Fprintf(w, "main got %s", body)
	}))
	defer main.Close()
	g := start(t, registries(one("main", main.Listener.Addr().String()), one("shadow", address))+`
routes:
  - name: mirrored
    match: {path: "/m/**"}
    filters: [{stripPrefix: {parts: 1}}, setRequestHeader: {name: X-Test, value: yes}]
    to: {service: main, mirror: {service: shadow}}
  - name: half
    match: {path: "/half"}
    to: {service: main, mirror: {service: shadow, share: 0.5}}
`)
	g.ready()
	began := time.Now()
	resp, err := http.Post(g.base+"/m/x?q=1", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(answer) != "main got body" || time.Since(began) > 5*time.Second {
		t.Errorf("%q after %v, while the shadow hangs", answer, time.Since(began))
	}
	select {
	case got := <-shadow.seen:
		if got != "POST /x?q=1 yes body" {
			t.Errorf("the copy is %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no copy")
	}
	// Copies that hang are bounded, and the request does not notice.
	for range 100 {
		g.want("/m/x", "200 main got")
	}
	eventually(t, func() bool { return shadow.count.Load() >= mirrorsAtOnce })
	if n := shadow.count.Load(); n > mirrorsAtOnce {
		t.Errorf("%d copies at once", n)
	}
	close(shadow.release)
	before := shadow.count.Load()
	for range 100 {
		g.want("/half", "200 main got")
	}
	eventually(t, func() bool { return shadow.count.Load() > before+20 })
	if n := shadow.count.Load() - before; n > 80 {
		t.Errorf("%d of 100 were copied", n)
	}
	// A body that is large, or not there yet, is not copied.
	before = shadow.count.Load()
	reader, writer := io.Pipe()
	go func() {
		_, _ = writer.Write([]byte("slow "))
		time.Sleep(50 * time.Millisecond)
		_, _ = writer.Write([]byte("body"))
		_ = writer.Close()
	}()
	for _, body := range []io.Reader{strings.NewReader(strings.Repeat("x", mirrorBodySize+1)), reader} {
		resp, err := http.Post(g.base+"/m/x", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	}
	if shadow.count.Load() != before {
		t.Error("it was copied")
	}
}
