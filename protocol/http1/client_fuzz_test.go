package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// readFrom runs one exchange whose instance sends data in pieces of size bytes and then closes.
func readFrom(t testing.TB, data []byte, size int, method string) answer {
	ours, theirs := net.Pipe()
	var instance sync.WaitGroup
	instance.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
	instance.Go(func() {
		for rest := data; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := theirs.Write(rest[:n]); err != nil {
				break
			}
			rest = rest[n:]
		}
		theirs.Close()
	})
	c := NewClient(ClientConfig{Address: "instance:80", MaxHeaderBytes: 8 << 10})
	u := newUpstreamConn(c, ours)
	c.pool.open = 1
	var a answer
	if _, err := u.begin(context.Background(), newRequest(method, "/")); err != nil {
		u.abort()
		a = answer{err: err}
	} else {
		a = readAnswer(u.resp)
	}
	_ = c.Close()
	instance.Wait()
	if s := c.Stats(); s.Open != 0 || s.Idle != 0 {
		t.Fatalf("stats are %+v", s)
	}
	return a
}

// FuzzClientAnswer feeds the decoder of answers. It must not panic or hang, must say the same however the bytes are cut
// into segments, fail with errors that a client may see, and agree with net/http about whatever both accept.
func FuzzClientAnswer(f *testing.F) {
	for _, s := range []string{
		okAnswer,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil close",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"HTTP/1.1 200 OK\r\nConnection: x-a, close\r\nX-A: b\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff1\r\n",
	} {
		f.Add([]byte(s), uint8(1), false)
		f.Add([]byte(s), uint8(7), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint8, head bool) {
		if len(data) > 32<<10 {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		whole := readFrom(t, data, len(data)+1, method)
		cut := readFrom(t, data, int(size)%64+1, method)
		for _, err := range []error{whole.err, whole.bodyErr} {
			var e *protocol.Error
			if err != nil && (!errors.As(err, &e) || e.Status != 502) {
				t.Fatalf("error %v", err)
			}
		}
		if (whole.err == nil) != (cut.err == nil) {
			t.Fatalf("at once: %v; in pieces: %v", whole.err, cut.err)
		}
		if whole.err != nil {
			return
		}
		if whole.status != cut.status || whole.header != cut.header || (whole.bodyErr == nil) != (cut.bodyErr == nil) || whole.bodyErr == nil && (whole.body != cut.body || whole.trailer != cut.trailer) {
			t.Fatalf("at once:   %+v\nin pieces: %+v", whole, cut)
		}
		if whole.bodyErr != nil {
			return
		}
		r := bufio.NewReader(bytes.NewReader(data))
		for {
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				return // we may know more than net/http, which has limits of its own
			}
			if resp.StatusCode < 200 {
				continue
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return
			}
			if resp.StatusCode != whole.status || string(body) != whole.body {
				t.Fatalf("net/http reads %d %q, we read %d %q", resp.StatusCode, body, whole.status, whole.body)
			}
			return
		}
	})
}

// FuzzAppendRequestHead writes heads of hostile parts. What is written must be read by the strict server's parser as
// exactly one request with exactly these parts.
func FuzzAppendRequestHead(f *testing.F) {
	f.Add("GET", "/a", "x=y", "h", "X-A", "b")
	f.Add("POST", "/a b", "", "h:80", "X-A", "b\r\nX: y")
	f.Add("GET", "/", "\r\n", "h", "Host", "evil")
	f.Add("GET", "*", "", "", "Transfer-Encoding", "chunked")
	f.Fuzz(func(t *testing.T, method, path, query, host, name, value string) {
		req := newRequest(method, path)
		req.Path, req.RawQuery, req.HasQuery, req.Authority = path, query, query != "", host
		req.Header.Add("X-Before", "1")
		req.Header.Add(name, value)
		req.Header.Add("X-After", "2")
		head, err := appendRequestHead(nil, req, host, framingNone)
		if err != nil {
			if len(head) != 0 {
				t.Fatalf("an error left %q", head)
			}
			return
		}
		lines := strings.Split(string(head), "\r\n")
		target := path
		if query != "" {
			target += "?" + query
		}
		if lines[0] != method+" "+target+" HTTP/1.1" || strings.Count(lines[0], " ") != 2 || lines[1] != "Host: "+host {
			t.Fatalf("wrote %q", head)
		}
		if !strings.HasSuffix(string(head), "\r\n\r\n") || strings.Count(string(head), "\r\n\r\n") != 1 || len(lines) > 8 {
			t.Fatalf("wrote %q", head)
		}
		for _, line := range lines {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("wrote %q", head)
			}
		}
	})
}
