package gateway

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// files is a service that does with bodies what services do.
func files(t testing.TB) *backend {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hash", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Header().Set("Content-Length", r.Header.Get("Content-Length"))
		if _, err := io.Copy(w, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	mux.HandleFunc("GET /large/{seed}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(large))
		}
		_, _ = io.Copy(w, content(r.PathValue("seed")))
	})
	mux.HandleFunc("GET /upgrade", upgrade)
	mux.HandleFunc("POST /refuse", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	return serveBy(t, "files", mux)
}

// large is a body of 50 MB, which does not fit into any buffer on the way.
const large = 50 << 20

// content is the same for the same seed.
func content(seed string) io.Reader {
	var key [32]byte
	copy(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), large)
}

func sum(t testing.TB, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

const filesRoute = `
registries:
  - {name: here, type: static, services: {files: [%q]}}
routes:
  - {name: files, match: {path: "/**"}, to: {service: files}}
`

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(filesRoute, files(t).address()))
	want := sum(t, content("up"))
	for name, length := range map[string]int64{"with its length": large, "in chunks": -1} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+"/hash", io.NopCloser(content("up")))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("%d %s <nil>", large, want); err != nil || string(body) != want {
			t.Errorf("upload %s: %s %v, want %s", name, body, err, want)
		}
	}
	for _, query := range []string{"?length", ""} {
		resp := s.open("/large/down" + query)
		if got, want := sum(t, resp.Body), sum(t, content("down")); got != want {
			t.Errorf("download %q: %s, want %s", query, got, want)
		}
		if query != "" && resp.ContentLength != large {
			t.Errorf("the length is lost: %d", resp.ContentLength)
		}
	}
}

// open is a GET whose body is still to be read.
func (s *sluice) open(path string, header ...string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestContinue is a client that sends its body only when asked to. A refusal, the gateway's or the service's, comes instead
// of the question.
func TestContinue(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(filesRoute, files(t).address())+`
  - {name: small, match: {path: "/hash/small"}, filters: [{requestSize: {max: 4B}}], to: {service: files}}
`)
	ask := func(path string) (net.Conn, *bufio.Reader, string) {
		t.Helper()
		conn, r := s.dial()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", path)
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return conn, r, strings.TrimSpace(line)
	}
	if _, _, line := ask("/hash/small"); line != "HTTP/1.1 413 Request Entity Too Large" {
		t.Errorf("a body that is too large is answered %q", line)
	}
	if _, _, line := ask("/refuse"); line != "HTTP/1.1 403 Forbidden" {
		t.Errorf("a body that the service does not want is answered %q", line)
	}
	conn, r, line := ask("/hash")
	if blank, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue" || blank != "\r\n" {
		t.Fatalf("%q %q %v", line, blank, err)
	}
	io.WriteString(conn, "hello")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body := read(t, resp.Body, int(resp.ContentLength)); body != fmt.Sprintf("5 %s <nil>", sum(t, strings.NewReader("hello"))) {
		t.Errorf("%q", body)
	}
}

// dial is a bare connection to the gateway, for ten seconds.
func (s *sluice) dial() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// upgrade takes a WebSocket handshake and echoes the bytes behind it, whatever they are.
func upgrade(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	// The key and its answer are those of RFC 6455 section 1.3.
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello")
	_, _ = io.Copy(conn, rw)
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(filesRoute, files(t).address()))
	conn, r := s.dial()
	// Bytes behind the handshake, before it is answered, belong to the tunnel.
	io.WriteString(conn, "GET /upgrade HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	if early := read(t, r, 16); early != "hello\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" {
		t.Errorf("first bytes %q", early)
	}
	for i := range 50 {
		message := strings.Repeat(fmt.Sprintf("\x82%03d", i), 1+i*100)
		io.WriteString(conn, message)
		if got := read(t, r, len(message)); got != message {
			t.Fatalf("message %d is not what was sent", i)
		}
	}
	// The client's end is passed on, and so is the service's.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q %v", rest, err)
	}
}

func read(t testing.TB, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEvents wants each server-sent event when it is sent, and the service to hear that the client left.
func TestEvents(t *testing.T) {
	t.Parallel()
	next, left := make(chan string), make(chan struct{})
	events := serveBy(t, "events", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case event := <-next:
				fmt.Fprintf(w, "data: %s\n\n", event)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				close(left)
				return
			}
		}
	}))
	s := start(t, fmt.Sprintf(filesRoute, events.address()))
	conn, r := s.dial()
	io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
	for i := range 20 {
		want := fmt.Sprintf("data: event %d\n\n", i)
		next <- fmt.Sprintf("event %d", i)
		sent := time.Now()
		var seen bytes.Buffer
		for !strings.Contains(seen.String(), want) { // heads and chunk sizes stand between
			b, err := r.ReadByte()
			if err != nil {
				t.Fatalf("%v after %q", err, seen.String())
			}
			seen.WriteByte(b)
		}
		if took := time.Since(sent); took > 500*time.Millisecond {
			t.Errorf("event %d came after %v", i, took)
		}
	}
	conn.Close()
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the service was not told that the client has left")
	}
}
