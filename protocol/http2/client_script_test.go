package http2

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// script starts a server whose n-th connection runs the n-th script, further ones the last.
func script(t testing.TB, scripts ...func(p *peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var running []chan struct{}
		for i := 0; ; i++ {
			nc, err := ln.Accept()
			if err != nil {
				break
			}
			ended := make(chan struct{})
			running = append(running, ended)
			go func() {
				defer close(ended)
				defer nc.Close()
				p := newPeer(quiet{t}, nc)
				defer func() {
					if v := recover(); v != nil && v != any(errQuiet) {
						panic(v)
					}
				}()
				scripts[min(i, len(scripts)-1)](p)
			}()
		}
		for _, ended := range running {
			<-ended
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// quiet lets a script end when its client is gone, which is not the test's failure.
type quiet struct{ testing.TB }

var errQuiet = errors.New("script is over")

func (quiet) Fatalf(string, ...any) { panic(errQuiet) }
func (quiet) Fatal(...any)          { panic(errQuiet) }

// greetClient reads a client's preface and exchanges settings.
func (p *peer) greetClient(settings ...setting) {
	b := make([]byte, len(preface))
	for n := 0; n < len(b); {
		k, err := p.in.Read(b[n:])
		if err != nil {
			p.t.Fatal(err)
		}
		n += k
	}
	p.out = appendSettings(p.out, settings...)
	p.frame(frameSettings, flagAck, 0, nil).flush()
}

// awaitRequest reads until a request's head and returns its stream and fields.
func (p *peer) awaitRequest() (uint32, map[string]string) {
	for {
		f, payload := p.next()
		switch f.kind {
		case frameHeaders:
			return f.stream, p.fields(payload)
		case framePing:
			if !f.has(flagAck) {
				p.frame(framePing, flagAck, 0, payload).flush()
			}
		}
	}
}

// answer sends a whole answer.
func (p *peer) answer(id uint32, body string) {
	p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameData, flagEndStream, id, []byte(body)).flush()
}

// drainPeer reads until the client is gone.
func (p *peer) drainPeer() {
	for {
		p.next()
	}
}

// serveAll answers each request.
func serveAll(p *peer) {
	p.greetClient()
	for {
		id, _ := p.awaitRequest()
		p.answer(id, "ok")
	}
}

// TestClientAnswers is a table of what a server may and may not send. want is the body, or the error's code.
func TestClientAnswers(t *testing.T) {
	big := make([]byte, 300<<10)
	for _, c := range []struct {
		name string
		send func(p *peer, id uint32)
		want string
	}{
		{"an answer", func(p *peer, id uint32) { p.answer(id, "body") }, "body"},
		{"no content", func(p *peer, id uint32) { p.frame(frameHeaders, endBoth, id, p.block(":status", "204")) }, ""},
		{"interim answers", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "103", "link", "a")).answer(id, "body")
		}, "body"},
		{"trailers without content", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameHeaders, endBoth, id, p.block("a", "b"))
		}, ""},
		{"padding", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameData, flagEndStream|flagPadded, id, []byte("\x02body\x00\x00"))
		}, "body"},
		{"right content-length", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200", "content-length", "4")).frame(frameData, 0, id, []byte("bo")).frame(frameData, flagEndStream, id, []byte("dy"))
		}, "body"},
		{"CONTINUATION", func(p *peer, id uint32) {
			b := p.block(":status", "200", "a", "b")
			p.frame(frameHeaders, flagEndStream, id, b[:2]).frame(frameContinuation, flagEndHeaders, id, b[2:])
		}, ""},
		{"RST_STREAM NO_ERROR behind the answer", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameData, flagEndStream, id, []byte("body")).frame(frameRSTStream, 0, id, u32(0))
		}, "body"},
		{"no :status", func(p *peer, id uint32) { p.frame(frameHeaders, endBoth, id, p.block("a", "b")) }, "upstream_protocol"},
		{"a :status that is no number", func(p *peer, id uint32) { p.frame(frameHeaders, endBoth, id, p.block(":status", "2x0")) }, "upstream_protocol"},
		{"101", func(p *peer, id uint32) { p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "101")) }, "upstream_protocol"},
		{"two :status", func(p *peer, id uint32) {
			p.frame(frameHeaders, endBoth, id, p.block(":status", "200", ":status", "200"))
		}, "upstream_protocol"},
		{"a pseudo-header field of requests", func(p *peer, id uint32) { p.frame(frameHeaders, endBoth, id, p.block(":status", "200", ":path", "/")) }, "upstream_protocol"},
		{"connection-specific field", func(p *peer, id uint32) {
			p.frame(frameHeaders, endBoth, id, p.block(":status", "200", "connection", "close"))
		}, "upstream_protocol"},
		{"transfer-encoding", func(p *peer, id uint32) {
			p.frame(frameHeaders, endBoth, id, p.block(":status", "200", "transfer-encoding", "chunked"))
		}, "upstream_protocol"},
		{"CR LF in a value", func(p *peer, id uint32) {
			p.frame(frameHeaders, endBoth, id, p.block(":status", "200", "a", "b\r\nc: d"))
		}, "upstream_protocol"},
		{"an upper-case name", func(p *peer, id uint32) { p.frame(frameHeaders, endBoth, id, p.block(":status", "200", "A", "b")) }, "upstream_protocol"},
		{"short content", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200", "content-length", "4")).frame(frameData, flagEndStream, id, []byte("bo"))
		}, "upstream_protocol"},
		{"long content", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200", "content-length", "1")).frame(frameData, flagEndStream, id, []byte("bo"))
		}, "upstream_protocol"},
		{"content-length without content", func(p *peer, id uint32) {
			p.frame(frameHeaders, endBoth, id, p.block(":status", "200", "content-length", "1"))
		}, "upstream_protocol"},
		{"an interim answer at the end", func(p *peer, id uint32) { p.frame(frameHeaders, endBoth, id, p.block(":status", "100")) }, "upstream_protocol"},
		{"interim answers without end", func(p *peer, id uint32) {
			for range 100 {
				p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "102"))
			}
		}, "upstream_protocol"},
		{"DATA before the head", func(p *peer, id uint32) { p.frame(frameData, 0, id, []byte("x")) }, "upstream_protocol"},
		{"a third head", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameHeaders, flagEndHeaders, id, p.block("a", "b"))
		}, "upstream_protocol"},
		{"a large head", func(p *peer, id uint32) {
			p.frame(frameHeaders, 0, id, p.block(":status", "200", "a", strings.Repeat("x", 15<<10)))
			p.frame(frameContinuation, 0, id, p.block("a", strings.Repeat("x", 15<<10)))
			p.frame(frameContinuation, flagEndHeaders, id, p.block("a", strings.Repeat("x", 15<<10)))
		}, "upstream_protocol"},
		{"PUSH_PROMISE", func(p *peer, id uint32) {
			p.frame(framePushPromise, flagEndHeaders, id, append(u32(2), p.request("GET", "/")...))
		}, "upstream_reset"},
		{"SETTINGS_ENABLE_PUSH", func(p *peer, _ uint32) { p.frame(frameSettings, 0, 0, setting6(settingEnablePush, 1)) }, "upstream_reset"},
		{"HEADERS of a stream of its own", func(p *peer, _ uint32) { p.frame(frameHeaders, endBoth, 2, p.block(":status", "200")) }, "upstream_reset"},
		{"more than the window", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200"))
			for b := big; len(b) > 0; b = b[min(len(b), 16<<10):] {
				p.frame(frameData, 0, id, b[:min(len(b), 16<<10)])
			}
		}, "upstream_protocol"},
		{"rubbish", func(p *peer, _ uint32) { p.out = append(p.out, "HTTP/1.1 400 Bad Request\r\n\r\n"...) }, "upstream_reset"},
		{"RST_STREAM", func(p *peer, id uint32) { p.frame(frameRSTStream, 0, id, u32(uint32(InternalError))) }, "upstream_reset"},
		{"RST_STREAM within content", func(p *peer, id uint32) {
			p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).frame(frameData, 0, id, []byte("bo")).frame(frameRSTStream, 0, id, u32(uint32(Cancel)))
		}, "upstream_reset"},
		{"a flood of PING", func(p *peer, _ uint32) {
			for range 20000 {
				p.frame(framePing, 0, 0, make([]byte, 8))
			}
		}, "upstream_reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := script(t, func(p *peer) {
				p.greetClient()
				id, _ := p.awaitRequest()
				c.send(p, id)
				p.flush()
				p.drainPeer()
			})
			cl := newClient(t, ClientConfig{Address: addr, MaxHeaderBytes: 32 << 10, StreamWindow: 64 << 10})
			req := newRequest("POST", "/", nil)
			resp, err := cl.Serve(t.Context(), req)
			if c.name == "more than the window" && err == nil {
				eventually(t, "the stream was reset", func() bool { return cl.Stats().Streams == 0 })
			}
			var b []byte
			if err == nil {
				b, err = protocol.ReadAll(nil, resp.Body, 1<<20)
				resp.Close()
			}
			got := string(b)
			if err != nil {
				e := protocol.AsError(err)
				if got = string(e.Code); e.NotSent {
					t.Errorf("%v says that it was not processed", err)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q: %v", got, c.want, err)
			}
		})
	}
}

// TestRefusedStream shows that a refused request is sent once more, and that the error says that it did not run.
func TestRefusedStream(t *testing.T) {
	refuse := func(p *peer, id uint32) { p.frame(frameRSTStream, 0, id, u32(uint32(RefusedStream))).flush() }
	addr := script(t, func(p *peer) {
		p.greetClient()
		id, _ := p.awaitRequest()
		refuse(p, id)
		id, _ = p.awaitRequest()
		p.until(frameData, id)
		p.answer(id, "second")
		for {
			id, _ := p.awaitRequest()
			refuse(p, id)
		}
	})
	c := newClient(t, ClientConfig{Address: addr})
	if _, body := call(t, c, newRequest("POST", "/", []byte("x"))); body != "second" {
		t.Errorf("got %q", body)
	}
	_, err := c.Serve(t.Context(), newRequest("POST", "/", []byte("x")))
	if e := protocol.AsError(err); !e.NotSent || e.Code != protocol.CodeUpstreamBusy {
		t.Errorf("%v", err)
	}
	if n := c.Stats(); n.Retried != 2 || n.Streams != 0 {
		t.Errorf("%+v", n)
	}
}

// TestGoAway shows that requests above the last stream go to another connection, and those below it end well.
func TestGoAway(t *testing.T) {
	addr := script(t, func(p *peer) {
		p.greetClient()
		first, _ := p.awaitRequest()
		p.awaitRequest()
		p.frame(frameGoAway, 0, 0, u32(first, 0)).flush()
		time.Sleep(20 * time.Millisecond)
		p.answer(first, "old")
		p.drainPeer()
	}, func(p *peer) {
		p.greetClient()
		for {
			id, _ := p.awaitRequest()
			p.answer(id, "new")
		}
	})
	c := newClient(t, ClientConfig{Address: addr})
	got := make(chan string, 2)
	go func() { _, body := call(t, c, newRequest("POST", "/1", nil)); got <- body }()
	eventually(t, "the first is under way", func() bool { return c.Stats().Streams == 1 })
	go func() { _, body := call(t, c, newRequest("POST", "/2", nil)); got <- body }()
	if a, b := <-got, <-got; a+b != "oldnew" && a+b != "newold" {
		t.Errorf("%q and %q", a, b)
	}
	eventually(t, "the old connection is closed", func() bool { return c.Stats().Open == 1 })
	if n := c.Stats(); n.Dialled != 2 || n.Retried != 1 {
		t.Errorf("%+v", n)
	}
}

// TestLostConnection shows which requests are sent again when a connection breaks.
func TestLostConnection(t *testing.T) {
	addr := script(t, func(p *peer) { p.greetClient(); p.awaitRequest() }, serveAll)
	c := newClient(t, ClientConfig{Address: addr})
	if _, body := call(t, c, newRequest("GET", "/", nil)); body != "ok" {
		t.Errorf("got %q", body)
	}
	c = newClient(t, ClientConfig{Address: script(t, func(p *peer) { p.greetClient(); p.awaitRequest() })})
	_, err := c.Serve(t.Context(), newRequest("POST", "/", nil))
	if e := protocol.AsError(err); e.NotSent || e.Code != protocol.CodeUpstreamReset {
		t.Errorf("%v", err)
	}
}

// TestClientDeadlines ends exchanges at each of their limits, with a reset.
func TestClientDeadlines(t *testing.T) {
	reset := make(chan string, 10)
	addr := script(t, func(p *peer) {
		p.greetClient()
		for {
			id, h := p.awaitRequest()
			if h[":path"] == "/body" {
				p.frame(frameHeaders, flagEndHeaders, id, p.block(":status", "200")).flush()
			}
			reset <- p.outcome()
		}
	})
	for _, c := range []struct {
		name, path string
		cfg        ClientConfig
		deadline   time.Duration
	}{
		{"deadline", "/", ClientConfig{}, 30 * time.Millisecond},
		{"deadline within the body", "/body", ClientConfig{}, 30 * time.Millisecond},
		{"response timeout", "/", ClientConfig{ResponseTimeout: 30 * time.Millisecond}, 0},
		{"silence within the body", "/body", ClientConfig{BodyIdleTimeout: 30 * time.Millisecond}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Address = addr
			cl := newClient(t, c.cfg)
			req := newRequest("GET", c.path, nil)
			req.NarrowDeadline(int64(c.deadline))
			resp, err := cl.Serve(t.Context(), req)
			if err == nil {
				_, err = protocol.ReadAll(nil, resp.Body, 10)
				resp.Close()
			}
			if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamTimeout {
				t.Errorf("%v", err)
			}
			if got := <-reset; !strings.HasSuffix(got, " CANCEL") {
				t.Errorf("the instance saw %q", got)
			}
		})
	}
}

// TestClientContext shows that a client that leaves ends its exchange within a second or so, without a channel.
func TestClientContext(t *testing.T) {
	c := newClient(t, ClientConfig{Address: script(t, func(p *peer) { p.greetClient(); p.awaitRequest(); p.drainPeer() })})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := c.Serve(ctx, newRequest("GET", "/", nil))
	if e := protocol.AsError(err); e.Code != protocol.CodeClientGone {
		t.Errorf("%v", err)
	}
}
