package http1

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// within fails if f takes longer than limit, which is far from both what is right and what is wrong.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took > limit {
		t.Errorf("took %v, want at most %v", took, limit)
	}
}

func TestClientTimeouts(t *testing.T) {
	const short = 50 * time.Millisecond
	silent := func(p *rawPeer) { p.readHead(); p.waitClosed() }
	halfHead := func(p *rawPeer) { p.readHead(); p.send("HTTP/1.1 200 OK\r\nX-A:"); p.waitClosed() }
	tests := []struct {
		name   string
		cfg    ClientConfig
		within time.Duration // of the request
		script func(p *rawPeer)
		step   string
	}{
		{"response", ClientConfig{ResponseTimeout: short}, 0, silent, "read head"},
		{"response, half a head", ClientConfig{ResponseTimeout: short}, 0, halfHead, "read head"},
		{"deadline", ClientConfig{}, short, silent, "read head"},
		{"deadline before response timeout", ClientConfig{ResponseTimeout: time.Hour}, short, halfHead, "read head"},
		{"response timeout before deadline", ClientConfig{ResponseTimeout: short}, time.Hour, silent, "read head"},
		{"trickled head", ClientConfig{ResponseTimeout: short}, 0, func(p *rawPeer) {
			p.readHead()
			p.send("HTTP/1.1 200 OK\r\n")
			for {
				if _, err := p.Write([]byte("X: y\r\n")); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}, "read head"},
		{"interim answers do not extend it", ClientConfig{ResponseTimeout: short}, 0, func(p *rawPeer) {
			p.readHead()
			for {
				if _, err := p.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n")); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, "read head"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := startUpstream(t, tt.script)
			tt.cfg.Address = u.addr()
			c := startClient(t, tt.cfg)
			req := newRequest("GET", "/")
			req.NarrowDeadline(int64(tt.within))
			within(t, 900*time.Millisecond, func() { // without waiting for a wake-up
				e := mustFail(t, exchange(context.Background(), c, req).err, 504, protocol.CodeUpstreamTimeout)
				if e.NotSent || !strings.Contains(e.Error(), tt.step) {
					t.Errorf("got %v", e)
				}
			})
			if s := c.Stats(); s.Open != 0 {
				t.Errorf("stats are %+v", s)
			}
		})
	}
}

func TestClientDeadlinePassedAlready(t *testing.T) {
	c := startClient(t, ClientConfig{Address: "127.0.0.1:1"})
	req := newRequest("GET", "/")
	req.Deadline = protocol.Now() - 1
	if e := mustFail(t, exchange(context.Background(), c, req).err, 504, protocol.CodeUpstreamTimeout); !e.NotSent {
		t.Errorf("got %v", e)
	}
}

func TestClientBodyTimeouts(t *testing.T) {
	const short = 50 * time.Millisecond
	pieces := func(every time.Duration, n int) func(p *rawPeer) {
		return func(p *rawPeer) {
			p.readHead()
			p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range n {
				p.send("1\r\nx\r\n")
				time.Sleep(every)
			}
			p.waitClosed()
		}
	}
	tests := []struct {
		name   string
		cfg    ClientConfig
		within time.Duration
		script func(p *rawPeer)
		body   string
	}{
		{"stalled", ClientConfig{BodyIdleTimeout: short}, 0, pieces(0, 1), "x"},
		{"slow but moving, then stalled", ClientConfig{BodyIdleTimeout: 200 * time.Millisecond}, 0, pieces(10*time.Millisecond, 30), strings.Repeat("x", 30)},
		{"deadline", ClientConfig{BodyIdleTimeout: time.Hour}, 100 * time.Millisecond, pieces(0, 2), "xx"},
		{"more than one wake-up", ClientConfig{BodyIdleTimeout: 1500 * time.Millisecond}, 0, pieces(0, 1), "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := startUpstream(t, tt.script)
			tt.cfg.Address = u.addr()
			c := startClient(t, tt.cfg)
			req := newRequest("GET", "/")
			req.NarrowDeadline(int64(tt.within))
			within(t, 3*time.Second, func() {
				a := exchange(context.Background(), c, req)
				if a.err != nil || a.body != tt.body {
					t.Errorf("got %+v", a)
				}
				mustFail(t, a.bodyErr, 504, protocol.CodeUpstreamTimeout)
				mustFail(t, a.failure, 504, protocol.CodeUpstreamTimeout)
			})
		})
	}
}

// An instance that takes nothing of an upload must not hold it for ever.
func TestClientUploadStall(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		<-p.done
	})
	for name, set := range map[string]func(cfg *ClientConfig, r *protocol.Request){
		"idle":     func(cfg *ClientConfig, r *protocol.Request) { cfg.BodyIdleTimeout = 100 * time.Millisecond },
		"deadline": func(cfg *ClientConfig, r *protocol.Request) { r.NarrowDeadline(int64(100 * time.Millisecond)) },
	} {
		cfg := ClientConfig{Address: u.addr()}
		req := withBody(newRequest("POST", "/"), protocol.NewBytes(make([]byte, 64<<20)), 64<<20)
		set(&cfg, req)
		c := startClient(t, cfg)
		t.Run(name, func(t *testing.T) {
			within(t, 3*time.Second, func() {
				mustFail(t, exchange(context.Background(), c, req).err, 504, protocol.CodeUpstreamTimeout)
			})
		})
	}
}

// ResponseTimeout is for the instance: the time that the client takes to upload does not count.
func TestClientResponseTimeoutBeginsWhenTheRequestIsSent(t *testing.T) {
	u := startUpstream(t, answering(okAnswer))
	c := startClient(t, ClientConfig{Address: u.addr(), ResponseTimeout: 300 * time.Millisecond})
	body := newPipedBody()
	go func() {
		for range 5 {
			time.Sleep(100 * time.Millisecond)
			body.feed("x")
		}
		body.end()
	}()
	mustOK(t, exchange(context.Background(), c, withBody(newRequest("POST", "/"), body, protocol.UnknownLength)), "ok")
}

func TestClientConnectTimeout(t *testing.T) {
	// A listener whose queue is full answers no SYN: the nearest thing to a host that is gone.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := ClientConfig{Address: ln.Addr().String(), ConnectTimeout: 100 * time.Millisecond, TLS: insecure()}
	c := startClient(t, cfg)
	within(t, 3*time.Second, func() { // TLS: the handshake is part of it
		e := mustFail(t, exchange(context.Background(), c, newRequest("GET", "/")).err, 504, protocol.CodeUpstreamTimeout)
		if !e.NotSent || !strings.Contains(e.Error(), "connect") {
			t.Errorf("got %v", e)
		}
	})
	if s := c.Stats(); s.Open != 0 || s.Dialled != 0 {
		t.Errorf("stats are %+v", s)
	}
}

func TestClientUnknownHost(t *testing.T) {
	c := startClient(t, ClientConfig{Address: "no-such-host.invalid:80", ConnectTimeout: patience})
	if e := mustFail(t, exchange(context.Background(), c, newRequest("GET", "/")).err, 502, protocol.CodeUpstreamConnect); !e.NotSent {
		t.Errorf("got %v", e)
	}
}

func TestClientCancelsWhenTheClientLeaves(t *testing.T) {
	closed := make(chan struct{}, 2)
	u := startUpstream(t, func(p *rawPeer) {
		head := p.readHead()
		if strings.HasPrefix(head, "GET /body") {
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		}
		p.waitClosed()
		closed <- struct{}{}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})

	ctx := newLeaving()
	time.AfterFunc(20*time.Millisecond, ctx.leave)
	within(t, 5*time.Second, func() {
		e := mustFail(t, exchange(ctx, c, newRequest("GET", "/head")).err, 499, protocol.CodeClientGone)
		if e.NotSent {
			t.Errorf("got %v", e)
		}
		<-closed
	})

	ctx = newLeaving()
	time.AfterFunc(20*time.Millisecond, ctx.leave)
	within(t, 5*time.Second, func() {
		a := exchange(ctx, c, newRequest("GET", "/body"))
		if a.err != nil || a.body != "abc" {
			t.Errorf("got %+v", a)
		}
		mustFail(t, a.failure, 499, protocol.CodeClientGone)
		<-closed
	})
}

// A slow answer costs one look at the client a second; a fast one none.
func TestClientAsksRarely(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		for {
			head := p.readHead()
			if head == "" {
				return
			}
			if strings.HasPrefix(head, "GET /slow") {
				time.Sleep(1300 * time.Millisecond)
			}
			p.send(okAnswer)
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	ctx := newLeaving()
	for range 50 {
		mustOK(t, exchange(ctx, c, newRequest("GET", "/")), "ok")
	}
	if n := ctx.asked.Load(); n != 0 {
		t.Errorf("asked %d times during fast answers", n)
	}
	mustOK(t, exchange(ctx, c, newRequest("GET", "/slow")), "ok")
	if n := ctx.asked.Load(); n < 1 || n > 2 {
		t.Errorf("asked %d times in 1.3 seconds", n)
	}
}
