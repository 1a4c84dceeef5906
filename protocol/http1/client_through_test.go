package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// caller is a raw connection to the proxy.
type caller struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func call(t testing.TB, addr string) *caller {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &caller{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (c *caller) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// want reads exactly text.
func (c *caller) want(text string) {
	c.t.Helper()
	b := make([]byte, len(text))
	if n, err := io.ReadFull(c.r, b); err != nil || string(b) != text {
		c.t.Fatalf("got %q, %v; want %q", b[:n], err, text)
	}
}

func (c *caller) response(method string) (*http.Response, string, error) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// skipHead reads to the end of a head and returns it.
func (c *caller) skipHead() string {
	c.t.Helper()
	var head strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

func TestProxyFlushesEventsAtOnce(t *testing.T) {
	next := make(chan string)
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		for event := range next {
			p.send(event)
		}
	})
	addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
	c := call(t, addr)
	c.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
	if head := c.skipHead(); !strings.Contains(head, "text/event-stream") { // before there is any event
		t.Errorf("head is %q", head)
	}
	for _, event := range []string{"data: 1\n\n", "data: 22\n\n"} {
		next <- event
		c.want(map[int]string{9: "9", 10: "a"}[len(event)] + "\r\n" + event + "\r\n")
	}
	close(next)
	c.want("0\r\n\r\n")
}

func TestProxyStreamsBothWays(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			size, err := p.r.ReadString('\n')
			if err != nil || size == "0\r\n" {
				_, _ = p.r.ReadString('\n')
				p.send("0\r\nX-Sum: 2\r\n\r\n")
				p.waitClosed()
				return
			}
			data, _ := p.r.ReadString('\n')
			p.send(size + strings.ToUpper(data))
		}
	})
	addr, cl := startProxy(t, ClientConfig{Address: u.addr()})
	c := call(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.send("4\r\nping\r\n")
	c.skipHead()
	c.want("4\r\nPING\r\n")
	c.send("5\r\nagain\r\n")
	c.want("5\r\nAGAIN\r\n")
	c.send("0\r\n\r\n")
	c.want("0\r\nX-Sum: 2\r\n\r\n")
	eventually(t, "the connection is back", func() bool { return cl.Stats().Idle == 1 })
}

func TestProxyPassesAnEarlyAnswer(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		p.waitClosed()
	})
	addr, cl := startProxy(t, ClientConfig{Address: u.addr()})
	c := call(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 1000))
	resp, body, err := c.response("POST")
	if resp.StatusCode != 413 || body != "big" || err != nil {
		t.Errorf("got %d, %q, %v", resp.StatusCode, body, err)
	}
	eventually(t, "the upload has ended upstream", func() bool { return cl.Stats().Open == 0 })
}

// The instance decides whether a body is sent; one that says nothing gets it after a while (RFC 9110 section 10.1.1).
func TestProxyExpectContinue(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	for name, say := range map[string]string{"said": "HTTP/1.1 100 Continue\r\n\r\n", "never said": ""} {
		t.Run(name, func(t *testing.T) {
			u := startUpstream(t, func(p *rawPeer) {
				for {
					if head := p.readHead(); head == "" {
						return
					} else if !strings.Contains(strings.ToLower(head), "\r\nexpect: 100-continue\r\n") {
						t.Errorf("the expectation was lost: %q", head)
					}
					p.send(say)
					body := make([]byte, 4)
					if _, err := io.ReadFull(p.r, body); err != nil {
						return
					}
					p.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + string(body))
				}
			})
			addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
			c := call(t, addr)
			for range 2 {
				c.send(head)
				c.want("HTTP/1.1 100 Continue\r\n\r\n")
				c.send("data")
				if resp, body, err := c.response("POST"); resp.StatusCode != 200 || body != "data" || err != nil {
					t.Errorf("got %d, %q, %v", resp.StatusCode, body, err)
				}
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		u := startUpstream(t, func(p *rawPeer) {
			p.readHead()
			p.send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
		})
		addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
		c := call(t, addr)
		c.send(head)
		c.want("HTTP/1.1 403 Forbidden\r\n")
	})
}

// What the instance did not finish must not look finished to the caller.
func TestProxyShowsATruncatedAnswer(t *testing.T) {
	for name, answer := range map[string]string{
		"fixed":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"large":   "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 300_000),
	} {
		t.Run(name, func(t *testing.T) {
			u := startUpstream(t, func(p *rawPeer) {
				p.readHead()
				p.send(answer)
			})
			addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
			c := call(t, addr)
			c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if resp, body, err := c.response("GET"); resp.StatusCode != 200 || err == nil {
				t.Errorf("got %d, %d bytes, no error", resp.StatusCode, len(body))
			}
		})
	}
}

func TestProxyRendersFailures(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) { p.readHead(); p.send("nonsense\r\n\r\n") })
	addr, _ := startProxy(t, ClientConfig{Address: u.addr()})
	c := call(t, addr)
	for range 2 { // the caller's connection lives on
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		resp, body, err := c.response("GET")
		if resp.StatusCode != 502 || !strings.Contains(body, `"code":"upstream_protocol"`) || err != nil {
			t.Errorf("got %d, %q, %v", resp.StatusCode, body, err)
		}
	}
}

func TestProxyHeadAndNotModified(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		for {
			head := p.readHead()
			switch {
			case head == "":
				return
			case strings.HasPrefix(head, "HEAD"):
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
			default:
				p.send("HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
			}
		}
	})
	addr, cl := startProxy(t, ClientConfig{Address: u.addr()})
	c := call(t, addr)
	for range 2 {
		c.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, _, _ := c.response("HEAD"); resp.StatusCode != 200 || resp.ContentLength != 500 {
			t.Errorf("got %d, length %d", resp.StatusCode, resp.ContentLength)
		}
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, _, _ := c.response("GET"); resp.StatusCode != 304 || resp.Header.Get("Etag") != "x" {
			t.Errorf("got %d, %v", resp.StatusCode, resp.Header)
		}
	}
	if s := cl.Stats(); s.Dialled != 1 {
		t.Errorf("stats are %+v", s)
	}
}
