package http2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestServeConn hands a connection over whose first octets somebody else has read.
func TestServeConn(t *testing.T) {
	for _, early := range []int{0, 3, len(preface), len(preface) + 9, len(preface) + 30} {
		t.Run(fmt.Sprint(early), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			s := NewServer(protocol.HandlerFunc(hello), ServerConfig{})
			var served sync.WaitGroup
			served.Go(func() {
				nc, err := ln.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				b := make([]byte, early)
				if _, err := io.ReadFull(nc, b); err != nil {
					t.Error(err)
				}
				s.ServeConn(nc, b)
			})
			p := dialPeer(t, ln.Addr().String())
			p.out = appendSettings(append(p.out, preface...))
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/")).flush()
			p.expect("200")
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			served.Wait()
		})
	}
	s := NewServer(protocol.HandlerFunc(hello), ServerConfig{})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	a, b := net.Pipe()
	s.ServeConn(a, nil)
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("a closed server took a connection")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

// goAway reads until GOAWAY and returns what it says.
func (p *peer) goAway() (last uint32, code ErrCode) {
	p.t.Helper()
	for {
		f, payload := p.next()
		switch f.kind {
		case frameGoAway:
			return binary.BigEndian.Uint32(payload), ErrCode(binary.BigEndian.Uint32(payload[4:]))
		case frameHeaders:
			p.fields(payload)
		}
	}
}

// TestShutdown is section 6.8: requests on their way still come, what is under way ends well, and then the connection.
func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	s, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Path == "/slow" {
			<-release
		}
		return reply(req, 200, "done"), nil
	})
	p := dialPeer(t, addr)
	p.greetServer()
	p.frame(frameHeaders, endBoth, 1, p.request("GET", "/slow")).flush()
	eventually(t, "the request is at work", func() bool { return s.Stats().InFlight == 1 })
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if last, code := p.goAway(); last != maxWindow || code != NoError {
		t.Errorf("GOAWAY %d %v", last, code)
	}
	p.frame(frameHeaders, endBoth, 3, p.request("GET", "/")).flush() // was on its way
	_, ping := p.until(framePing, 0)
	p.frame(framePing, flagAck, 0, ping).flush()
	var words []string
	for len(words) < 2 {
		f, payload := p.next()
		switch {
		case f.kind == frameHeaders:
			words = append(words, fmt.Sprint(f.stream, " ", p.fields(payload)[":status"]))
		case f.kind == frameGoAway:
			words = append(words, fmt.Sprint("last ", binary.BigEndian.Uint32(payload)))
		}
	}
	if got := strings.Join(words, ", "); got != "3 200, last 3" && got != "last 3, 3 200" {
		t.Errorf("got %s", got)
	}
	p.frame(frameHeaders, endBoth, 5, p.request("GET", "/")).flush() // too late
	for got := p.outcome(); got != "RST 5 REFUSED_STREAM"; got = p.outcome() {
		if got == "closed" {
			t.Fatal("stream 5 was not refused")
		}
	}
	select {
	case err := <-down:
		t.Fatalf("shut down while a request was at work: %v", err)
	default:
	}
	close(release)
	p.expect("200")
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if got := p.outcome(); got != "GOAWAY NO_ERROR" && got != "closed" {
		t.Errorf("outcome is %q", got)
	}
}

// TestShutdownIdle shows that a client without requests is told at once, and has gone after a round trip.
func TestShutdownIdle(t *testing.T) {
	for _, parked := range []bool{false, true} {
		s, addr := startServer(t, ServerConfig{}, hello)
		p := dialPeer(t, addr)
		p.greetServer()
		p.get(1)
		if parked {
			eventually(t, "the connection is parked", func() bool { return s.Stats().Parked == 1 })
		}
		down := make(chan error, 1)
		begun := time.Now()
		go func() { down <- s.Shutdown(context.Background()) }()
		var words []string
		for {
			f, payload, err := p.read()
			if err != nil {
				break
			}
			switch f.kind {
			case frameGoAway:
				words = append(words, fmt.Sprint(binary.BigEndian.Uint32(payload), " ", ErrCode(binary.BigEndian.Uint32(payload[4:]))))
			case framePing:
				p.frame(framePing, flagAck, 0, payload).flush()
			}
		}
		p.nc.Close()
		if err := <-down; err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if d := time.Since(begun); d > 900*time.Millisecond {
			t.Errorf("parked %v: took %v", parked, d)
		}
		if len(words) == 0 || words[len(words)-1] != "1 NO_ERROR" {
			t.Errorf("parked %v: GOAWAY %q", parked, words)
		}
	}
}

// TestShutdownCuts shows that whoever does not end in time is cut, and learns it.
func TestShutdownCuts(t *testing.T) {
	gone := make(chan struct{})
	s, addr := startServer(t, ServerConfig{}, func(ctx context.Context, _ *protocol.Request) (*protocol.Response, error) {
		<-ctx.Done()
		close(gone)
		return nil, ctx.Err()
	})
	p := dialPeer(t, addr)
	p.greetServer()
	p.frame(frameHeaders, endBoth, 1, p.request("GET", "/")).flush()
	eventually(t, "the request is at work", func() bool { return s.Stats().InFlight == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	<-gone
}

// TestParking shows that an idle connection gives its goroutines up, and is as good as before when it is used again.
func TestParking(t *testing.T) {
	s, addr := startServer(t, ServerConfig{}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	for i := range uint32(2) {
		p.frame(frameHeaders, endBoth, 2*i+1, p.request("GET", "/")).flush()
		p.expect("200")
		eventually(t, "the connection is parked", func() bool { n := s.Stats(); return n.Parked == 1 && n.Idle == 1 })
	}
	p.frame(framePing, 0, 0, make([]byte, 8)).flush()
	p.expect("pong")
}

// TestIdleTimeout ends connections that nobody uses, parked or not.
func TestIdleTimeout(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Idle: 3 * time.Second}}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	if last, code := p.goAway(); last != 0 || code != NoError {
		t.Errorf("GOAWAY %d %v", last, code)
	}
	p.expect("closed")
	eventually(t, "the connection is gone", func() bool { return s.Stats().Open == 0 })
	if n := s.Stats().Abused; n != 0 {
		t.Errorf("%d counted as abused", n)
	}
}

// TestMaxAge tells connections to go when they are old, without hurting their requests.
func TestMaxAge(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Timeouts: Timeouts{MaxAge: 200 * time.Millisecond}}, holdHandler)
	p := dialPeer(t, addr)
	p.greetServer()
	p.open(1).flush()
	time.Sleep(300 * time.Millisecond)
	p.frame(framePing, 0, 0, make([]byte, 8)).flush()
	if last, code := p.goAway(); last != maxWindow || code != NoError {
		t.Errorf("GOAWAY %d %v", last, code)
	}
	p.frame(frameData, flagEndStream, 1, []byte("x")).flush()
	for got := p.outcome(); got != "200"; got = p.outcome() {
		if got != "pong" && got != "GOAWAY NO_ERROR" {
			t.Fatalf("outcome is %q", got)
		}
	}
}

// TestKeepAlivePing asks a silent client with a request whether it is still there.
func TestKeepAlivePing(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Ping: time.Second, PingReply: 500 * time.Millisecond}}, holdHandler)
	p := dialPeer(t, addr)
	p.greetServer()
	p.open(1).flush()
	_, ping := p.until(framePing, 0)
	p.frame(framePing, flagAck, 0, ping).flush()
	p.until(framePing, 0) // and again, which is not answered
	p.expect("closed")
	eventually(t, "the request was cancelled", func() bool { return s.Stats().InFlight == 0 })
}

// TestPanics shows that a panic ends one request and nothing else.
func TestPanics(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "x")
		switch req.Path {
		case "/before":
			panic("before")
		case "/body":
			resp.Body, resp.ContentLength = panicBody{}, -1
		case "/nil":
			return nil, nil
		case "/status":
			resp.Status = 77
		case "/field":
			resp.Header.Add("bad name", "x")
		case "/value":
			resp.Header.Add("a", "x\r\nb: c")
		case "/long":
			resp.ContentLength = 2
		}
		return resp, nil
	})
	p := dialPeer(t, addr)
	p.greetServer()
	id := uint32(1)
	for _, c := range []struct{ path, want string }{
		{"/before", "500"}, {"/body", "500"}, {"/nil", "500"}, {"/status", "500"}, {"/field", "500"}, {"/value", "500"},
		{"/long", "200"}, {"/", "200"},
	} {
		p.frame(frameHeaders, endBoth, id, p.request("GET", c.path)).flush()
		if got := p.outcome(); got != c.want {
			t.Errorf("%s: outcome is %q", c.path, got)
		}
		if c.path == "/long" {
			p.expect(fmt.Sprintf("RST %d INTERNAL_ERROR", id))
		}
		id += 2
	}
}

// panicBody panics when it is read.
type panicBody struct{}

func (panicBody) Next() ([]byte, bool, error) { panic("body") }
func (panicBody) Buffered() int               { return 1 }
func (panicBody) Done() bool                  { return false }
func (panicBody) Rewind() bool                { return false }
func (panicBody) Close() error                { return nil }

// TestConnectionLimit lets further connections wait.
func TestConnectionLimit(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Limits: Limits{Connections: 1}}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	q := dialPeer(t, addr)
	q.out = appendSettings(append(q.out, preface...))
	q.frame(frameHeaders, endBoth, 1, q.request("GET", "/")).flush()
	time.Sleep(50 * time.Millisecond)
	if n := s.Stats().Open; n != 1 {
		t.Errorf("%d are open", n)
	}
	s.Configure(ServerConfig{Limits: Limits{Connections: 2}})
	q.expect("200")
}

// TestDisconnect shows that handlers learn that their client's connection broke, and what they are told.
func TestDisconnect(t *testing.T) {
	var told atomic.Pointer[error]
	s, addr := startServer(t, ServerConfig{}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		stop := context.AfterFunc(ctx, func() {})
		defer stop()
		_, err := protocol.ReadAll(nil, req.Body, 100)
		told.Store(&err)
		<-ctx.Done()
		if ctx.Err() == nil {
			t.Error("context is done without an error")
		}
		return nil, err
	})
	p := dialPeer(t, addr)
	p.greetServer()
	p.open(1).flush()
	eventually(t, "the request is at work", func() bool { return s.Stats().InFlight == 1 })
	p.nc.Close()
	eventually(t, "the handler was told", func() bool { return told.Load() != nil })
	if e := protocol.AsError(*told.Load()); e.Code != protocol.CodeClientGone {
		t.Errorf("%v", e)
	}
}

// finishes counts finishers.
type finishes struct {
	n   atomic.Int32
	err atomic.Pointer[error]
}

func (f *finishes) Finish(_ *protocol.Request, _ *protocol.Response, err error) {
	f.n.Add(1)
	f.err.Store(&err)
}

// TestFinishers shows that each exchange ends once, with the reason.
func TestFinishers(t *testing.T) {
	var f finishes
	logger := slog.New(slog.DiscardHandler)
	_, addr := startServer(t, ServerConfig{Logger: logger}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, strings.Repeat("x", 200<<10))
		resp.OnClose(&f)
		return resp, nil
	})
	c := xnetClient(t)
	resp, err := c.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	eventually(t, "the exchange has ended", func() bool { return f.n.Load() == 1 })
	if err := *f.err.Load(); err != nil {
		t.Errorf("%v", err)
	}
	p := dialPeer(t, addr)
	p.greetServer()
	p.frame(frameHeaders, endBoth, 1, p.request("GET", "/")).flush()
	p.expect("200")
	p.frame(frameRSTStream, 0, 1, u32(uint32(Cancel))).flush()
	eventually(t, "the exchange has ended", func() bool { return f.n.Load() == 2 })
	if e := protocol.AsError(*f.err.Load()); e.Code != protocol.CodeClientGone {
		t.Errorf("%v", e)
	}
}

// TestEarlyAnswer shows that a client that still sends is told to stop when it has its answer.
func TestEarlyAnswer(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, hello)
	p := dialPeer(t, addr)
	p.greetServer()
	p.open(1).frame(frameData, 0, 1, []byte("more to come")).flush()
	p.expect("200")
	p.expect("RST 1 NO_ERROR")
	p.frame(frameData, 0, 1, make([]byte, 1000)).frame(frameData, flagEndStream, 1, nil).get(3) // late, and no harm
}

// TestBodyLimits is 413 and 408.
func TestBodyLimits(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Limits: Limits{BodyBytes: 10}, Timeouts: Timeouts{Body: 100 * time.Millisecond}}, holdHandler)
	for _, c := range []struct {
		name string
		send func(p *peer)
		want string
	}{
		{"announced", func(p *peer) { p.open(1, "content-length", "11") }, "413"},
		{"not announced", func(p *peer) { p.open(1).frame(frameData, 0, 1, make([]byte, 11)) }, "413"},
		{"in pieces", func(p *peer) {
			p.open(1).frame(frameData, 0, 1, make([]byte, 10)).flush()
			time.Sleep(20 * time.Millisecond)
			p.frame(frameData, flagEndStream, 1, make([]byte, 1))
		}, "413"},
		{"just right", func(p *peer) { p.open(1).frame(frameData, flagEndStream, 1, make([]byte, 10)) }, "200"},
		{"silent", func(p *peer) { p.open(1).frame(frameData, 0, 1, make([]byte, 1)) }, "408"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dialPeer(t, addr)
			p.greetServer()
			c.send(p)
			p.flush()
			p.expect(c.want)
		})
	}
}

// TestInform passes interim answers on.
func TestInform(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		var h protocol.Header
		h.Add("Link", "</style.css>; rel=preload")
		req.Informer.Inform(http.StatusEarlyHints, &h)
		req.Informer.Inform(http.StatusSwitchingProtocols, nil) // does not exist here
		return reply(req, 200, ""), nil
	})
	p := dialPeer(t, addr)
	p.greetServer()
	p.frame(frameHeaders, endBoth, 1, p.request("GET", "/")).flush()
	_, payload := p.until(frameHeaders, 1)
	if h := p.fields(payload); h[":status"] != "103" || h["link"] == "" {
		t.Errorf("%v", h)
	}
	p.expect("200")
}
