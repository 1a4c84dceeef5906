package http1

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestClientGetsAnAnswerAndReusesTheConnection(t *testing.T) {
	heads := make(chan string, 3)
	u := startUpstream(t, func(p *rawPeer) {
		for {
			head, _, ok := p.readRequest()
			if !ok {
				return
			}
			heads <- head
			p.send(okAnswer)
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	for range 3 {
		mustOK(t, exchange(context.Background(), c, newRequest("GET", "/a?b=c", "X-One", "1", "Accept", "*/*")), "ok")
	}
	s := c.Stats()
	if s != (ClientStats{Open: 1, Idle: 1, Dialled: 1, Reused: 2}) {
		t.Errorf("stats are %+v", s)
	}
	want := "GET /a?b=c HTTP/1.1\r\nHost: " + u.addr() + "\r\nX-One: 1\r\nAccept: */*\r\n\r\n"
	for range 3 {
		if got := <-heads; got != want {
			t.Errorf("upstream got %q, want %q", got, want)
		}
	}
}

// echo answers with what it got, so that a test sees the request as net/http understood it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(400)
		return
	}
	w.Header().Set("X-Seen-Length", strconv.FormatInt(r.ContentLength, 10))
	w.Header().Set("X-Seen-Coding", strings.Join(r.TransferEncoding, ","))
	w.Header().Set("X-Seen-Host", r.Host)
	for name, values := range r.Trailer {
		w.Header().Add("X-Seen-Trailer", name+"="+strings.Join(values, ","))
	}
	_, _ = w.Write(body)
}

func startHTTP(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestClientSendsBodiesToNetHTTP(t *testing.T) {
	addr := startHTTP(t, echo)
	c := startClient(t, ClientConfig{Address: addr})
	for _, size := range []int{0, 1, 1000, 4000, 4096, 5000, 70_000, 300_000, 3 << 20} {
		for _, known := range []bool{true, false} {
			data := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			length := int64(size)
			if !known {
				length = protocol.UnknownLength
			}
			a := exchange(context.Background(), c, withBody(newRequest("POST", "/"), protocol.NewBytes([]byte(data)), length))
			mustOK(t, a, data)
			seen := "X-Seen-Length: " + strconv.FormatInt(length, 10) + "\n"
			if !strings.Contains(a.header, seen) {
				t.Errorf("size %d, known %v: header %q lacks %q", size, known, a.header, seen)
			}
		}
	}
	if s := c.Stats(); s.Dialled != 1 {
		t.Errorf("stats are %+v, want one connection", s)
	}
}

func TestClientStreamsWhatComesInPieces(t *testing.T) {
	addr := startHTTP(t, echo)
	c := startClient(t, ClientConfig{Address: addr})
	for _, known := range []bool{true, false} {
		body := newPipedBody()
		go func() {
			for range 100 {
				body.feed("0123456789")
			}
			body.end()
		}()
		length := int64(1000)
		if !known {
			length = protocol.UnknownLength
		}
		mustOK(t, exchange(context.Background(), c, withBody(newRequest("PUT", "/"), body, length)), strings.Repeat("0123456789", 100))
	}
	if s := c.Stats(); s.Dialled != 1 {
		t.Errorf("stats are %+v, want one connection", s)
	}
}
