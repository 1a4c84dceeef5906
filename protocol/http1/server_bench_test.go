package http1

import (
	"context"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

const browserHead = "GET /orders/17?page=2 HTTP/1.1\r\nHost: shop.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\nUpgrade-Insecure-Requests: 1\r\nCache-Control: max-age=0\r\n\r\n"

// staticHandler answers with an empty body, or the request's own, and makes nothing anew.
type staticHandler struct{}

func (staticHandler) Serve(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	resp := req.NewResponse()
	resp.Status = 200
	resp.Header.AddKnown(protocol.NameContentType, "Content-Type", "text/plain")
	if req.Body != nil {
		resp.Body, resp.ContentLength = req.Body, req.ContentLength
	}
	return resp, nil
}

// roundTrips returns a function that sends text on one kept connection and reads the answer, without allocating.
func roundTrips(t testing.TB, text string) func() {
	_, addr := startServer(t, ServerConfig{}, staticHandler{}.Serve)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ask, answer := []byte(text), make([]byte, 16<<10)
	length := 0
	return func() {
		if _, err := c.Write(ask); err != nil {
			t.Fatal(err)
		}
		if length == 0 {
			n, err := c.Read(answer)
			if err != nil {
				t.Fatal(err)
			}
			length = n
			return
		}
		if _, err := io.ReadFull(c, answer[:length]); err != nil {
			t.Fatal(err)
		}
	}
}

var benchRequests = map[string]string{
	"get":     browserHead,
	"post":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024),
	"chunked": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}

func TestKeepAliveAllocatesNothing(t *testing.T) {
	if protocol.Poisoning {
		t.Skip("the race detector allocates")
	}
	for name, text := range benchRequests {
		ask := roundTrips(t, text)
		for range 100 {
			ask()
		}
		if n := testing.AllocsPerRun(1000, ask); n > 0 {
			t.Errorf("%s: %v allocations a request", name, n)
		}
	}
}

func BenchmarkServer(b *testing.B) {
	for name, text := range benchRequests {
		b.Run(name, func(b *testing.B) {
			ask := roundTrips(b, text)
			ask()
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

func BenchmarkParseHead(b *testing.B) {
	var req protocol.Request
	var hd head
	head := []byte(browserHead)
	b.ReportAllocs()
	for b.Loop() {
		req.Header.Reset()
		hd.reset()
		var line requestLine
		n, err := parseRequestLine(head, 1<<14, &line)
		if err != nil {
			b.Fatal(err)
		}
		p := fieldParser{pos: n, maxCount: 100}
		if done, err := p.parse(head, &req.Header, &hd); !done || err != nil {
			b.Fatal(done, err)
		}
		if err := line.resolve(&req, &hd); err != nil {
			b.Fatal(err)
		}
	}
}

// TestParkedConnectionIsSmall measures what an idle connection costs after its goroutine was given up: heap, stacks and the
// runtime's own records, as the 2 KB count them. The client's ends live in this process too and are measured first.
func TestParkedConnectionIsSmall(t *testing.T) {
	if protocol.Poisoning || testing.Short() {
		t.Skip("measures memory")
	}
	const count = 1000
	s, addr := startServer(t, ServerConfig{}, staticHandler{}.Serve)
	clients := make([]net.Conn, count)
	ask := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	answer := make([]byte, 4096)

	// The client's side alone: dialled to a listener that keeps connections in the kernel's queue.
	queue, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	before := memory()
	for i := range clients {
		if clients[i], err = net.Dial("tcp", queue.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	client := memory() - before
	for _, c := range clients {
		c.Close()
	}

	before = memory()
	for i := range clients {
		if clients[i], err = net.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		defer clients[i].Close()
		if _, err := clients[i].Write(ask); err != nil {
			t.Fatal(err)
		}
		if _, err := clients[i].Read(answer); err != nil {
			t.Fatal(err)
		}
	}
	end := time.Now().Add(patience)
	for s.Stats().Parked < count {
		if time.Now().After(end) {
			t.Fatalf("only %d are parked", s.Stats().Parked)
		}
		time.Sleep(10 * time.Millisecond)
	}
	each := (memory() - before - client) / count
	t.Logf("%d bytes for each parked connection (client's end: %d)", each, client/count)
	if each > 2048 {
		t.Errorf("a parked connection costs %d bytes, want at most 2048", each)
	}
	for _, c := range clients { // they still work
		if _, err := c.Write(ask); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil {
			t.Fatal(err)
		}
	}
}

// memory is what the process holds after everything unused was collected.
func memory() int64 {
	var m runtime.MemStats
	for range 3 {
		debug.FreeOSMemory() // stacks of ended goroutines too
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse + m.OtherSys)
}
