package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// Everything from here to the benchmark allocates nothing per request, so what is counted is the gateway's.

// rawBackend answers 1,024 bytes to every request, after its body if that is a POST of 1,024 bytes.
func rawBackend(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			all.Go(func() {
				buf := make([]byte, 8<<10)
				for readRequest(conn, buf) {
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

func readRequest(conn net.Conn, buf []byte) bool {
	n := 0
	for {
		k, err := conn.Read(buf[n:])
		if err != nil {
			return false
		}
		n += k
		head := bytes.Index(buf[:n], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		length := head + 4
		if buf[0] == 'P' {
			length += 1024
		}
		if n >= length {
			return true
		}
	}
}

// caller asks over one connection that is kept.
type caller struct {
	tb      testing.TB
	conn    net.Conn
	request []byte
	buf     []byte
	length  int // of every answer
}

func call(tb testing.TB, address, request string) *caller {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	c := &caller{tb: tb, conn: conn, request: []byte(request), buf: make([]byte, 16<<10)}
	if _, err := conn.Write(c.request); err != nil {
		tb.Fatal(err)
	}
	n := 0
	for {
		k, err := conn.Read(c.buf[n:])
		if err != nil {
			tb.Fatalf("%v after %q", err, c.buf[:n])
		}
		n += k
		if head := bytes.Index(c.buf[:n], []byte("\r\n\r\n")); head >= 0 && n >= head+4+1024 {
			break
		}
	}
	if !bytes.HasPrefix(c.buf, []byte("HTTP/1.1 200 ")) {
		tb.Fatalf("answer %q", c.buf[:n])
	}
	c.length = n
	return c
}

func (c *caller) once() {
	if _, err := c.conn.Write(c.request); err != nil {
		c.tb.Fatal(err)
	}
	if _, err := io.ReadFull(c.conn, c.buf[:c.length]); err != nil {
		c.tb.Fatal(err)
	}
}

// proxied starts a gateway with 10,000 routes and two filters on each, in front of rawBackend.
func proxied(tb testing.TB, accessLog string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {address: \"off\"}\naccessLog: {path: %q}\n%s", accessLog, web)
	fmt.Fprintf(&b, "registries: [{name: r, type: static, services: {s: [%q]}}]\nroutes:\n", rawBackend(tb))
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - {name: r%d, match: {path: \"/svc-%d/**\"}, filters: [{stripPrefix: {parts: 1}}, "+
			"{setRequestHeader: {name: X-Gateway, value: sluice}}], to: {service: s}}\n", i, i)
	}
	doc, mistakes := config.Parse("bench.yaml", []byte(b.String()), kinds())
	if len(mistakes) > 0 {
		tb.Fatal(mistakes)
	}
	g := New(Options{Components: parts(), Logger: slog.New(slog.DiscardHandler), Namespace: tb.Name()})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 10*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx, 0); err != nil {
			tb.Error(err)
		}
	})
	if err := g.Start(doc); err != nil {
		tb.Fatal(err)
	}
	address := g.Status().Listeners[0].Address
	deadline := time.Now().Add(10 * time.Second)
	for !g.Status().Ready {
		if time.Now().After(deadline) {
			tb.Fatal("the gateway is not ready")
		}
		time.Sleep(time.Millisecond)
	}
	return address
}

func getRequest() string {
	return "GET /svc-7777/items/42 HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
}

func postRequest() string {
	return "POST /svc-7777/items HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("k", 1024)
}

// proxiedCases are what the benchmark and the test go through.
func proxiedCases(tb testing.TB) []struct{ name, request, log string } {
	file := filepath.Join(tb.TempDir(), "access.log")
	return []struct{ name, request, log string }{
		{"GET", getRequest(), "off"},
		{"POST", postRequest(), "off"},
		{"GET/logged", getRequest(), file},
		{"POST/logged", postRequest(), file},
	}
}

// BenchmarkProxied is one request at a time through the whole gateway over real sockets: the wall time is mostly that of
// six wake-ups, the allocations are what matters.
func BenchmarkProxied(b *testing.B) {
	for _, c := range proxiedCases(b) {
		b.Run(c.name, func(b *testing.B) {
			client := call(b, proxied(b, c.log), c.request)
			b.ReportAllocs()
			for b.Loop() {
				client.once()
			}
		})
	}
}

// TestProxiedRequestAllocatesNothing holds the hot path to that in every run of the tests.
func TestProxiedRequestAllocatesNothing(t *testing.T) {
	if protocol.Poisoning {
		t.Skip("with the race detector pools forget on purpose")
	}
	for _, c := range proxiedCases(t) {
		t.Run(c.name, func(t *testing.T) {
			client := call(t, proxied(t, c.log), c.request)
			for range 200 {
				client.once() // fill the pools
			}
			// What runs once a second beside requests may allocate, hence not exactly 0.
			if n := testing.AllocsPerRun(2000, client.once); n > 0.05 {
				t.Errorf("%v allocations a request", n)
			}
		})
	}
}
