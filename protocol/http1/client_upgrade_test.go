package http1

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n"

func upgradeRequest(body protocol.Body) *protocol.Request {
	req := withBody(newRequest("GET", "/chat", "Sec-WebSocket-Key", "abc"), body, protocol.UnknownLength)
	req.Upgrade = "websocket"
	return req
}

func TestClientTunnels(t *testing.T) {
	closed := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) {
		head := p.readHead()
		if !strings.Contains(head, "Connection: Upgrade\r\nUpgrade: websocket\r\n") || strings.Contains(head, "Transfer-Encoding") {
			t.Errorf("head is %q", head)
		}
		p.send(switching + "hello ") // bytes of the new protocol in the same segment
		_, _ = io.Copy(p.Conn, p.r)  // echo until the client ends its direction
		p.send(" bye")
		p.Close()
		close(closed)
	})
	c := startClient(t, ClientConfig{Address: u.addr(), BodyIdleTimeout: 20 * time.Millisecond, ResponseTimeout: 5 * time.Second})
	body := newPipedBody()
	req := upgradeRequest(body)
	req.NarrowDeadline(int64(5 * time.Second))
	resp, err := c.Serve(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != 101 || !resp.Upgrade || headerText(&resp.Header) != "Sec-WebSocket-Accept: x\n" {
		t.Errorf("got %d, %v, %q", resp.Status, resp.Upgrade, headerText(&resp.Header))
	}
	req.Deadline = protocol.Now() - 1 // a tunnel outlives the deadline of the request that opened it
	time.Sleep(50 * time.Millisecond) // and is silent for as long as it likes
	want := func(text string) {
		t.Helper()
		var got string
		for got != text {
			piece, more, err := resp.Body.Next()
			if err != nil || !more {
				t.Fatalf("got %q, %v, %v; want %q", piece, more, err, text)
			}
			got += string(piece)
		}
	}
	want("hello ")
	body.feed("ping")
	want("ping")
	body.feed("pong")
	want("pong")
	body.end()
	a := readAnswer(resp)
	if a.body != " bye" || a.bodyErr != nil || a.failure != nil {
		t.Errorf("got %+v", a)
	}
	<-closed
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("a tunnel went back to the pool: %+v", s)
	}
}

func TestClientEndsATunnelFromThisSide(t *testing.T) {
	closed := make(chan struct{})
	u := startUpstream(t, func(p *rawPeer) {
		p.readHead()
		p.send(switching)
		p.waitClosed()
		close(closed)
	})
	c := startClient(t, ClientConfig{Address: u.addr()})
	body := newPipedBody()
	resp, err := c.Serve(context.Background(), upgradeRequest(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Close() // both directions, while the pump waits for the client
	<-closed
	if body.inNext.Load() != 0 || body.feed("x") {
		t.Error("the client's direction is still being read")
	}
}

func TestClientUpgradeRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"ordinary answer": okAnswer,
	} {
		u := startUpstream(t, answering(answer))
		c := startClient(t, ClientConfig{Address: u.addr()})
		for range 2 {
			body := newPipedBody()
			a := exchange(context.Background(), c, upgradeRequest(body))
			mustOK(t, a, "ok")
			if a.upgraded || body.inNext.Load() != 0 {
				t.Errorf("%s: upgraded", name)
			}
		}
		if s := c.Stats(); s.Dialled != 1 {
			t.Errorf("stats are %+v", s)
		}
	}
	u := startUpstream(t, answering("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
	c := startClient(t, ClientConfig{Address: u.addr()})
	mustFail(t, exchange(context.Background(), c, upgradeRequest(newPipedBody())).err, 502, protocol.CodeUpstreamProtocol)
}
