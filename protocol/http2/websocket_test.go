package http2

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http1"
)

// wsServer accepts WebSocket upgrades over HTTP/1.1, checks the key and echoes octets in upper case.
func wsServer(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-WebSocket-Key") == "" || r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		nc, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nX-Path: %s\r\n\r\n",
			acceptKey(r.Header.Get("Sec-WebSocket-Key")), r.URL.Path)
		rw.Flush()
		shout(rw, rw)
		rw.Flush()
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String()
}

// shout echoes in upper case until the end.
func shout(r io.Reader, w interface {
	io.Writer
	Flush() error
}) {
	b := make([]byte, 100)
	for {
		n, err := r.Read(b)
		_, _ = w.Write([]byte(strings.ToUpper(string(b[:n]))))
		_ = w.Flush()
		if err != nil {
			return
		}
	}
}

// connect opens a WebSocket over HTTP/2.
func (p *peer) connect(id uint32) {
	p.frame(frameHeaders, flagEndHeaders, id, p.block(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/chat",
		":authority", "a", "sec-websocket-version", "13")).flush()
}

// converse checks that both directions work, one after the other and at once, and end.
func (p *peer) converse(id uint32) {
	p.t.Helper()
	for _, word := range []string{"hello", "again"} {
		p.frame(frameData, 0, id, []byte(word)).flush()
		if _, got := p.until(frameData, id); string(got) != strings.ToUpper(word) {
			p.t.Errorf("%q came back as %q", word, got)
		}
	}
	p.frame(frameData, flagEndStream, id, []byte("bye")).flush()
	rest := ""
	for {
		f, payload := p.until(frameData, id)
		rest += string(payload)
		if f.has(flagEndStream) {
			break
		}
	}
	if rest != "BYE" {
		p.t.Errorf("the end is %q", rest)
	}
}

// TestWebSocketToHTTP1 is RFC 8441 in front of a server that knows only RFC 6455.
func TestWebSocketToHTTP1(t *testing.T) {
	c := http1.NewClient(http1.ClientConfig{Address: wsServer(t)})
	defer c.Close()
	_, addr := startServer(t, ServerConfig{}, c.Serve)
	p := dialPeer(t, addr)
	p.greetServer()
	p.connect(1)
	_, payload := p.until(frameHeaders, 1)
	if h := p.fields(payload); h[":status"] != "200" || h["x-path"] != "/chat" || h[acceptField] != "" || h["upgrade"] != "" {
		t.Errorf("%v", h)
	}
	p.converse(1)
	p.get(3) // is declined by that server, and the connection goes on
}

// wsHandler is a service that speaks WebSocket by our Handler.
func wsHandler(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
	if req.Upgrade != "websocket" {
		return reply(req, 400, ""), nil
	}
	resp := req.NewResponse()
	resp.Status, resp.Upgrade, resp.ContentLength = 101, true, protocol.UnknownLength
	resp.Header.Add("X-Path", req.Path)
	resp.Body = &shouting{Body: req.Body}
	return resp, nil
}

// shouting is a body in upper case.
type shouting struct {
	protocol.Body
	b []byte
}

func (s *shouting) Next() ([]byte, bool, error) {
	piece, more, err := s.Body.Next()
	s.b = append(s.b[:0], strings.ToUpper(string(piece))...)
	return s.b, more, err
}

// TestWebSocketThrough goes through server and client of this room.
func TestWebSocketThrough(t *testing.T) {
	_, upstream := startServer(t, ServerConfig{}, wsHandler)
	c := newClient(t, ClientConfig{Address: upstream})
	_, addr := startServer(t, ServerConfig{}, c.Serve)
	p := dialPeer(t, addr)
	p.greetServer()
	for i := range uint32(3) {
		p.connect(2*i + 1)
		_, payload := p.until(frameHeaders, 2*i+1)
		if h := p.fields(payload); h[":status"] != "200" || h["x-path"] != "/chat" {
			t.Errorf("%v", h)
		}
		p.converse(2*i + 1)
	}
}

// TestWebSocketFromHTTP1 is a client that knows only RFC 6455 in front of RFC 8441.
func TestWebSocketFromHTTP1(t *testing.T) {
	_, upstream := startServer(t, ServerConfig{}, wsHandler)
	c := newClient(t, ClientConfig{Address: upstream})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := http1.NewServer(c, http1.ServerConfig{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	defer func() { s.Close(); <-served }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 section 1.3, with its answer
	fmt.Fprintf(nc, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: %s\r\n\r\n", key)
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || resp.Header.Get("Upgrade") != "websocket" {
		t.Errorf("%v", resp)
	}
	fmt.Fprint(nc, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != "HELLO" {
		t.Errorf("%q %v", b, err)
	}
	_ = nc.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("%q %v", rest, err)
	}
}

// TestWebSocketUnsupported tells of instances that do not know RFC 8441.
func TestWebSocketUnsupported(t *testing.T) {
	c := newClient(t, ClientConfig{Address: script(t, serveAll)})
	req := newRequest("GET", "/", nil)
	req.Upgrade = "websocket"
	_, err := c.Serve(t.Context(), req)
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamProtocol || !e.NotSent {
		t.Errorf("%v", err)
	}
}
