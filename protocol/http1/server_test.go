package http1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

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

func TestTrailersGoBothWays(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		body, err := protocol.ReadAll(nil, req.Body, 1<<20)
		if err != nil {
			return nil, err
		}
		resp := reply(req, 200, string(body))
		resp.ContentLength = protocol.UnknownLength
		resp.Trailer.Add("X-Sum", req.Trailer.Get("x-sum"))
		resp.Trailer.Add("Content-Length", "7") // must not leave
		return resp, nil
	})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, size := range []int{10, 100_000} {
		req, _ := http.NewRequest("POST", "http://"+addr+"/", io.MultiReader(bytes.NewReader(make([]byte, size))))
		req.Trailer = http.Header{"X-Sum": {"42"}, "Content-Type": {"evil"}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || n != int64(size) || resp.Trailer.Get("X-Sum") != "42" || len(resp.Trailer) != 1 {
			t.Errorf("%d bytes, trailers %v, %v", n, resp.Trailer, err)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.Path == "/no" {
			return nil, protocol.NewError(403, "no_entry", "no")
		}
		return dumpHandler(ctx, req)
	})
	const head = " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

	t.Run("sent when the body is read", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST /yes" + head)
		if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q", line)
		}
		c.r.ReadString('\n')
		c.send("hello")
		if resp, body := c.answer("POST"); resp.StatusCode != 200 || !strings.HasSuffix(body, "\nhello") {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(200, "")
	})
	t.Run("not sent when it is not, and the connection ends", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST /no" + head)
		if resp := c.wantStatus(403, "no_entry"); !resp.Close {
			t.Error("the client may or may not send the body, so the connection cannot go on")
		}
		c.wantClosed()
	})
	t.Run("not sent when the body is there", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST /yes" + head + "hello")
		c.wantStatus(200, "")
	})
	t.Run("others are refused", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n")
		c.wantStatus(417, "bad_request")
		c.wantClosed()
	})
	t.Run("net/http waits for it", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: patience}}
		defer client.CloseIdleConnections()
		req, _ := http.NewRequest("POST", "http://"+addr+"/yes", strings.NewReader("hello"))
		req.Header.Set("Expect", "100-continue")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	})
}

func TestAnswersWithoutContent(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		switch req.Path {
		case "/204":
			return reply(req, 204, ""), nil
		case "/304":
			return reply(req, 304, ""), nil
		case "/bad204":
			return reply(req, 204, "content"), nil
		case "/empty":
			resp := req.NewResponse()
			resp.Status, resp.ContentLength = 200, 99 // and no body
			return resp, nil
		}
		return reply(req, 200, "content"), nil
	})
	c := dialRaw(t, addr)
	for _, tc := range []struct{ method, path, length string }{
		{"HEAD", "/", "7"}, {"GET", "/204", ""}, {"GET", "/304", ""}, {"GET", "/bad204", ""}, {"GET", "/empty", "0"}, {"GET", "/", "7"},
	} {
		c.send(tc.method + " " + tc.path + " HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, body := c.answer(tc.method)
		if got := resp.Header.Get("Content-Length"); got != tc.length {
			t.Errorf("%s %s: Content-Length %q, want %q", tc.method, tc.path, got, tc.length)
		}
		if tc.path == "/" && tc.method == "GET" && body != "content" {
			t.Errorf("the answers before it left bytes behind: %q", body)
		}
		if resp.Header.Get("Date") == "" || resp.Header.Get("Server") != "" {
			t.Errorf("Date %q, Server %q", resp.Header.Get("Date"), resp.Header.Get("Server"))
		}
	}
}

func TestHTTP10(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "content")
		if req.Path == "/unknown" {
			resp.ContentLength = protocol.UnknownLength
		}
		return resp, nil
	})
	t.Run("closes", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET / HTTP/1.0\r\n\r\n")
		c.wantStatus(200, "")
		c.wantClosed()
	})
	t.Run("keeps if asked", func(t *testing.T) {
		c := dialRaw(t, addr)
		for range 3 {
			c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			if resp := c.wantStatus(200, ""); resp.Header.Get("Connection") != "keep-alive" {
				t.Error("did not say so")
			}
		}
	})
	t.Run("unknown length ends with the connection", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		resp, body := c.answer("GET")
		if body != "content" || len(resp.TransferEncoding) > 0 {
			t.Errorf("%q %v", body, resp.TransferEncoding)
		}
		c.wantClosed()
	})
}

func TestHandlerErrorsAreRendered(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		switch req.Path {
		case "/limited":
			return nil, &protocol.Error{Status: 429, Code: protocol.CodeFlowLimited, Message: "slow down", RetryAfter: 1500 * time.Millisecond}
		case "/method":
			return nil, &protocol.Error{Status: 405, Code: protocol.CodeMethodNotAllowed, Message: "no", Allow: "GET, PUT"}
		case "/plain":
			return nil, errors.New("secret")
		case "/status":
			return reply(req, 7, ""), nil
		case "/open":
			_ = reply(req, 200, "left open")
			return nil, errors.New("and failed")
		}
		return nil, nil
	})
	c := dialRaw(t, addr)
	get := func(path string) { c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n") }
	get("/limited")
	if resp := c.wantStatus(429, "flow_limited"); resp.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
	}
	get("/method")
	if resp := c.wantStatus(405, "method_not_allowed"); resp.Header.Get("Allow") != "GET, PUT" {
		t.Errorf("Allow %q", resp.Header.Get("Allow"))
	}
	get("/plain")
	if _, body := c.answer("GET"); strings.Contains(body, "secret") || !strings.Contains(body, "internal") {
		t.Errorf("body %s", body)
	}
	for _, path := range []string{"/status", "/open", "/nothing"} {
		get(path)
		c.wantStatus(500, "internal")
	}
}

// failing is a body that breaks after some pieces.
type failing struct {
	protocol.Bytes
	after int
}

var errBroken = errors.New("broken")

func (f *failing) Next() ([]byte, bool, error) {
	if f.after--; f.after < 0 {
		return nil, false, errBroken
	}
	return bytes.Repeat([]byte("x"), 8000), true, nil
}
func (f *failing) Buffered() int { return 8000 }
func (f *failing) Done() bool    { return false }

func TestAnswerThatBreaks(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := req.NewResponse()
		resp.Status, resp.ContentLength = 200, protocol.UnknownLength
		resp.Body = &failing{after: len(req.Path) - 1}
		return resp, nil
	})
	t.Run("before its first byte is told", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.wantStatus(500, "internal")
	})
	t.Run("in the middle is cut", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET /ab HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("in the middle of HTTP/1.0 is reset", func(t *testing.T) {
		c := dialRaw(t, addr)
		c.send("GET /ab HTTP/1.0\r\n\r\n")
		if rest, err := io.ReadAll(c.r); err == nil {
			t.Errorf("looks like an orderly end after %d bytes", len(rest))
		}
	})
}

func TestHeaderValuesCannotEndALine(t *testing.T) {
	_, addr := startServer(t, ServerConfig{}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := reply(req, 200, "x")
		resp.Header.Add("X-Evil", "a\r\nSet-Cookie: b")
		resp.Header.Add("X Evil", "a")
		resp.Header.Add("Connection", "close")
		resp.Header.Add("Transfer-Encoding", "chunked")
		resp.Header.Add("Content-Length", "55")
		return resp, nil
	})
	c := dialRaw(t, addr)
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp := c.wantStatus(200, "")
		if resp.Header.Get("Set-Cookie") != "" || len(resp.Header) != 3 || resp.Close {
			t.Errorf("%v", resp.Header)
		}
	}
}
