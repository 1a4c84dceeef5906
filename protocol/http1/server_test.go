package http1

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

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
	})
	return s
}

// reply makes an answer of one piece.
func reply(req *protocol.Request, status int, body string) *protocol.Response {
	resp := req.NewResponse()
	resp.Status = status
	resp.ContentLength = int64(len(body))
	resp.Body = protocol.NewBytes([]byte(body))
	return resp
}

// echoHandler answers with the request's own body, as it comes.
func echoHandler(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	resp := req.NewResponse()
	resp.Status = 200
	if v, ok := req.Header.Lookup("Content-Type"); ok {
		resp.Header.Add("Content-Type", v)
	}
	resp.Body, resp.ContentLength = req.Body, req.ContentLength
	return resp, nil
}

func TestNetHTTPClientTalksToServer(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, echoHandler)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, size := range []int{0, 1, 1000, 4096, 70_000, 3 << 20} {
		body := strings.Repeat("x", size)
		for name, r := range map[string]io.Reader{"fixed": strings.NewReader(body), "chunked": io.MultiReader(strings.NewReader(body))} {
			req, _ := http.NewRequest("POST", "http://"+addr+"/a", r)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s %d: %v", name, size, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != body || resp.StatusCode != 200 {
				t.Fatalf("%s %d: status %d, %d bytes, %v", name, size, resp.StatusCode, len(got), err)
			}
		}
	}
}

var _ = time.Second
