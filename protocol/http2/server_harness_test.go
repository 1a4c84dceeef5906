package http2

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// patience is how long tests wait for what must happen.
const patience = 10 * time.Second

// startServer serves h on loopback until the test ends.
func startServer(t testing.TB, cfg ServerConfig, h protocol.HandlerFunc) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return serveOn(t, ln, cfg, h), ln.Addr().String()
}

func serveOn(t testing.TB, ln net.Listener, cfg ServerConfig, h protocol.HandlerFunc) *Server {
	t.Helper()
	s := NewServer(h, cfg)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if n := s.Stats(); n.Open != 0 || n.InFlight != 0 || n.Idle != 0 {
			t.Errorf("after shutdown: %+v", n)
		}
	})
	return s
}

// reply makes an answer of one piece.
func reply(req *protocol.Request, status int, body string) *protocol.Response {
	resp := req.NewResponse()
	resp.Status = status
	resp.ContentLength = int64(len(body))
	if body != "" {
		resp.Body = protocol.NewBytes([]byte(body))
	}
	return resp
}

// hello answers every request alike.
func hello(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	return reply(req, 200, "hello"), nil
}

// echoHandler answers with the request's own body, as it comes.
func echoHandler(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	resp := req.NewResponse()
	resp.Status = 200
	resp.ContentLength = req.ContentLength
	resp.Body = req.Body
	resp.Header.Add("X-Path", req.Path)
	resp.Header.Add("X-Method", req.Method)
	return resp, nil
}

// xnetClient is the client of golang.org/x/net, which net/http has taken in, over cleartext.
func xnetClient(t testing.TB) *http.Client {
	t.Helper()
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &h2c}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
