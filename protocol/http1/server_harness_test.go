package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
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
		if n := s.Stats(); n.Open != 0 || n.InFlight != 0 {
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

// dumpHandler answers with what it was asked, in a form that tests can compare.
func dumpHandler(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	body, err := protocol.ReadAll(nil, req.Body, 1<<20)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(req.Method + " " + req.Scheme + "|" + req.Authority + "|" + req.Path)
	if req.HasQuery {
		b.WriteString("?" + req.RawQuery)
	}
	b.WriteString("\n")
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	b.WriteString("\n" + string(body))
	for i := range req.Trailer.Len() {
		f := req.Trailer.At(i)
		b.WriteString("\n" + f.Name + ": " + f.Value)
	}
	return reply(req, 200, b.String()), nil
}

// rawClient is a connection on which a test writes bytes of its choice.
type rawClient struct {
	t testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func dialRaw(t testing.TB, addr string) *rawClient {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &rawClient{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c *rawClient) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// answer reads the next answer with its body.
func (c *rawClient) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("read body: %v", err)
	}
	return resp, string(body)
}

// wantStatus reads the next answer and checks it.
func (c *rawClient) wantStatus(status int, code string) *http.Response {
	c.t.Helper()
	resp, body := c.answer("GET")
	if resp.StatusCode != status || code != "" && !strings.Contains(body, `"code":"`+code+`"`) {
		c.t.Fatalf("answer %d %s, want %d %s", resp.StatusCode, body, status, code)
	}
	if code != "" && resp.Header.Get("Content-Type") != protocol.ProblemType {
		c.t.Errorf("Content-Type %q", resp.Header.Get("Content-Type"))
	}
	return resp
}

// wantClosed checks that nothing comes but the end.
func (c *rawClient) wantClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("want the end of the connection, got %q, %v", rest, err)
	}
}

// pipeListener accepts connections in memory, where a write is one read: tests decide how bytes arrive.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
