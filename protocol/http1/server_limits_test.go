package http1

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestLimits(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Limits: Limits{HeaderBytes: 10_000, HeaderCount: 20, URIBytes: 6000, BodyBytes: 1000}}, dumpHandler)
	long := strings.Repeat("a", 20_000)
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	for name, tc := range map[string]struct {
		send   string
		status int
		code   string
	}{
		"long field":        {"GET / HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n", 431, "headers_too_large"},
		"endless field":     {"GET / HTTP/1.1\r\nHost: a\r\nX: " + long, 431, "headers_too_large"},
		"many fields":       {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 20) + "\r\n", 431, "headers_too_large"},
		"long target":       {"GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"},
		"endless target":    {"GET /" + long, 414, "uri_too_long"},
		"slightly too long": {"GET /" + long[:6000] + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"},
		"large body":        {post + "Content-Length: 1001\r\n\r\n", 413, "body_too_large"},
		"huge body":         {post + "Content-Length: 999999999999999999\r\n\r\n", 413, "body_too_large"},
		"large chunk":       {post + "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413, "body_too_large"},
		"many chunks":       {post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("64\r\n"+long[:100]+"\r\n", 11) + "0\r\n\r\n", 413, "body_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, addr)
			c.send(tc.send)
			if resp := c.wantStatus(tc.status, tc.code); !resp.Close {
				t.Error("not announced to close")
			}
			_ = c.CloseWrite()
			c.wantClosed()
		})
	}
	t.Run("just within", func(t *testing.T) {
		c := dialRaw(t, addr)
		for range 2 {
			c.send("POST /" + long[:5999] + " HTTP/1.1\r\nHost: a\r\nX: " + long[:9900] + "\r\nContent-Length: 1000\r\n\r\n" + long[:1000])
			resp, body := c.answer("POST")
			if resp.StatusCode != 200 || !strings.Contains(body, long[:9900]) || !strings.HasSuffix(body, "\n"+long[:1000]) {
				t.Fatalf("%d", resp.StatusCode)
			}
		}
	})
}

func TestRefusedRequestsAreReported(t *testing.T) {
	var mu sync.Mutex
	var got []string
	cfg := ServerConfig{OnRefused: func(req *protocol.Request, e *protocol.Error) {
		mu.Lock()
		defer mu.Unlock()
		if !req.Peer.IsValid() || req.Record.Code != e.Code {
			t.Errorf("peer %v, record %+v", req.Peer, req.Record)
		}
		got = append(got, req.Method+" "+string(e.Code))
	}}
	s, addr := startServer(t, cfg, dumpHandler)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "G", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"} {
		c := dialRaw(t, addr)
		c.send(text)
		_ = c.CloseWrite()
		io.ReadAll(c.r)
	}
	eventually(t, "connections to go", func() bool { return s.Stats().Open == 0 })
	mu.Lock()
	defer mu.Unlock()
	if want := "GET bad_request,POST bad_request"; strings.Join(got, ",") != want || s.Stats().Rejected != 2 {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestSlowClients(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Header: 100 * time.Millisecond, Body: 100 * time.Millisecond, Idle: 200 * time.Millisecond}}, dumpHandler)
	t.Run("head", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET / HTTP/1.1\r\nHo")
		c.wantStatus(408, "request_timeout")
		c.wantClosed()
	})
	t.Run("head by drops", func(t *testing.T) {
		c := dialRaw(t, addr)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() { // each drop alone would be in time
			defer close(done)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.WriteString(c.TCPConn, "X"); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}()
		c.wantStatus(408, "request_timeout")
		close(stop)
		<-done
	})
	t.Run("body", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
		c.wantStatus(408, "request_timeout")
		c.wantClosed()
	})
	t.Run("chunked body", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
		c.wantStatus(408, "request_timeout")
		c.wantClosed()
	})
	t.Run("idle", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
		c.wantClosed()
	})
	t.Run("silent from the start", func(t *testing.T) {
		dialRaw(t, addr).wantClosed()
	})
	t.Run("leaves in the head", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET / HT")
		_ = c.CloseWrite()
		c.wantClosed()
	})
	eventually(t, "all connections to go", func() bool { return s.Stats().Open == 0 })
}

// endless is a body that never ends.
type endless struct{ protocol.Bytes }

func (endless) Next() ([]byte, bool, error) { return make([]byte, 32<<10), true, nil }
func (endless) Buffered() int               { return 1 }
func (endless) Done() bool                  { return false }

func TestClientThatTakesNothingIsCut(t *testing.T) {
	ended := make(chan error, 1)
	_, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Write: 100 * time.Millisecond}}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := req.NewResponse()
		resp.Status, resp.ContentLength, resp.Body = 200, protocol.UnknownLength, &endless{}
		resp.OnClose(finishFunc(func(_ *protocol.Request, _ *protocol.Response, err error) { ended <- err }))
		return resp, nil
	})
	c := dialRaw(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case err := <-ended:
		if protocol.AsError(err).Code != protocol.CodeClientGone {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("still writing")
	}
}

type finishFunc func(*protocol.Request, *protocol.Response, error)

func (f finishFunc) Finish(req *protocol.Request, resp *protocol.Response, err error) {
	f(req, resp, err)
}

func TestConnectionLimit(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Limits: Limits{Connections: 2}}, dumpHandler)
	ask := func(c *rawClient) {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
	}
	first, second := dialRaw(t, addr), dialRaw(t, addr)
	ask(first)
	ask(second)
	third := dialRaw(t, addr) // the kernel accepts it, we do not
	third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	ask(first)
	if n := s.Stats().Open; n != 2 {
		t.Errorf("%d connections are open", n)
	}
	second.Close()
	third.wantStatus(200, "")
}

// TestConnectionLimitNeverForgetsWhoWaits lets connections come and go at the limit, where a wake-up that comes a moment too
// early would leave the last one waiting for ever.
func TestConnectionLimitNeverForgetsWhoWaits(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Limits: Limits{Connections: 1}}, dumpHandler)
	last := dialRaw(t, addr)
	for range 300 {
		next := dialRaw(t, addr)
		next.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		last.Close()
		next.wantStatus(200, "")
		last = next
	}
}

func TestRaisedConnectionLimitLetsInWhoWaits(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Limits: Limits{Connections: 1}}, dumpHandler)
	first := dialRaw(t, addr)
	first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	first.wantStatus(200, "")
	second := dialRaw(t, addr)
	second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	s.Configure(ServerConfig{Limits: Limits{Connections: 2}})
	second.wantStatus(200, "")
}

func TestUnreadBodies(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		return reply(req, 200, "early"), nil
	})
	t.Run("small ones are drained", func(t *testing.T) {
		c := dialRaw(t, addr)
		for _, body := range []string{"Content-Length: 100000\r\n\r\n" + strings.Repeat("a", 100_000), "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"} {
			c.send("POST / HTTP/1.1\r\nHost: a\r\n" + body)
			if resp := c.wantStatus(200, ""); resp.Close {
				t.Error("closes")
			}
		}
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
	})
	t.Run("the answer comes before the body", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		c.wantStatus(200, "")
		c.send("0123456789GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
	})
	t.Run("large ones close, and the answer still arrives", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
		var sent error
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, sent = c.TCPConn.Write(make([]byte, 400_000))
		}()
		if resp := c.wantStatus(200, ""); !resp.Close {
			t.Error("does not announce to close")
		}
		c.wantClosed()
		<-done
		if sent != nil {
			t.Errorf("the connection was reset while the client was sending: %v", sent)
		}
	})
}

func TestServeReportsBrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(protocol.HandlerFunc(dumpHandler), ServerConfig{})
	defer s.Close()
	ln.Close()
	if err := s.Serve(ln); err == nil {
		t.Error("no error")
	}
}
