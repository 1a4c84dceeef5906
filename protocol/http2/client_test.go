package http2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// newClient makes a Client that is closed at the end of the test.
func newClient(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c := NewClient(cfg)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		eventually(t, "all connections of the client are gone", func() bool { return c.Stats().Open == 0 })
		c.running.Wait()
	})
	return c
}

// xnetServer is the server of golang.org/x/net, which net/http has taken in, over cleartext.
func xnetServer(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: h, Protocols: &h2c}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-served })
	return ln.Addr().String()
}

// newRequest makes a request as a listener would.
func newRequest(method, path string, body []byte) *protocol.Request {
	req := &protocol.Request{Method: method, Path: path, Authority: "example.org", Scheme: "http"}
	if body != nil {
		req.Body = protocol.NewBytes(body)
		req.ContentLength = int64(len(body))
	}
	return req
}

// call serves req and reads the answer.
func call(t testing.TB, h protocol.Handler, req *protocol.Request) (status int, body string) {
	t.Helper()
	resp, err := h.Serve(t.Context(), req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.Path, err)
	}
	defer resp.Close()
	b, err := protocol.ReadAll(nil, resp.Body, 64<<20)
	if err != nil {
		t.Fatalf("%s %s: read: %v", req.Method, req.Path, err)
	}
	return resp.Status, string(b)
}

func xnetEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Set("X-Host", r.Host)
	if r.Body != nil {
		_, _ = io.Copy(flusher{w}, r.Body)
	}
	for k, v := range r.Trailer {
		w.Header()[http.TrailerPrefix+k] = v
	}
}

// flusher sends each piece at once.
type flusher struct{ w http.ResponseWriter }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.w.(http.Flusher).Flush()
	return n, err
}

func TestClientAgainstXNet(t *testing.T) {
	addr := xnetServer(t, xnetEcho)
	c := newClient(t, ClientConfig{Address: addr})
	for i := range 3 {
		req := newRequest("GET", fmt.Sprint("/", i), nil)
		req.RawQuery, req.HasQuery = "q=1", true
		resp, err := c.Serve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Status != 200 || resp.Header.Get("x-path") != fmt.Sprint("/", i, "?q=1") || resp.Header.Get("x-host") != addr || resp.Body != nil {
			t.Errorf("%d %+v", resp.Status, resp.Header)
		}
		resp.Close()
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			body := bytes.Repeat([]byte{byte('a' + i)}, []int{0, 1, 1000, 70000, 1 << 20, 9 << 20}[i%6])
			status, got := call(t, c, newRequest("POST", "/", body))
			if status != 200 || got != string(body) {
				t.Errorf("%d: %d octets came back as %d", status, len(body), len(got))
			}
		})
	}
	wg.Wait()
	if n := c.Stats(); n.Dialled != 1 || n.Streams != 0 {
		t.Errorf("%+v", n)
	}
}

func TestClientTrailersAgainstXNet(t *testing.T) {
	c := newClient(t, ClientConfig{Address: xnetServer(t, xnetEcho)})
	req := newRequest("POST", "/", []byte("abc"))
	req.ContentLength = protocol.UnknownLength
	req.Header.Add("Trailer", "X-Sum")
	req.Trailer.Add("X-Sum", "3")
	resp, err := c.Serve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	b, err := protocol.ReadAll(nil, resp.Body, 100)
	if err != nil || string(b) != "abc" {
		t.Errorf("%q %v", b, err)
	}
}

// TestThrough sends x/net's requests through our server and client to x/net's server.
func TestThrough(t *testing.T) {
	c := newClient(t, ClientConfig{Address: xnetServer(t, xnetEcho)})
	_, addr := startServer(t, ServerConfig{}, c.Serve)
	h := xnetClient(t)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			body := strings.Repeat(string(rune('a'+i)), []int{0, 1, 1000, 70000, 1 << 20, 9 << 20}[i%6])
			resp, err := h.Post("http://"+addr+"/x?y", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != body || resp.Header.Get("X-Path") != "/x?y" {
				t.Errorf("%d octets came back as %d: %v", len(body), len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestRefusedConnect(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	c := newClient(t, ClientConfig{Address: ln.Addr().String()})
	_, err = c.Serve(context.Background(), newRequest("GET", "/", nil))
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamConnect || !e.NotSent {
		t.Errorf("%v", err)
	}
}
