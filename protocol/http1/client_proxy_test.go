package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// startProxy runs a Server whose Handler is a Client of addr: the whole way of a request but routes and filters.
func startProxy(t testing.TB, cfg ClientConfig) (string, *Client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := startClient(t, cfg)
	s := NewServer(c, ServerConfig{})
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
		serving.Wait()
	})
	return ln.Addr().String(), c
}

func TestProxyBetweenNetHTTP(t *testing.T) {
	upstream := startHTTP(t, echo)
	addr, c := startProxy(t, ClientConfig{Address: upstream, PreserveHost: true})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: patience}
	defer client.CloseIdleConnections()
	for _, size := range []int{0, 1, 1000, 4000, 5000, 65_536, 300_000, 3 << 20} {
		for _, known := range []bool{true, false} {
			data := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			var body io.Reader = strings.NewReader(data)
			if !known {
				body = struct{ io.Reader }{body}
			}
			req, _ := http.NewRequest("POST", "http://"+addr+"/a", body)
			req.Host = "shop.example"
			if !known {
				req.Trailer = http.Header{"X-Sum": {"1"}}
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("size %d, known %v: %v", size, known, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != data {
				t.Fatalf("size %d, known %v: %d bytes, %v", size, known, len(got), err)
			}
			if host := resp.Header.Get("X-Seen-Host"); host != "shop.example" {
				t.Errorf("upstream saw host %q", host)
			}
			if !known {
				if trailer := resp.Header.Get("X-Seen-Trailer"); trailer != "X-Sum=1" {
					t.Errorf("size %d: upstream saw trailer %q", size, trailer)
				}
			}
		}
	}
	if s := c.Stats(); s.Dialled != 1 {
		t.Errorf("stats are %+v, want one connection", s)
	}
}

// Sixty-four callers at once, each checking that every byte of its answer is its own: with poisoned buffers (race builds)
// a string or piece that outlives its exchange shows here.
func TestProxyUnderLoad(t *testing.T) {
	upstream := startHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Echo", r.Header.Get("X-Id"))
		if len(body)%2 == 0 {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		_, _ = w.Write(body)
	})
	addr, c := startProxy(t, ClientConfig{Address: upstream, MaxConnections: 40})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience}
	defer client.CloseIdleConnections()
	stop := make(chan struct{})
	var sweeping, wg sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				c.Sweep(protocol.Now())
			}
		}
	})
	for g := range 64 {
		wg.Go(func() {
			for i := range 15 {
				id := fmt.Sprintf("%d-%d", g, i)
				data := strings.Repeat(id+";", (g*37+i*1013)%9000)
				if i == 7 {
					data = strings.Repeat(id+";", 30_000) // large enough to be spliced
				}
				var body io.Reader = strings.NewReader(data)
				if i%3 == 0 {
					body = struct{ io.Reader }{body}
				}
				req, _ := http.NewRequest("PUT", "http://"+addr+"/", body)
				req.Header.Set("X-Id", id)
				resp, err := client.Do(req)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != data || resp.Header.Get("X-Echo") != id || resp.StatusCode != 200 {
					t.Errorf("%s: status %d, %d bytes instead of %d, echo %q, %v", id, resp.StatusCode, len(got), len(data), resp.Header.Get("X-Echo"), err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	sweeping.Wait()
	// A caller has its answer a moment before the proxy has put the connection back.
	eventually(t, "all connections are idle", func() bool {
		s := c.Stats()
		return s.Open == s.Idle && s.Pending == 0 && s.Open <= 40
	})
}

// plainUpstream answers every request with the same bytes and allocates nothing, so that allocations that are counted
// are the gateway's. size is the length of the requests' bodies.
func plainUpstream(t testing.TB, size int, answer []byte) string {
	u := startUpstream(t, func(p *rawPeer) {
		buf := make([]byte, 256<<10)
		for {
			if !readMessage(p.Conn, buf, size) {
				return
			}
			if _, err := p.Conn.Write(answer); err != nil {
				return
			}
		}
	})
	return u.addr()
}

// readMessage reads a head and a body of size bytes from a connection on which nothing is pipelined.
func readMessage(c net.Conn, buf []byte, size int) bool {
	n := 0
	for {
		k, err := c.Read(buf[n:])
		if err != nil {
			return false
		}
		n += k
		end := bytes.Index(buf[:n], []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		for left := size - (n - end - 4); left > 0; left -= k {
			if k, err = c.Read(buf[:min(len(buf), left)]); err != nil {
				return false
			}
		}
		return true
	}
}

type load struct {
	name           string
	request        []byte
	body, answered int
	answer         []byte
}

func loads() []load {
	const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: text/html,application/xhtml+xml\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef\r\n"
	answer := func(n int) []byte {
		return []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(n) + "\r\n\r\n" + strings.Repeat("a", n))
	}
	request := func(method string, n int) []byte {
		head := method + " /orders/17?x=y HTTP/1.1\r\nHost: shop.example\r\n" + browser
		if n > 0 {
			head += "Content-Length: " + strconv.Itoa(n) + "\r\n"
		}
		return []byte(head + "\r\n" + strings.Repeat("b", n))
	}
	return []load{
		{"GET1K", request("GET", 0), 0, 1024, answer(1024)},
		{"POST1K", request("POST", 1024), 1024, 2, answer(2)},
		{"GET1M", request("GET", 0), 0, 1 << 20, answer(1 << 20)},
		{"POST1M", request("POST", 1<<20), 1 << 20, 2, answer(2)},
	}
}

// drive returns a function that runs one request through the proxy at addr.
func (l *load) drive(t testing.TB, addr string) func() {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	buf := make([]byte, 256<<10)
	return func() {
		if _, err := c.Write(l.request); err != nil {
			t.Fatal(err)
		}
		if !readMessage(c, buf, l.answered) {
			t.Fatal("no whole answer")
		}
	}
}

func TestProxyAllocatesNothing(t *testing.T) {
	if protocol.Poisoning {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, l := range loads() {
		addr, _ := startProxy(t, ClientConfig{Address: plainUpstream(t, l.body, l.answer), BodyIdleTimeout: time.Minute, ResponseTimeout: time.Minute, IdleTimeout: time.Minute})
		f := l.drive(t, addr)
		for range 20 {
			f()
		}
		if n := testing.AllocsPerRun(300, f); n >= 1 {
			t.Errorf("%s: %v allocations a request", l.name, n)
		}
	}
}

func BenchmarkProxy(b *testing.B) {
	for _, l := range loads() {
		for _, direct := range []bool{true, false} {
			name := l.name
			if direct {
				name += "/direct" // the driver and the upstream alone, to subtract
			} else {
				name += "/proxied"
			}
			b.Run(name, func(b *testing.B) {
				addr := plainUpstream(b, l.body, l.answer)
				if !direct {
					addr, _ = startProxy(b, ClientConfig{Address: addr, BodyIdleTimeout: time.Minute, ResponseTimeout: time.Minute, IdleTimeout: time.Minute})
				}
				f := l.drive(b, addr)
				f()
				b.ReportAllocs()
				b.ResetTimer()
				for b.Loop() {
					f()
				}
			})
		}
	}
}

// BenchmarkClientExchange is the client's side alone.
func BenchmarkClientExchange(b *testing.B) {
	c := startClient(b, ClientConfig{Address: plainUpstream(b, 0, []byte(okAnswer)), ResponseTimeout: time.Minute, IdleTimeout: time.Minute})
	req := newRequest("GET", "/orders/17?x=y", "Accept", "*/*", "X-Request-Id", "0123456789")
	ctx := newLeaving()
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Serve(ctx, req)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := resp.Body.Next(); err != nil {
			b.Fatal(err)
		}
		_ = resp.Close()
	}
}

func TestProxyPassesTunnelsThrough(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send(switching)
		_, _ = io.Copy(p.Conn, p.r)
	})
	addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "x" {
		t.Fatalf("got %+v, %v", resp, err)
	}
	for _, word := range []string{"ping", "pong"} {
		_, _ = io.WriteString(c, word)
		b := make([]byte, 4)
		if _, err := io.ReadFull(r, b); err != nil || string(b) != word {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	_ = c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v", rest, err)
	}
}

// The client leaves while its answer is awaited; the instance must see its connection end.
func TestProxyCancelsWhenTheClientLeaves(t *testing.T) {
	started, closed := make(chan struct{}), make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		close(started)
		p.waitClosed()
		close(closed)
	})
	addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-started
	c.Close()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("the instance still works for a client that left")
	}
}
