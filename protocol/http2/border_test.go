package http2

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/http1"
)

// recorder is an HTTP/1.1 server that keeps the octets of each head and answers with 200.
func recorder(t testing.TB) (string, <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heads := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			record(nc, heads)
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String(), heads
}

func record(nc net.Conn, heads chan<- string) {
	defer nc.Close()
	var seen strings.Builder
	r := bufio.NewReader(io.TeeReader(nc, &seen))
	req, err := http.ReadRequest(r)
	if err != nil {
		heads <- "broken: " + err.Error()
		return
	}
	_, _ = io.Copy(io.Discard, req.Body)
	heads <- seen.String()
	fmt.Fprint(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nX-Mixed-Case: Yes\r\n\r\nok")
}

// TestBorderToHTTP1 looks at what becomes of a request on its way to an HTTP/1.1 server.
func TestBorderToHTTP1(t *testing.T) {
	upstream, heads := recorder(t)
	c := http1.NewClient(http1.ClientConfig{Address: upstream, PreserveHost: true})
	defer c.Close()
	_, addr := startServer(t, ServerConfig{}, c.Serve)
	for _, tc := range []struct {
		name    string
		send    func(p *peer)
		want    []string
		without []string
	}{
		{"plain", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/a?b=c&d")) },
			[]string{"GET /a?b=c&d HTTP/1.1\r\n", "\r\nHost: example.org\r\n", "X-Forwarded-For: 127.0.0.1\r\n"}, []string{"Transfer-Encoding", "Content-Length", ":"[:0] + ":path"}},
		{"cookie crumbs", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3"))
		}, []string{"cookie: a=1; b=2; c=3\r\n"}, []string{"cookie: b", "cookie: c"}},
		{"content-length", func(p *peer) {
			p.frame(frameHeaders, flagEndHeaders, 1, p.request("POST", "/", "content-length", "4")).frame(frameData, flagEndStream, 1, []byte("body"))
		}, []string{"Content-Length: 4\r\n", "\r\n\r\nbody"}, []string{"Transfer-Encoding"}},
		{"no content-length", func(p *peer) {
			p.frame(frameHeaders, flagEndHeaders, 1, p.request("POST", "/")).frame(frameData, flagEndStream, 1, []byte("body"))
		}, []string{"Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n"}, []string{"Content-Length"}},
		{"content that looks like a request", func(p *peer) {
			p.frame(frameHeaders, flagEndHeaders, 1, p.request("POST", "/")).frame(frameData, flagEndStream, 1, []byte("0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"))
		}, []string{"Transfer-Encoding: chunked\r\n", "24\r\n0\r\n\r\nGET /evil"}, nil},
		{"te: trailers", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "te", "trailers")) },
			[]string{"TE: trailers\r\n", "Connection: TE\r\n"}, nil},
		{"host and :authority", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "host", "example.org")) },
			[]string{"\r\nHost: example.org\r\n"}, []string{"\r\nhost:"}},
		{"dots", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/a/%2e%2e/./b/%7Ec")) }, []string{"GET /b/~c HTTP/1.1\r\n"}, nil},
		{"lies about forwarding", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "x-forwarded-for", "1.1.1.1", "forwarded", "for=2.2.2.2", "x-real-ip", "3.3.3.3"))
		}, []string{"X-Forwarded-For: 127.0.0.1\r\n"}, []string{"1.1.1.1", "2.2.2.2", "3.3.3.3"}},
		{"hop-by-hop fields that HTTP/2 does not forbid", func(p *peer) {
			p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "proxy-authorization", "secret", "trailer", "x"))
		}, nil, []string{"secret", "trailer"}},
		{"the method is passed as it is", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("PURGE", "/")) }, []string{"PURGE / HTTP/1.1\r\n"}, nil},
		{"high octets", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "a", "\xc3\xa4")) }, []string{"a: \xc3\xa4\r\n"}, nil},
		{"empty value", func(p *peer) { p.frame(frameHeaders, endBoth, 1, p.request("GET", "/", "a", "")) }, []string{"a: \r\n"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := dialPeer(t, addr)
			p.greetServer()
			tc.send(p)
			p.flush()
			_, payload := p.until(frameHeaders, 1)
			h := p.fields(payload)
			if h[":status"] != "200" || h["x-mixed-case"] != "Yes" || h["connection"]+h["keep-alive"] != "" || h["content-length"] != "2" {
				t.Errorf("answer %v", h)
			}
			head := <-heads
			for _, w := range tc.want {
				if !strings.Contains(head, w) {
					t.Errorf("%q is missing in\n%s", w, head)
				}
			}
			for _, w := range tc.without {
				if strings.Contains(head, w) {
					t.Errorf("%q is in\n%s", w, head)
				}
			}
		})
	}
}

// TestSmuggling sends what would be more than one request, or another one, if it were written down as HTTP/1.1. Nothing
// of it may reach the server behind.
func TestSmuggling(t *testing.T) {
	upstream, heads := recorder(t)
	c := http1.NewClient(http1.ClientConfig{Address: upstream})
	defer c.Close()
	_, addr := startServer(t, ServerConfig{}, c.Serve)
	evil := "\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
	base := func(name, value string) []string {
		fields := []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"}
		for i := 0; i < len(fields); i += 2 {
			if fields[i] == name {
				fields[i+1] = value
				return fields
			}
		}
		return append(fields, name, value)
	}
	cases := map[string][]string{
		"in a value":                      base("a", "b"+evil),
		"in a name":                       base("a: b"+evil+"c", "d"),
		"in :path":                        base(":path", "/ HTTP/1.1"+evil),
		"a blank in :path":                base(":path", "/x y"),
		"a tab in :path":                  base(":path", "/x\ty"),
		"in :method":                      base(":method", "GET / HTTP/1.1"+evil),
		"in :authority":                   base(":authority", "a"+evil),
		"in :scheme":                      base(":scheme", "http"+evil),
		"transfer-encoding":               base("transfer-encoding", "chunked"),
		"transfer-encoding with a blank":  base("transfer-encoding ", "chunked"),
		"Transfer-Encoding":               base("Transfer-Encoding", "chunked"),
		"connection":                      base("connection", "content-length"),
		"content-length that is negative": base("content-length", "-1"),
		"content-length with a sign":      base("content-length", "+5"),
		"content-length in hexadecimal":   base("content-length", "0x5"),
		"content-length as a list":        base("content-length", "5, 5"),
		"content-length with CR LF":       base("content-length", "5\r\na: b"),
		"a huge content-length":           base("content-length", "99999999999999999999"),
		"a colon in a name":               base("a:b", "c"),
		"a name of a blank":               base(" ", "c"),
		"NUL":                             base("a", "b\x00c"),
		"an escaped NUL in :path":         base(":path", "/%00"),
		"a backslash in :path":            base(":path", "/a\\..\\b"),
		"hidden dots in :path":            base(":path", "/a/..;/b"),
		"broken escape in :path":          base(":path", "/%zz"),
		"user information in :authority":  base(":authority", "a@b"),
	}
	for name, fields := range cases {
		t.Run(name, func(t *testing.T) {
			for _, flags := range []uint8{endBoth, flagEndHeaders} {
				p := dialPeer(t, addr)
				p.greetServer()
				p.frame(frameHeaders, flags, 1, p.block(fields...)).flush()
				if got := p.outcome(); got != "RST 1 PROTOCOL_ERROR" && got != "400" {
					t.Errorf("outcome is %q", got)
				}
			}
		})
	}
	select {
	case head := <-heads:
		t.Errorf("the server behind was sent\n%s", head)
	default:
	}
}

// TestFiltersCannotSmuggle shows that what a filter of ours sets wrongly is refused by the client before it is sent.
func TestFiltersCannotSmuggle(t *testing.T) {
	c := newClient(t, ClientConfig{Address: script(t, serveAll)})
	for name, spoil := range map[string]func(req *protocol.Request){
		"value":     func(req *protocol.Request) { req.Header.Add("a", "b\r\nc: d") },
		"name":      func(req *protocol.Request) { req.Header.Add("a b", "c") },
		"empty":     func(req *protocol.Request) { req.Header.Add("", "c") },
		"path":      func(req *protocol.Request) { req.Path = "/a b" },
		"no path":   func(req *protocol.Request) { req.Path = "" },
		"relative":  func(req *protocol.Request) { req.Path = "a" },
		"query":     func(req *protocol.Request) { req.RawQuery = "a b" },
		"method":    func(req *protocol.Request) { req.Method = "GET /" },
		"authority": func(req *protocol.Request) { req.Authority = "a\r\nb" },
	} {
		req := newRequest("GET", "/", nil)
		spoil(req)
		_, err := c.Serve(t.Context(), req)
		if e := protocol.AsError(err); e.Code != protocol.CodeInternal || !e.NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := c.Stats(); n.Dialled != 0 {
		t.Errorf("%+v", n)
	}
}

// TestBorderFromHTTP1 looks at what an HTTP/2 server gets of an HTTP/1.1 request, and what becomes of its answer.
func TestBorderFromHTTP1(t *testing.T) {
	_, upstream := startServer(t, ServerConfig{TrustedProxies: nil}, func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		b, err := protocol.ReadAll(nil, req.Body, 1<<20)
		if err != nil {
			return nil, err
		}
		var names []string
		for i := range req.Header.Len() {
			names = append(names, req.Header.At(i).Name)
		}
		resp := req.NewResponse()
		resp.Status, resp.ContentLength = 200, protocol.UnknownLength
		resp.Header.Add("x-seen", fmt.Sprint(req.Method, " ", req.Path, " ", req.Authority, " ", string(b), " ", req.Trailer.Get("x-sum"), " ", slices.Contains(names, "connection")))
		resp.Body = protocol.NewBytes([]byte("answer"))
		resp.Trailer.Add("x-done", "yes")
		return resp, nil
	})
	c := newClient(t, ClientConfig{Address: upstream, PreserveHost: true})
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
	r := bufio.NewReader(nc)
	for _, request := range []string{
		"POST /a HTTP/1.1\r\nHost: shop\r\nX-Upper: Yes\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nContent-Length: 4\r\n\r\nbody",
		"POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\nX-Sum: 4\r\n\r\n",
	} {
		fmt.Fprint(nc, request)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		sum := ""
		if strings.Contains(request, "X-Sum") {
			sum = "4"
		}
		if err != nil || string(b) != "answer" || resp.Header.Get("X-Seen") != "POST /a shop body "+sum+" false" || resp.Trailer.Get("X-Done") != "yes" {
			t.Errorf("%q %v %v %v", b, err, resp.Header, resp.Trailer)
		}
	}
}
