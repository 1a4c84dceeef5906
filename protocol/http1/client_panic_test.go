package http1

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// glass is a body, or an Informer, that a filter got wrong.
type glass struct{ *pipedBody }

func (glass) Next() ([]byte, bool, error)  { panic("body of glass") }
func (glass) Inform(int, *protocol.Header) { panic("informer of glass") }
func (p glass) request() *protocol.Request { return withBody(newRequest("POST", "/"), p, 10) }
func newGlass() glass                      { return glass{newPipedBody()} }
func (p glass) informed() (r *protocol.Request) {
	r = newRequest("GET", "/")
	r.Informer = p
	return r
}

// A body is sent by a goroutine that serves many exchanges, so a panic in one must neither end the process nor hang.
func TestClientOutlivesABodyThatPanics(t *testing.T) {
	u := startUpstream(t, answering(okAnswer))
	c := startClient(t, ClientConfig{Address: u.addr()})
	for range 3 {
		e := mustFail(t, exchange(context.Background(), c, newGlass().request()).err, 500, protocol.CodeInternal)
		if !strings.Contains(e.Error(), "body of glass") || strings.Contains(e.Message, "glass") {
			t.Errorf("got %v", e)
		}
	}
	mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
	if s := c.Stats(); s.Open != 1 {
		t.Errorf("stats are %+v", s)
	}
}

// A panic on the caller's goroutine leaves the Response open; its listener closes it, and the connection is not lost.
func TestClientReleasesTheConnectionWhenACallerPanics(t *testing.T) {
	u := startUpstream(t, answering("HTTP/1.1 103 Early Hints\r\n\r\n"+okAnswer))
	c := startClient(t, ClientConfig{Address: u.addr(), MaxConnections: 1})
	for range 3 {
		req := newGlass().informed()
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
				if err := req.OpenResponse().Close(); err != nil {
					t.Error(err)
				}
			}()
			exchange(context.Background(), c, req)
		}()
		if s := c.Stats(); s.Open != 0 || s.Idle != 0 {
			t.Errorf("stats are %+v", s)
		}
	}
	mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "ok")
}

// After a failed exchange the listener may still close the Response that was never filled; another exchange may have begun.
func TestClientErrorLeavesNothingToClose(t *testing.T) {
	u := startUpstream(t, answering("nonsense\r\n"))
	c := startClient(t, ClientConfig{Address: u.addr()})
	req := newRequest("GET", "/")
	mustFail(t, exchange(context.Background(), c, req).err, 502, protocol.CodeUpstreamProtocol)
	if resp := req.OpenResponse(); resp != nil {
		_ = resp.Close()
	}
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("stats are %+v", s)
	}
}

// Close from another goroutine wakes a reader that waits for the instance.
func TestClientBodyCloseWakesItsReader(t *testing.T) {
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		p.waitClosed()
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	resp, err := c.Serve(context.Background(), newRequest("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	if piece, _, err := resp.Body.Next(); string(piece) != "abc" || err != nil {
		t.Fatalf("got %q, %v", piece, err)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = resp.Body.Close() })
	within(t, 900*time.Millisecond, func() {
		if _, _, err := resp.Body.Next(); err != protocol.ErrBodyClosed {
			t.Errorf("got %v", err)
		}
	})
	if err := resp.Close(); err != nil {
		t.Error(err)
	}
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("stats are %+v", s)
	}
}

// Goroutines of uploads are kept for a while and end with the Client, or by Sweep.
func TestClientEndsIdleWorkers(t *testing.T) {
	u := startUpstream(t, answering(okAnswer))
	c := startClient(t, ClientConfig{Address: u.addr()})
	upload := func() {
		body := newPipedBody()
		go func() { body.feed("data"); body.end() }()
		mustOK(t, exchange(context.Background(), c, withBody(newRequest("POST", "/"), body, 4)), "ok")
	}
	idle := func() int {
		c.workers.mu.Lock()
		defer c.workers.mu.Unlock()
		return len(c.workers.idle)
	}
	for range 3 {
		upload()
		if n := idle(); n != 1 {
			t.Fatalf("%d idle workers, want 1", n)
		}
	}
	c.Sweep(protocol.Now() + workerIdle/2)
	if n := idle(); n != 1 {
		t.Errorf("%d idle workers after half their time, want 1", n)
	}
	c.Sweep(protocol.Now() + 2*workerIdle)
	if n := idle(); n != 0 {
		t.Errorf("%d idle workers after their time, want 0", n)
	}
	upload()
}
