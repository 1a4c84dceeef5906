package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestLargeAnswerHead(t *testing.T) {
	value := strings.Repeat("v", 3000)
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "body")
		for range 30 {
			resp.Header.Add("X-Long", value)
		}
		return resp, nil
	})
	c := dialRaw(t, addr)
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, body := c.answer("GET")
		values := resp.Header.Values("X-Long")
		if len(values) != 30 || values[0] != value || values[29] != value || body != "body" {
			t.Fatalf("%d fields, body %q", len(values), body)
		}
	}
}

// TestSplicedUploadThatStops echoes a body that is large enough to be spliced from a client that stops sending it.
func TestSplicedUploadThatStops(t *testing.T) {
	ended := make(chan error, 1)
	_, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Body: 100 * time.Millisecond}}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp, err := echoHandler(ctx, req)
		resp.OnClose(finishFunc(func(_ *protocol.Request, _ *protocol.Response, err error) { ended <- err }))
		return resp, err
	})
	for name, tc := range map[string]struct {
		stop func(c *rawClient)
		code protocol.Code
	}{
		"stalls": {func(*rawClient) {}, protocol.CodeRequestTimeout},
		"ends":   {func(c *rawClient) { _ = c.CloseWrite() }, protocol.CodeClientGone},
		"resets": {func(c *rawClient) { _ = c.SetLinger(0); c.Close() }, protocol.CodeClientGone},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, addr)
			var writer sync.WaitGroup
			writer.Go(func() {
				io.WriteString(c.TCPConn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
				c.TCPConn.Write(make([]byte, 1_000_000))
			})
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, resp.Body, 1_000_000); err != nil {
				t.Fatalf("%d %v", n, err)
			}
			writer.Wait()
			tc.stop(c)
			if err := <-ended; protocol.AsError(err).Code != tc.code {
				t.Errorf("ended with %v", err)
			}
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the cut answer looks whole")
			}
		})
	}
}

// TestAnswerWhileUploading closes the request's body while another goroutine splices or reads it, as an upstream client does
// whose instance answered early.
func TestAnswerWhileUploading(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		stopped := make(chan error, 1)
		go func() {
			for {
				if _, _, err := req.Body.Next(); err != nil {
					stopped <- err
					return
				}
			}
		}()
		in := req.Body.(*inbound)
		eventually(t, "part of the body", func() bool { return in.seen.Load() >= 300_000 })
		_ = req.Body.Close()
		if err := <-stopped; !errors.Is(err, protocol.ErrBodyClosed) {
			t.Errorf("stopped with %v", err)
		}
		return reply(req, 403, "enough"), nil
	})
	c := dialRaw(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 300_000))
	if resp, body := c.answer("POST"); resp.StatusCode != 403 || body != "enough" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	c.wantClosed()
}

// flakyListener fails now and then as one does that is out of descriptors.
type flakyListener struct {
	net.Listener
	fails atomic.Int32
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestAcceptTriesAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &flakyListener{Listener: ln}
	flaky.fails.Store(3)
	serveOn(t, flaky, ServerConfig{}, dumpHandler)
	c := dialRaw(t, ln.Addr().String())
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.wantStatus(200, "")
}

func TestShutdownWhileAcceptPauses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &flakyListener{Listener: ln}
	flaky.fails.Store(1 << 30)
	s := serveOn(t, flaky, ServerConfig{}, dumpHandler)
	eventually(t, "some failures", func() bool { return flaky.fails.Load() < 1<<30-3 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTunnelEnds(t *testing.T) {
	upstream := make(chan *pipedBody, 1)
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		body := newPipedBody()
		resp := req.NewResponse()
		resp.Status, resp.Upgrade, resp.ContentLength, resp.Body = 101, true, protocol.UnknownLength, body
		resp.Header.Add("X-Raw", "1")
		if req.Path == "/nothing" {
			resp.Body = nil
		} else {
			upstream <- body
		}
		return resp, nil
	})
	open := func(path string) *rawClient {
		c := dialRaw(t, addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("X-Raw") != "1" {
			t.Fatalf("%v %v", resp, err)
		}
		return c
	}
	t.Run("the upstream ends", func(t *testing.T) {
		c := open("/")
		u := <-upstream
		u.feed("last words")
		u.end()
		if rest, err := io.ReadAll(c.r); string(rest) != "last words" || err != nil {
			t.Errorf("%q %v", rest, err)
		}
	})
	t.Run("the upstream breaks", func(t *testing.T) {
		c := open("/")
		u := <-upstream
		u.breakOff(errBroken)
		io.ReadAll(c.r)
	})
	t.Run("the client vanishes", func(t *testing.T) {
		c := open("/")
		u := <-upstream
		_ = c.SetLinger(0)
		c.Close()
		for u.feed("x") { // until writing fails and the body is closed
		}
	})
	t.Run("nothing comes back", func(t *testing.T) {
		c := open("/nothing")
		c.wantClosed()
	})
}

func TestPanicInFinisherAfterPanic(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "x")
		resp.OnClose(finishFunc(func(*protocol.Request, *protocol.Response, error) { panic("second") }))
		panic("first")
	})
	c := dialRaw(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.wantStatus(500, "internal")
	c.wantClosed()
}
