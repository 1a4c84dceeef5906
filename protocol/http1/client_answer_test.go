package http1

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// TestClientReadsAnswers sends each answer three ways: at once, byte by byte, and followed by bytes that nobody asked for.
// What is read must be the same, and the connection must be reused exactly where that is safe.
func TestClientReadsAnswers(t *testing.T) {
	long := strings.Repeat("x", 9000)
	tests := []struct {
		name, method, answer    string
		status                  int
		header, body, trailer   string
		length                  int64
		closes, untilClose, nil bool
	}{
		{name: "fixed", answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", status: 200, header: "X-A: b\n", body: "hello", length: 5},
		{name: "empty", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", status: 200, length: 0},
		{name: "no reason", answer: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200, length: 0},
		{name: "empty reason", answer: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", status: 200, length: 0},
		{name: "reason of many words", answer: "HTTP/1.1 503 Try \xfcber morgen\r\nContent-Length: 0\r\n\r\n", status: 503, length: 0},
		{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n", status: 200, body: "abcdefg", length: -1},
		{name: "trailers", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-Two: 2\r\n\r\n", status: 200, body: "abc", trailer: "X-Sum: 6\nX-Two: 2\n", length: -1},
		{name: "until close", answer: "HTTP/1.1 200 OK\r\n\r\nall that comes", status: 200, body: "all that comes", length: -1, untilClose: true},
		{name: "HTTP/1.0 until close", answer: "HTTP/1.0 200 OK\r\n\r\nold", status: 200, body: "old", length: -1, untilClose: true},
		{name: "HTTP/1.0 fixed", answer: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", status: 200, body: "old", length: 3, closes: true},
		{name: "HTTP/1.0 keep-alive", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold", status: 200, body: "old", length: 3},
		{name: "Connection: close", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend", status: 200, body: "end", length: 3, closes: true},
		{name: "close among others", answer: "HTTP/1.1 200 OK\r\nConnection: x-hop,  Close\r\nX-Hop: 1\r\nContent-Length: 3\r\n\r\nend", status: 200, body: "end", length: 3, closes: true},
		{name: "hop-by-hop", answer: "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\nX-Stay: 2\r\n\r\n", status: 200, header: "X-Stay: 2\n", length: 0},
		{name: "repeated fields", answer: "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n", status: 200, header: "Set-Cookie: a=1\nSet-Cookie: b=2\n", length: 0},
		{name: "HEAD with length", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", status: 200, length: 500, nil: true},
		{name: "HEAD chunked", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", status: 200, length: -1, nil: true},
		{name: "HEAD without length", method: "HEAD", answer: "HTTP/1.1 404 No\r\n\r\n", status: 404, length: -1, nil: true},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, length: -1, nil: true},
		{name: "304 with length", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n", status: 304, header: "ETag: \"x\"\n", length: 77, nil: true},
		{name: "large head", answer: "HTTP/1.1 200 OK\r\nX-First: 1\r\nX-Long: " + long + "\r\nX-Longer: " + long + "\r\nContent-Length: 2\r\n\r\nok", status: 200, header: "X-First: 1\nX-Long: " + long + "\nX-Longer: " + long + "\n", body: "ok", length: 2},
	}
	ways := []struct {
		name string
		send func(p *rawPeer, s string)
		junk string
	}{
		{"whole", (*rawPeer).send, ""},
		{"slow", func(p *rawPeer, s string) {
			if len(s) > 1000 {
				p.send(s[:1000])
				time.Sleep(time.Millisecond)
				p.send(s[1000:])
				return
			}
			p.trickle(s)
		}, ""},
		{"junk", (*rawPeer).send, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"},
	}
	for _, tt := range tests {
		for _, way := range ways {
			if way.junk != "" && tt.untilClose {
				continue
			}
			t.Run(tt.name+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				u := startUpstream(t, func(p *rawPeer) {
					for p.readHead() != "" {
						way.send(p, tt.answer+way.junk)
						if tt.untilClose {
							return
						}
					}
				})
				c := startClient(t, ClientConfig{Address: u.addr()})
				method := tt.method
				if method == "" {
					method = "GET"
				}
				for range 2 {
					resp, err := c.Serve(context.Background(), newRequest(method, "/"))
					if err != nil {
						t.Fatal(err)
					}
					if isNil := resp.Body == nil; isNil != tt.nil {
						t.Errorf("body is nil: %v, want %v", isNil, tt.nil)
					}
					a := readAnswer(resp)
					if a.bodyErr != nil || a.failure != nil {
						t.Fatalf("body ended with %v, %v", a.bodyErr, a.failure)
					}
					got := answer{status: a.status, header: a.header, body: a.body, trailer: a.trailer, length: a.length}
					want := answer{status: tt.status, header: tt.header, body: tt.body, trailer: tt.trailer, length: tt.length}
					if got != want {
						t.Errorf("got  %+v\nwant %+v", got, want)
					}
				}
				reused := c.Stats().Reused == 1 && c.Stats().Dialled == 1
				if want := !tt.closes && !tt.untilClose && way.junk == ""; reused != want {
					t.Errorf("reused: %v, want %v (%+v)", reused, want, c.Stats())
				}
			})
		}
	}
}

func TestClientRefusesBrokenHeads(t *testing.T) {
	const (
		protocolError = protocol.CodeUpstreamProtocol
		reset         = protocol.CodeUpstreamReset
	)
	tests := []struct {
		name, answer string
		code         protocol.Code
	}{
		{"nothing", "", reset},
		{"half a status line", "HTTP/1.1 20", reset},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", reset},
		{"head without end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", reset},
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", protocolError},
		{"garbage before", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"blank before", " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", protocolError},
		{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", protocolError},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", protocolError},
		{"lower case", "http/1.1 200 OK\r\n\r\n", protocolError},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", protocolError},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", protocolError},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n", protocolError},
		{"status 600", "HTTP/1.1 600 OK\r\n\r\n", protocolError},
		{"status +20", "HTTP/1.1 +20 OK\r\n\r\n", protocolError},
		{"two blanks", "HTTP/1.1  200 OK\r\n\r\n", protocolError},
		{"bare LF after status", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", protocolError},
		{"bare CR in reason", "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"NUL in reason", "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"long reason", "HTTP/1.1 200 " + strings.Repeat("x", 5000) + "\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"bare LF in field", "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n", protocolError},
		{"blank before colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", protocolError},
		{"folded field", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"no colon", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"empty name", "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"control character", "HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", protocolError},
		{"both lengths, other order", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", protocolError},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", protocolError},
		{"list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", protocolError},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", protocolError},
		{"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", protocolError},
		{"hex length", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na", protocolError},
		{"endless length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na", protocolError},
		{"gzip coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", protocolError},
		{"identity coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", protocolError},
		{"two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", protocolError},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", protocolError},
		{"switching unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", protocolError},
		{"too many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 300) + "Content-Length: 0\r\n\r\n", protocolError},
		{"oversized head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 70_000) + "\r\nContent-Length: 0\r\n\r\n", protocolError},
		{"endless interim answers", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100), protocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{}, 1)
			u := startUpstream(t, func(p *rawPeer) {
				if p.readHead() == "" {
					return
				}
				p.send(tt.answer)
				_ = p.Conn.(interface{ CloseWrite() error }).CloseWrite()
				p.waitClosed()
				closed <- struct{}{}
			})
			c := startClient(t, ClientConfig{Address: u.addr()})
			_, err := c.Serve(context.Background(), newRequest("GET", "/"))
			e := mustFail(t, err, 502, tt.code)
			if e.NotSent {
				t.Error("the error says that nothing was sent")
			}
			if !strings.Contains(e.Error(), u.addr()) || strings.Contains(e.Message, u.addr()) {
				t.Errorf("the address belongs into the log and not to the client: %v", e)
			}
			<-closed
			if s := c.Stats(); s.Open != 0 || s.Idle != 0 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

func TestClientReportsBodiesThatBreak(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, answer string
		rst          bool
		body         string
		code         protocol.Code
	}{
		{"short fixed", ok + "Content-Length: 10\r\n\r\nabc", false, "abc", protocol.CodeUpstreamReset},
		{"reset fixed", ok + "Content-Length: 10\r\n\r\nabc", true, "abc", protocol.CodeUpstreamReset},
		{"short chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", false, "abc", protocol.CodeUpstreamReset},
		{"no last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, "abc", protocol.CodeUpstreamReset},
		{"no end of trailers", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n", false, "abc", protocol.CodeUpstreamReset},
		{"bad chunk size", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", false, "abc", protocol.CodeUpstreamProtocol},
		{"negative chunk size", ok + "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n", false, "", protocol.CodeUpstreamProtocol},
		{"huge chunk size", ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nabc\r\n", false, "", protocol.CodeUpstreamProtocol},
		{"chunk longer than its size", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", false, "abc", protocol.CodeUpstreamProtocol},
		{"bare LF after size", ok + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", false, "", protocol.CodeUpstreamProtocol},
		{"bad trailer", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX : y\r\n\r\n", false, "abc", protocol.CodeUpstreamProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := startUpstream(t, func(p *rawPeer) {
				if p.readHead() == "" {
					return
				}
				p.send(tt.answer)
				if tt.rst {
					time.Sleep(20 * time.Millisecond) // a reset overtakes bytes that are not read yet
					p.reset()
				}
			})
			c := startClient(t, ClientConfig{Address: u.addr()})
			a := exchange(context.Background(), c, newRequest("GET", "/"))
			if a.err != nil || a.status != 200 || a.body != tt.body {
				t.Fatalf("got %+v", a)
			}
			mustFail(t, a.bodyErr, 502, tt.code)
			mustFail(t, a.failure, 502, tt.code)
			if s := c.Stats(); s.Open != 0 || s.Idle != 0 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

// informed collects interim answers.
type informed struct{ got []string }

func (i *informed) Inform(status int, h *protocol.Header) {
	i.got = append(i.got, protocol.StatusText(status)+"\n"+headerText(h))
}

func TestClientPassesInterimAnswersOn(t *testing.T) {
	u := startUpstream(t, answering("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"+
		"HTTP/1.1 102 Processing\r\n\r\n"+"HTTP/1.1 200 OK\r\nX-Last: 1\r\nContent-Length: 2\r\n\r\nok"))
	c := startClient(t, ClientConfig{Address: u.addr()})
	for range 2 {
		req := newRequest("GET", "/")
		var seen informed
		req.Informer = &seen
		a := exchange(context.Background(), c, req)
		mustOK(t, a, "ok")
		if want := "X-Last: 1\n"; a.header != want {
			t.Errorf("header is %q, want %q", a.header, want)
		}
		if got, want := strings.Join(seen.got, ";"), "Early Hints\nLink: </a.css>\n;Processing\n"; got != want {
			t.Errorf("interim answers are %q, want %q", got, want)
		}
	}
	if s := c.Stats(); s.Dialled != 1 {
		t.Errorf("stats are %+v, want one connection", s)
	}
}

func TestClientDrainsSmallRestsOnly(t *testing.T) {
	for _, tt := range []struct {
		name   string
		size   int
		reused bool
	}{{"small", 10_000, true}, {"large", 4 << 20, false}} {
		t.Run(tt.name, func(t *testing.T) {
			chunk := "3e8\r\n" + strings.Repeat("x", 1000) + "\r\n"
			answer := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, tt.size/1000)
			sent := make(chan struct{}, 2)
			u := startUpstream(t, func(p *rawPeer) {
				for p.readHead() != "" {
					p.send(answer + "0\r\n\r\n")
					sent <- struct{}{}
				}
			})
			c := startClient(t, ClientConfig{Address: u.addr()})
			for range 2 {
				resp, err := c.Serve(context.Background(), newRequest("GET", "/"))
				if err != nil {
					t.Fatal(err)
				}
				if tt.reused {
					<-sent
				}
				if err := resp.Close(); err != nil {
					t.Error(err)
				}
			}
			if reused := c.Stats().Reused == 1; reused != tt.reused {
				t.Errorf("reused: %v, want %v", reused, tt.reused)
			}
		})
	}
}
