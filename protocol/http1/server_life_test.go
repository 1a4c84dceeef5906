package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestUpgradeCarriesBytesBothWays(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Body: 50 * time.Millisecond}}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Upgrade != "websocket" || req.Header.Get("Sec-WebSocket-Key") != "k" {
			return reply(req, 426, "no"), nil
		}
		resp := req.NewResponse()
		resp.Status, resp.Upgrade, resp.ContentLength, resp.Body = 101, true, protocol.UnknownLength, req.Body
		resp.Header.Add("Sec-WebSocket-Accept", "a")
		return resp, nil
	})
	const ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "

	t.Run("accepted", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send(ask + "websocket\r\nSec-WebSocket-Key: k\r\n\r\nearly ")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-WebSocket-Accept") != "a" {
			t.Fatalf("%v %v", resp, err)
		}
		got := make([]byte, 6)
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "early " {
			t.Fatalf("%q %v", got, err)
		}
		quiet := time.NewTimer(150 * time.Millisecond) // longer than a body may stall: a tunnel may be silent
		<-quiet.C
		for _, piece := range []string{"a", strings.Repeat("b", 200_000), "c"} {
			var writer sync.WaitGroup
			writer.Go(func() { io.WriteString(c.TCPConn, piece) })
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != piece {
				t.Fatalf("%d bytes: %v", len(piece), err)
			}
			writer.Wait()
		}
		_ = c.CloseWrite()
		c.wantClosed()
	})
	t.Run("declined, and the connection goes on", func(t *testing.T) {
		c := dialRaw(t, addr)
		for _, name := range []string{"other", "h2c, other/1"} {
			c.send(ask + name + "\r\n\r\n")
			if resp := c.wantStatus(426, ""); resp.Close {
				t.Error("closes")
			}
		}
	})
}

func TestPiecesLeaveAtOnce(t *testing.T) {
	next := make(chan string)
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		body := newPipedBody()
		go func() {
			for s := range next {
				body.feed(s)
			}
			body.end()
		}()
		resp := req.NewResponse()
		resp.Status, resp.ContentLength, resp.Body = 200, protocol.UnknownLength, body
		resp.Header.Add("Content-Type", "text/event-stream")
		return resp, nil
	})
	resp, err := http.Get("http://" + addr + "/events")
	if err != nil {
		t.Fatal(err) // the head came before any event
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for _, event := range []string{"data: 1\n", "data: 2\n", "data: 3\n"} {
		next <- event
		if line, err := r.ReadString('\n'); line != event {
			t.Fatalf("%q %v", line, err)
		}
	}
	close(next)
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestPanicEndsOnlyItsConnection(t *testing.T) {
	var log bytes.Buffer
	var finished atomic.Int32
	count := finishFunc(func(_ *protocol.Request, resp *protocol.Response, err error) {
		if err == nil || resp.Status != 500 {
			t.Errorf("finished with %d, %v", resp.Status, err)
		}
		finished.Add(1)
	})
	s, addr := startServer(t, ServerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		switch req.Path {
		case "/ok":
			return reply(req, 200, "fine"), nil
		case "/answered":
			resp := reply(req, 200, "x")
			resp.OnClose(count)
			panic("after the answer was made")
		case "/body":
			resp := req.NewResponse()
			resp.Status, resp.ContentLength, resp.Body = 200, protocol.UnknownLength, &panicking{}
			resp.OnClose(count)
			return resp, nil
		case "/finisher":
			resp := reply(req, 200, "x")
			resp.OnClose(finishFunc(func(*protocol.Request, *protocol.Response, error) { panic("finisher") }))
			return resp, nil
		}
		panic("plain")
	})
	other := dialRaw(t, addr)
	for _, path := range []string{"/plain", "/answered", "/body"} {
		c := dialRaw(t, addr)
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp := c.wantStatus(500, "internal"); !resp.Close {
			t.Errorf("%s: not announced to close", path)
		}
		c.wantClosed()
	}
	c := dialRaw(t, addr)
	c.send("GET /finisher HTTP/1.1\r\nHost: a\r\n\r\n")
	c.wantStatus(200, "")
	c.wantClosed()
	other.send("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
	other.wantStatus(200, "")
	other.Close()
	if finished.Load() != 2 {
		t.Errorf("%d finishers ran, want 2", finished.Load())
	}
	eventually(t, "connections to go", func() bool { return s.Stats().Open == 0 })
	if !strings.Contains(log.String(), "server_life_test.go") {
		t.Errorf("no stack in the log: %s", log.String())
	}
}

type panicking struct{ protocol.Bytes }

func (panicking) Next() ([]byte, bool, error) { panic("in the body") }
func (panicking) Done() bool                  { return false }
func (panicking) Buffered() int               { return 1 }

func TestContextEndsWhenTheClientLeaves(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context){
		"Err":  func(ctx context.Context) { eventually(t, "Err", func() bool { return ctx.Err() != nil }) },
		"Done": func(ctx context.Context) { <-ctx.Done() },
		"derived": func(ctx context.Context) {
			inner, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			<-inner.Done()
			if !errors.Is(inner.Err(), context.Canceled) {
				t.Errorf("derived context: %v", inner.Err())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan struct{})
			ended := make(chan struct{})
			_, addr := startServer(t, ServerConfig{}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
				if ctx.Err() != nil {
					t.Error("ended before the client left")
				}
				close(arrived)
				wait(ctx)
				close(ended)
				return nil, ctx.Err()
			})
			c := dialRaw(t, addr)
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /pipelined HTTP/1.1\r\nHo") // does not hide the end
			<-arrived
			c.Close()
			<-ended
		})
	}
}

func TestContextEndsWithItsExchange(t *testing.T) {
	var last atomic.Pointer[context.Context]
	_, addr := startServer(t, ServerConfig{}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		ctx.Done()
		last.Store(&ctx)
		return reply(req, 200, ""), nil
	})
	c := dialRaw(t, addr)
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
		ctx := *last.Load()
		<-ctx.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(ctx.Err())
		}
	}
}

func TestShutdown(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	s := NewServer(protocol.HandlerFunc(func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Path == "/slow" {
			close(arrived)
			<-release
		}
		return reply(req, 200, "done"), nil
	}), ServerConfig{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	addr := ln.Addr().String()

	silent, idle, parked, busy := dialRaw(t, addr), dialRaw(t, addr), dialRaw(t, addr), dialRaw(t, addr)
	for _, c := range []*rawClient{idle, parked} {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
	}
	eventually(t, "all four connections to be parked", func() bool { return s.Stats().Parked == 4 })
	idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	idle.wantStatus(200, "")
	busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	over := make(chan error, 1)
	go func() { over <- s.Shutdown(context.Background()) }()
	for _, c := range []*rawClient{silent, idle, parked} {
		c.wantClosed()
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	select {
	case err := <-over:
		t.Fatalf("did not wait for the request in flight: %v", err)
	default:
	}
	close(release)
	if resp := busy.wantStatus(200, ""); !resp.Close {
		t.Error("the last answer does not say that it is the last")
	}
	busy.wantClosed()
	if err := <-over; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := s.Serve(ln); !errors.Is(err, ErrServerClosed) {
		t.Errorf("serve again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close after shutdown: %v", err)
	}
}

func TestShutdownCutsWhatTakesTooLong(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	s := NewServer(protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		close(arrived)
		<-ctx.Done()
		return nil, ctx.Err()
	}), ServerConfig{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	c := dialRaw(t, ln.Addr().String())
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	<-served
	if n := s.Stats(); n.Open != 0 || n.InFlight != 0 {
		t.Errorf("%+v", n)
	}
}

func TestConfigureChangesTheNextRequest(t *testing.T) {
	s, addr := startServer(t, ServerConfig{}, dumpHandler)
	c := dialRaw(t, addr)
	const ask = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	c.send(ask)
	c.wantStatus(200, "")
	s.Configure(ServerConfig{Limits: Limits{BodyBytes: 4}})
	c.send(ask)
	c.wantStatus(413, "body_too_large")
}

func TestRecordAndFinishers(t *testing.T) {
	ended := make(chan protocol.Record, 1)
	_, addr := startServer(t, ServerConfig{}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp, err := echoHandler(ctx, req)
		resp.OnClose(finishFunc(func(req *protocol.Request, _ *protocol.Response, err error) {
			if err != nil {
				t.Errorf("finished with %v", err)
			}
			ended <- req.Record
		}))
		return resp, err
	})
	c := dialRaw(t, addr)
	for _, n := range []int{5, 300_000} {
		var writer sync.WaitGroup
		writer.Go(func() {
			io.WriteString(c.TCPConn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "+strconv.Itoa(n)+"\r\n\r\n"+strings.Repeat("x", n))
		})
		_, body := c.answer("POST")
		writer.Wait()
		if r := <-ended; len(body) != n || r.RequestBytes != int64(n) || r.ResponseBytes != int64(n) {
			t.Errorf("%d bytes: %+v", n, r)
		}
	}
}

func TestInterimAnswers(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Informer != nil {
			var h protocol.Header
			h.Add("Link", "</a.css>")
			req.Informer.Inform(103, &h)
			req.Informer.Inform(101, nil) // not theirs to send
		}
		return reply(req, 200, "x"), nil
	})
	c := dialRaw(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 103 || resp.Header.Get("Link") != "</a.css>" {
		t.Errorf("%v", resp)
	}
	c.wantStatus(200, "")
	c.send("GET / HTTP/1.0\r\n\r\n")
	c.wantStatus(200, "")
}

func TestTLS(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewUnstartedServer(nil)
	secure.StartTLS()
	cert, pool := secure.TLS.Certificates[0], secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	secure.Close()
	s := serveOn(t, tls.NewListener(inner, &tls.Config{Certificates: []tls.Certificate{cert}}), ServerConfig{Timeouts: Timeouts{Header: 3 * time.Second}}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.TLS == nil || req.Scheme != "https" {
			t.Errorf("TLS %v, scheme %q", req.TLS, req.Scheme)
		}
		return echoHandler(ctx, req)
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}}}
	defer client.CloseIdleConnections()
	for _, n := range []int{10, 1 << 20} {
		resp, err := client.Post("https://"+inner.Addr().String(), "text/plain", strings.NewReader(strings.Repeat("x", n)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || got != int64(n) {
			t.Errorf("%d bytes, %v", got, err)
		}
	}
	eventually(t, "connection to be parked", func() bool { return s.Stats().Parked == 1 })
	resp, err := client.Get("https://" + inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	plain := dialRaw(t, inner.Addr().String())
	plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if rest, _ := io.ReadAll(plain.r); strings.HasPrefix(string(rest), "HTTP/1.1 200") {
		t.Error("answered without TLS")
	}
}
