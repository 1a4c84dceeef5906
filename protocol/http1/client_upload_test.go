package http1

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestClientReturnsAnEarlyAnswer(t *testing.T) {
	for _, known := range []bool{true, false} {
		closed := make(chan struct{})
		u := startUpstream(t, func(p *rawPeer) {
			p.readHead()
			p.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
			p.waitClosed()
			close(closed)
		})
		c := startClient(t, ClientConfig{Address: u.addr()})
		body := newPipedBody()
		length := int64(1 << 30)
		if !known {
			length = protocol.UnknownLength
		}
		a := exchange(context.Background(), c, withBody(newRequest("POST", "/"), body, length))
		if a.err != nil || a.bodyErr != nil || a.status != 413 || a.body != "big" {
			t.Fatalf("got %+v", a)
		}
		// Close has waited: nobody is in the body any more, and the half-sent request ended its connection.
		if body.inNext.Load() != 0 || body.feed("x") {
			t.Error("the request's body is still being read")
		}
		<-closed
		if s := c.Stats(); s.Open != 0 {
			t.Errorf("stats are %+v", s)
		}
	}
}

// Nothing of a large body may be sent before the answer is looked for, although all of it is at hand.
func TestClientReturnsAnEarlyAnswerToALargeBody(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		<-p.done
	})
	c := startClient(t, ClientConfig{Address: u.addr(), BodyIdleTimeout: patience})
	for _, length := range []int64{32 << 20, protocol.UnknownLength} {
		body := protocol.NewBytes(make([]byte, 32<<20))
		within(t, patience/2, func() {
			a := exchange(context.Background(), c, withBody(newRequest("POST", "/"), body, length))
			if a.err != nil || a.bodyErr != nil || a.status != 413 || a.body != "big" {
				t.Errorf("got %+v", a)
			}
		})
	}
}

// An instance that answers and closes without reading resets the connection under the upload. The answer counts.
func TestClientFindsTheAnswerBehindABrokenUpload(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 401 Who Are You\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	for range 20 {
		data := protocol.NewBytes(make([]byte, 8<<20))
		a := exchange(context.Background(), c, withBody(newRequest("POST", "/"), data, 8<<20))
		if a.err != nil {
			// The reset may overtake the answer; then it must be said that the connection broke.
			mustFail(t, a.err, 502, protocol.CodeUpstreamReset)
			continue
		}
		if a.status != 401 {
			t.Fatalf("got %+v", a)
		}
	}
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestClientStreamsBothWays(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			size, err := p.r.ReadString('\n')
			if err != nil || size == "0\r\n" {
				p.send("0\r\nX-End: yes\r\n\r\n")
				p.waitClosed()
				return
			}
			data, _ := p.r.ReadString('\n')
			p.send(size + strings.ToUpper(data))
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	body := newPipedBody()
	resp, err := c.Serve(context.Background(), withBody(newRequest("POST", "/"), body, protocol.UnknownLength))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"ping", "pong", "again"} {
		if !body.feed(word) {
			t.Fatal("the body was closed")
		}
		piece, more, err := resp.Body.Next()
		if string(piece) != strings.ToUpper(word) || !more || err != nil {
			t.Fatalf("got %q, %v, %v", piece, more, err)
		}
	}
	body.end()
	a := readAnswer(resp)
	if a.bodyErr != nil || a.body != "" || a.trailer != "X-End: yes\n" {
		t.Errorf("got %+v", a)
	}
}

func TestClientSendsTrailers(t *testing.T) {
	addr := startHTTP(t, echo)
	c := startClient(t, ClientConfig{Address: addr})
	for _, piped := range []bool{false, true} {
		req := newRequest("POST", "/", "Trailer", "X-Sum", "TE", "trailers")
		var body protocol.Body = protocol.NewBytes([]byte("data"))
		if piped {
			p := newPipedBody()
			go func() { p.feed("da"); p.feed("ta"); p.end() }()
			body = p
		}
		req.Trailer.Add("X-Sum", "42")
		a := exchange(context.Background(), c, withBody(req, body, protocol.UnknownLength))
		mustOK(t, a, "data")
		if !strings.Contains(a.header, "X-Seen-Trailer: X-Sum=42\n") {
			t.Errorf("header is %q", a.header)
		}
	}
}

func TestClientWaitsFor100Continue(t *testing.T) {
	expecting := func(body protocol.Body) *protocol.Request {
		return withBody(newRequest("POST", "/", "Expect", "100-continue"), body, 4)
	}
	t.Run("said", func(t *testing.T) {
		u := startUpstream(t, func(p *rawPeer) {
			head := p.readHead()
			if !strings.Contains(head, "Expect: 100-continue\r\n") {
				t.Errorf("head is %q", head)
			}
			_ = p.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			if b, err := p.r.Peek(1); err == nil {
				t.Errorf("the body came unasked: %q", b)
			}
			_ = p.SetReadDeadline(time.Time{})
			p.send("HTTP/1.1 100 Continue\r\n\r\n")
			b := make([]byte, 4)
			_, _ = p.r.Read(b)
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + string(b))
		})
		c := startClient(t, ClientConfig{Address: u.addr()})
		body := newPipedBody()
		go func() { body.feed("data"); body.end() }()
		req := expecting(body)
		var seen informed
		req.Informer = &seen
		mustOK(t, exchange(context.Background(), c, req), "data")
		if len(seen.got) != 1 {
			t.Errorf("interim answers are %q", seen.got)
		}
	})
	t.Run("refused", func(t *testing.T) {
		u := startUpstream(t, func(p *rawPeer) {
			p.readHead()
			p.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
			if rest := p.waitClosed(); len(rest) > 0 {
				t.Errorf("the body came all the same: %q", rest)
			}
		})
		c := startClient(t, ClientConfig{Address: u.addr()})
		body := newPipedBody()
		a := exchange(context.Background(), c, expecting(body))
		if a.err != nil || a.status != 417 {
			t.Errorf("got %+v", a)
		}
		if s := c.Stats(); s.Open != 0 {
			t.Errorf("a connection that owes a body was kept: %+v", s)
		}
	})
	t.Run("never said", func(t *testing.T) {
		u := startUpstream(t, func(p *rawPeer) {
			_, body, _ := p.readRequest()
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
		})
		c := startClient(t, ClientConfig{Address: u.addr()})
		body := newPipedBody()
		go func() { body.feed("data"); body.end() }()
		mustOK(t, exchange(context.Background(), c, expecting(body)), "data")
	})
	t.Run("at hand", func(t *testing.T) {
		u := startUpstream(t, func(p *rawPeer) {
			_, body, _ := p.readRequest()
			p.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
		})
		c := startClient(t, ClientConfig{Address: u.addr()})
		mustOK(t, exchange(context.Background(), c, expecting(protocol.NewBytes([]byte("data")))), "data")
	})
}

func TestClientAbortsWhenTheRequestBodyBreaks(t *testing.T) {
	tooSlow := protocol.NewError(408, protocol.CodeRequestTimeout, "too slow")
	tests := []struct {
		name   string
		length int64
		feed   func(b *pipedBody)
		status int
		code   protocol.Code
	}{
		{"listener's error", 100, func(b *pipedBody) { b.feed("abc"); b.breakOff(tooSlow) }, 408, protocol.CodeRequestTimeout},
		{"unknown length", -1, func(b *pipedBody) { b.feed("abc"); b.breakOff(tooSlow) }, 408, protocol.CodeRequestTimeout},
		{"closed", 100, func(b *pipedBody) { b.feed("abc"); b.Close() }, 499, protocol.CodeClientGone},
		{"other", 100, func(b *pipedBody) { b.breakOff(errors.New("broken pipe")) }, 502, protocol.CodeUpstreamReset},
		{"too short", 100, func(b *pipedBody) { b.feed("abc"); b.end() }, 500, protocol.CodeInternal},
		{"too long", 2, func(b *pipedBody) { b.feed("abc") }, 500, protocol.CodeInternal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			u := startUpstream(t, func(p *rawPeer) {
				p.readHead()
				got <- string(p.waitClosed())
			})
			c := startClient(t, ClientConfig{Address: u.addr()})
			body := newPipedBody()
			go tt.feed(body)
			a := exchange(context.Background(), c, withBody(newRequest("POST", "/"), body, tt.length))
			mustFail(t, a.err, tt.status, tt.code)
			// What the instance got must not look whole.
			if sent := <-got; tt.length < 0 && strings.Contains(sent, "0\r\n\r\n") || tt.length >= 0 && int64(len(sent)) >= tt.length {
				t.Errorf("the instance got %q", sent)
			}
			if s := c.Stats(); s.Open != 0 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

// The client's upload breaks while the answer is already being read.
func TestClientEndsTheAnswerWhenTheRequestBodyBreaks(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		p.waitClosed()
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	body := newPipedBody()
	resp, err := c.Serve(context.Background(), withBody(newRequest("POST", "/"), body, protocol.UnknownLength))
	if err != nil {
		t.Fatal(err)
	}
	body.breakOff(protocol.NewError(400, protocol.CodeBadRequest, "bad chunk"))
	a := readAnswer(resp)
	mustFail(t, a.bodyErr, 400, protocol.CodeBadRequest)
	mustFail(t, a.failure, 400, protocol.CodeBadRequest)
}

func TestClientNeverWritesWhatAFilterSpoiled(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		for {
			head, _, ok := p.readRequest()
			if !ok {
				return
			}
			if strings.Contains(head, "evil") {
				t.Errorf("the instance got %q", head)
			}
			p.send(okAnswer)
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr(), PreserveHost: true})
	spoil := map[string]func(r *protocol.Request){
		"CRLF in value":      func(r *protocol.Request) { r.Header.Add("X-A", "b\r\nX-evil: 1") },
		"LF in value":        func(r *protocol.Request) { r.Header.Add("X-A", "b\nX-evil: 1") },
		"CR in value":        func(r *protocol.Request) { r.Header.Add("X-A", "b\rX-evil: 1") },
		"NUL in value":       func(r *protocol.Request) { r.Header.Add("X-A", "b\x00evil") },
		"CRLF in name":       func(r *protocol.Request) { r.Header.Add("X-A: b\r\nX-evil", "1") },
		"colon in name":      func(r *protocol.Request) { r.Header.Add("X-evil:X", "1") },
		"empty name":         func(r *protocol.Request) { r.Header.Add("", "evil") },
		"blank in path":      func(r *protocol.Request) { r.Path = "/ evil" },
		"CRLF in path":       func(r *protocol.Request) { r.Path = "/ HTTP/1.1\r\nX-evil: 1\r\n\r\n" },
		"control in path":    func(r *protocol.Request) { r.Path = "/\x01evil" },
		"fragment in path":   func(r *protocol.Request) { r.Path = "/#evil" },
		"relative path":      func(r *protocol.Request) { r.Path = "evil" },
		"empty path":         func(r *protocol.Request) { r.Path = "" },
		"blank in query":     func(r *protocol.Request) { r.RawQuery, r.HasQuery = "a b evil", true },
		"CRLF in host":       func(r *protocol.Request) { r.Authority = "a\r\nX-evil: 1" },
		"blank in host":      func(r *protocol.Request) { r.Authority = "a evil" },
		"CRLF in method":     func(r *protocol.Request) { r.Method = "GET / HTTP/1.1\r\nX-evil: 1\r\n\r\nGET" },
		"empty method":       func(r *protocol.Request) { r.Method = "" },
		"CRLF in upgrade":    func(r *protocol.Request) { r.Upgrade = "x\r\nX-evil: 1" },
		"CRLF in known name": func(r *protocol.Request) { r.Header.Add("Accept", "x\r\nX-evil: 1") },
	}
	for name, f := range spoil {
		req := newRequest("GET", "/")
		f(req)
		_, err := c.Serve(context.Background(), req)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Status != 500 || e.Code != protocol.CodeInternal || !e.NotSent {
			t.Errorf("%s: got %v", name, err)
		}
	}
	mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
}

func TestAppendRequestHead(t *testing.T) {
	tests := []struct {
		name string
		req  *protocol.Request
		want string
	}{
		{"plain", newRequest("GET", "/"), "GET / HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"empty query", newRequest("GET", "/?"), "GET /? HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"asterisk", newRequest("OPTIONS", "*"), "OPTIONS * HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"POST without body", newRequest("POST", "/"), "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"},
		{"DELETE without body", newRequest("DELETE", "/"), "DELETE / HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"fixed", withBody(newRequest("PUT", "/"), protocol.NewBytes(nil), 7), "PUT / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 7\r\n\r\n"},
		{"chunked", withBody(newRequest("PUT", "/", "Trailer", "X"), protocol.NewBytes(nil), -1), "PUT / HTTP/1.1\r\nHost: h:1\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"order and repetition", newRequest("GET", "/", "b", "1", "A", "2", "b", "3", "X-Empty", ""), "GET / HTTP/1.1\r\nHost: h:1\r\nb: 1\r\nA: 2\r\nb: 3\r\nX-Empty: \r\n\r\n"},
		{"hop-by-hop set by a filter", newRequest("GET", "/", "Connection", "x", "Keep-Alive", "1", "Transfer-Encoding", "chunked",
			"Content-Length", "5", "Host", "evil", "Upgrade", "h2c", "Trailer", "X", "Proxy-Connection", "x"), "GET / HTTP/1.1\r\nHost: h:1\r\n\r\n"},
		{"TE", newRequest("GET", "/", "TE", "gzip;q=1, Trailers"), "GET / HTTP/1.1\r\nHost: h:1\r\nTE: trailers\r\nConnection: TE\r\n\r\n"},
		{"other TE", newRequest("GET", "/", "TE", "gzip"), "GET / HTTP/1.1\r\nHost: h:1\r\n\r\n"},
	}
	upgrade := newRequest("GET", "/")
	upgrade.Upgrade, upgrade.Body, upgrade.ContentLength = "websocket", protocol.NewBytes(nil), -1
	tests = append(tests, struct {
		name string
		req  *protocol.Request
		want string
	}{"upgrade", upgrade, "GET / HTTP/1.1\r\nHost: h:1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"})
	for _, tt := range tests {
		got, err := appendRequestHead([]byte("before"), tt.req, "h:1", requestFraming(tt.req))
		if err != nil || string(got) != "before"+tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestClientSendsAHeadThatOutgrowsItsBuffer(t *testing.T) {
	addr := startHTTP(t, echo)
	c := startClient(t, ClientConfig{Address: addr})
	for _, size := range []int{3900, 4000, 4096, 20_000, 200_000} {
		req := newRequest("POST", "/", "X-Long", strings.Repeat("v", size))
		mustOK(t, exchange(context.Background(), c, withBody(req, protocol.NewBytes([]byte("data")), 4)), "data")
	}
}
