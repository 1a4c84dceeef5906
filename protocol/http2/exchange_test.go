package http2

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xnet "golang.org/x/net/http2/hpack"

	"github.com/sluice-gateway/sluice/protocol"
)

// proxyTo puts our server and client in front of a handler of ours.
func proxyTo(t testing.TB, h protocol.HandlerFunc) (addr string) {
	t.Helper()
	_, upstream := startServer(t, ServerConfig{}, h)
	c := newClient(t, ClientConfig{Address: upstream})
	_, addr = startServer(t, ServerConfig{}, c.Serve)
	return addr
}

// TestSensitiveStays is RFC 7541 section 6.2.3: an intermediary must pass fields on as they came, in both directions.
func TestSensitiveStays(t *testing.T) {
	addr := proxyTo(t, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "")
		for i := range req.Header.Len() {
			f := req.Header.At(i)
			switch {
			case f.Name != "x-secret" && f.Name != "x-open":
			case f.Sensitive():
				resp.Header.AddSensitive(f.ID(), f.Name, f.Value)
			default:
				resp.Header.AddKnown(f.ID(), f.Name, f.Value)
			}
		}
		return resp, nil
	})
	p := dialPeer(t, addr)
	p.greetServer()
	for i := range uint32(4) {
		p.head = nil
		for _, f := range []xnet.HeaderField{
			{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "a"},
			{Name: "x-secret", Value: "s", Sensitive: true}, {Name: "x-open", Value: "o"},
		} {
			if err := p.enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		p.frame(frameHeaders, endBoth, 2*i+1, p.head).flush()
		_, payload := p.until(frameHeaders, 2*i+1)
		fields, err := p.dec.DecodeFull(payload)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, f := range fields {
			if f.Name == "x-secret" || f.Name == "x-open" {
				seen++
				if f.Sensitive != (f.Name == "x-secret") {
					t.Errorf("%v: sensitive is %v", f, f.Sensitive)
				}
			}
		}
		if seen != 2 {
			t.Errorf("fields %v", fields)
		}
	}
}

// TestEarlyAnswerWhileUploading is section 8.1: a server may answer before the request is whole, and say with
// RST_STREAM(NO_ERROR) that it wants no more. The answer must not be lost.
func TestEarlyAnswerWhileUploading(t *testing.T) {
	for _, size := range []int{0, 10, 300 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			content := strings.Repeat("y", size)
			addr := script(t, func(p *peer) {
				p.greetClient()
				id, _ := p.awaitRequest()
				p.until(frameData, id)
				p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "413"))
				for rest := content; len(rest) > 0; {
					n := min(len(rest), 10<<10)
					p.frame(frameData, 0, id, []byte(rest[:n]))
					rest = rest[n:]
				}
				p.frame(frameData, flagEndStream, id, nil).frame(frameRSTStream, 0, id, u32(uint32(NoError))).flush()
				p.drainPeer()
			})
			c := newClient(t, ClientConfig{Address: addr, StreamWindow: 1 << 20})
			req := newRequest("POST", "/", nil)
			body := newEndless()
			req.Body, req.ContentLength = &startThen{first: []byte("begin"), rest: body}, protocol.UnknownLength
			status, got := call(t, c, req)
			if status != 413 || got != content {
				t.Errorf("%d with %d octets", status, len(got))
			}
			select {
			case <-body.closed:
			default:
				t.Error("the upload goes on")
			}
		})
	}
}

// startThen is a body of a first piece and another body.
type startThen struct {
	first []byte
	rest  protocol.Body
}

func (b *startThen) Next() ([]byte, bool, error) {
	if first := b.first; first != nil {
		b.first = nil
		return first, true, nil
	}
	return b.rest.Next()
}
func (b *startThen) Buffered() int { return len(b.first) }
func (b *startThen) Done() bool    { return false }
func (b *startThen) Rewind() bool  { return false }
func (b *startThen) Close() error  { return b.rest.Close() }

// TestManyDeadlines lets many exchanges on one connection end at different times by its one timer.
func TestManyDeadlines(t *testing.T) {
	c := newClient(t, ClientConfig{Address: script(t, func(p *peer) { p.greetClient(); p.drainPeer() })})
	c.settle(t)
	var wg sync.WaitGroup
	var worst atomic.Int64
	for i := range 60 {
		wg.Go(func() {
			want := time.Duration(20+(i*37)%200) * time.Millisecond
			req := newRequest("GET", "/", nil)
			begun := time.Now()
			req.NarrowDeadline(int64(want))
			_, err := c.Serve(t.Context(), req)
			late := time.Since(begun) - want
			if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamTimeout || late < -time.Millisecond {
				t.Errorf("%v after %v of %v", err, late+want, want)
			}
			for w := worst.Load(); int64(late) > w && !worst.CompareAndSwap(w, int64(late)); w = worst.Load() {
			}
		})
	}
	wg.Wait()
	if d := time.Duration(worst.Load()); d > 2*time.Second {
		t.Errorf("one ended %v late", d)
	}
}

// TestForwarded believes those that are to be believed, and tells the service who asked.
func TestForwarded(t *testing.T) {
	h := func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		return reply(req, 200, fmt.Sprint(req.Scheme, " ", req.Authority, " ", req.Client, " ", req.Header.Get("x-forwarded-for"), " ", req.Version)), nil
	}
	lies := []string{"x-forwarded-for", "1.2.3.4", "x-forwarded-proto", "https", "x-forwarded-host", "shop"}
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		want    string
	}{
		{"a stranger", nil, "http example.org 127.0.0.1 127.0.0.1 HTTP/2.0"},
		{"a proxy of ours", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "https shop 1.2.3.4 1.2.3.4, 127.0.0.1 HTTP/2.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := startServer(t, ServerConfig{TrustedProxies: c.trusted}, h)
			p := dialPeer(t, addr)
			p.greetServer()
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", lies...)).flush()
			if _, payload := p.until(frameData, 1); string(payload) != c.want {
				t.Errorf("got  %s\nwant %s", payload, c.want)
			}
		})
	}
}

// TestOnRefused tells the listener's owner of requests that no Handler has seen.
func TestOnRefused(t *testing.T) {
	var mu sync.Mutex
	var told []string
	_, addr := startServer(t, ServerConfig{
		Limits: Limits{URIBytes: 100},
		OnRefused: func(req *protocol.Request, e *protocol.Error) {
			mu.Lock()
			defer mu.Unlock()
			if !req.Peer.IsValid() {
				t.Error("no peer")
			}
			told = append(told, fmt.Sprint(req.Method, " ", e.Code))
		},
	}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	p.frame(frameHeaders, endBoth, 1, p.request("GET", "/"+strings.Repeat("x", 100)))
	p.frame(frameHeaders, endBoth, 3, p.request("PUT", "/", "connection", "close"))
	p.frame(frameHeaders, endBoth, 5, p.request("DELETE", "/..;/x")).flush()
	eventually(t, "all were told", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) == 3 })
	got := strings.Join(told, ", ")
	for _, want := range []string{"GET uri_too_long", "PUT bad_request", "DELETE bad_request"} {
		if !strings.Contains(got, want) {
			t.Errorf("told %s", got)
		}
	}
}

// TestProblems renders errors at the edge.
func TestProblems(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		switch req.Path {
		case "/later":
			e := protocol.NewError(503, protocol.CodeOverloaded, "later")
			e.RetryAfter = 1500 * time.Millisecond
			return nil, e
		case "/method":
			e := protocol.NewError(405, protocol.CodeMethodNotAllowed, "no")
			e.Allow = "GET, HEAD"
			return nil, e
		case "/gone":
			return nil, protocol.NewError(499, protocol.CodeClientGone, "nobody reads this")
		}
		return nil, context.DeadlineExceeded
	})
	p := dialPeer(t, addr)
	p.greetServer()
	for i, c := range []struct{ path, status, field, value, text string }{
		{"/later", "503", "retry-after", "2", `"code":"overloaded"`},
		{"/method", "405", "allow", "GET, HEAD", `"code":"method_not_allowed"`},
		{"/other", "500", "content-type", protocol.ProblemType, `"code":"internal"`},
	} {
		id := uint32(2*i + 1)
		p.frame(frameHeaders, endBoth, id, p.request("GET", c.path)).flush()
		_, payload := p.until(frameHeaders, id)
		h := p.fields(payload)
		_, body := p.until(frameData, id)
		if h[":status"] != c.status || h[c.field] != c.value || !strings.Contains(string(body), c.text) || h["content-length"] != fmt.Sprint(len(body)) {
			t.Errorf("%s: %v %s", c.path, h, body)
		}
	}
	p.frame(frameHeaders, endBoth, 9, p.request("GET", "/gone")).flush()
	p.expect("RST 9 INTERNAL_ERROR")
}

// TestInterimThrough passes 1xx answers through the proxy, in order and before the answer.
func TestInterimThrough(t *testing.T) {
	addr := proxyTo(t, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		for i := range 3 {
			var h protocol.Header
			h.Add("x-step", fmt.Sprint(i))
			req.Informer.Inform(http.StatusProcessing, &h)
		}
		return reply(req, 200, "done"), nil
	})
	p := dialPeer(t, addr)
	p.greetServer()
	p.frame(frameHeaders, endBoth, 1, p.request("GET", "/")).flush()
	for i := range 3 {
		_, payload := p.until(frameHeaders, 1)
		if h := p.fields(payload); h[":status"] != "102" || h["x-step"] != fmt.Sprint(i) {
			t.Errorf("%d: %v", i, h)
		}
	}
	p.expect("200")
}

// TestManyConnections serves many connections with few requests each, which come and go.
func TestManyConnections(t *testing.T) {
	s, addr := startServer(t, ServerConfig{}, echoHandler)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			for range 5 {
				c := NewClient(ClientConfig{Address: addr})
				body := bytes.Repeat([]byte("z"), 1000)
				resp, err := c.Serve(context.Background(), newRequest("POST", "/", body))
				if err != nil {
					t.Error(err)
				} else {
					got, err := protocol.ReadAll(nil, resp.Body, 1<<20)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d octets, %v", len(got), err)
					}
					resp.Close()
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all are gone", func() bool { return s.Stats().Open == 0 })
}
