package dubbo

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// pipePeer gives a client whose connection leads to f through memory, so that time can be faked.
func pipePeer(cfg ClientConfig, f func(*peerConn)) *Client {
	cfg.Address = "pipe:1"
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			f(&peerConn{Conn: far, fr: frame.NewReader(far, 1<<20)})
		}()
		return near, nil
	}
	return NewClient(cfg)
}

// TestHeartbeatsKeepAlive: one a minute while nothing else happens, none while calls do.
func TestHeartbeatsKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var beats atomic.Int32
		c := pipePeer(ClientConfig{}, func(pc *peerConn) {
			for {
				f, err := pc.fr.Next()
				if err != nil {
					return
				}
				if f.IsEvent() {
					if f.Flag != 0xe2 || string(f.Body) != "N" {
						t.Errorf("heartbeat %x %q", f.Flag, f.Body)
					}
					beats.Add(1)
					pc.send(frame.AppendHeartbeatAnswer(nil, frame.Hessian2, f.ID))
					continue
				}
				pc.echo(f.ID, f.Body)
			}
		})
		call := func() {
			t.Helper()
			if got, err := c.Call(context.Background(), testInvocation("x")); err != nil || string(got) != `"x"` {
				t.Errorf("call: %q, %v", got, err)
			}
		}
		call()
		time.Sleep(10*time.Minute + time.Second)
		if n := beats.Load(); n != 10 {
			t.Errorf("%d heartbeats in ten idle minutes", n)
		}
		for range 60 {
			call()
			time.Sleep(20 * time.Second)
		}
		if n := beats.Load(); n != 10 {
			t.Errorf("%d heartbeats while calls were made", n-10)
		}
		_ = c.Close(context.Background())
	})
}

// TestHeartbeatsMissed: three without an answer end the connection, and the calls on it.
func TestHeartbeatsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var beats atomic.Int32
		c := pipePeer(ClientConfig{}, func(pc *peerConn) {
			for {
				f, err := pc.fr.Next()
				if err != nil {
					return
				}
				if f.IsEvent() {
					beats.Add(1)
				}
			}
		})
		start := time.Now()
		_, err := c.Call(context.Background(), testInvocation("x"))
		e := protocol.AsError(err)
		if e.Code != protocol.CodeUpstreamReset || !errors.Is(e, errNoAnswer) || e.NotSent {
			t.Errorf("call: %v", err)
		}
		if took := time.Since(start); took != 4*time.Minute {
			t.Errorf("took %v, want 4m", took)
		}
		if n := beats.Load(); n != 3 {
			t.Errorf("%d heartbeats, want 3", n)
		}
		_ = c.Close(context.Background())
	})
}

// TestHeartbeatAnswered: some providers do send them.
func TestHeartbeatAnswered(t *testing.T) {
	answers := make(chan frame.Frame, 1)
	p := startPeer(t, func(pc *peerConn) {
		pc.send(frame.AppendHeartbeat(nil, 77))
		for {
			f, err := pc.fr.Next()
			if err != nil {
				return
			}
			if f.IsEvent() {
				answers <- f
			} else {
				pc.echo(f.ID, f.Body)
			}
		}
	})
	c := testClient(t, ClientConfig{Address: p.address()})
	if _, err := callFor(c, 5*time.Second, "x"); err != nil {
		t.Fatal(err)
	}
	select {
	case f := <-answers:
		if f.ID != 77 || f.Flag != 0x22 || f.Status != frame.StatusOK {
			t.Errorf("answer %+v", f.Header)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no answer to the heartbeat")
	}
}

func TestReadOnlyDrains(t *testing.T) {
	next := make(chan []byte)
	p := startPeer(t, func(pc *peerConn) {
		go func() {
			for b := range next {
				if b == nil {
					pc.Close()
					return
				}
				pc.send(b)
			}
		}()
		pc.requests(pc.echo)
	})
	drains := make(chan bool, 10)
	c := testClient(t, ClientConfig{Address: p.address(), OnDrain: func(d bool) { drains <- d }})
	call := func() {
		t.Helper()
		if _, err := callFor(c, 5*time.Second, "x"); err != nil {
			t.Errorf("call: %v", err)
		}
	}
	want := func(w bool) {
		t.Helper()
		select {
		case d := <-drains:
			if d != w {
				t.Errorf("draining %v, want %v", d, w)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("not told that draining is %v", w)
		}
	}
	call()
	next <- frame.AppendEvent(nil, 1, frame.ReadOnly)
	want(true)
	call() // it goes on serving for some seconds
	next <- frame.AppendEvent(nil, 1, frame.ReadOnly)
	call() // told twice, as Dubbo does; once is passed on
	next <- frame.AppendEvent(nil, 1, frame.Writeable)
	want(false)
	next <- frame.AppendEvent(nil, 1, frame.ReadOnly)
	want(true)
	next <- nil // the process is gone: what listens there next is another one
	want(false)
	close(next)
	select {
	case d := <-drains:
		t.Errorf("told again: %v", d)
	default:
	}
}

// TestCallbackIgnored: a request from the provider's side is no reason to give up.
func TestCallbackIgnored(t *testing.T) {
	p := startPeer(t, func(pc *peerConn) {
		inv := testInvocation("callback")
		pc.send(appendRequest(nil, 5, inv, target{}, 0))
		pc.requests(pc.echo)
	})
	c := testClient(t, ClientConfig{Address: p.address()})
	if got, err := callFor(c, 5*time.Second, "x"); err != nil || got != `"x"` {
		t.Errorf("call: %q, %v", got, err)
	}
}

func TestStatusErrors(t *testing.T) {
	tests := []struct {
		status  byte
		text    string
		size    int
		want    int
		code    protocol.Code
		notSent bool
	}{
		{25, "Data length too large: 9000000, max payload: 8388608", 9000000, 413, protocol.CodeBodyTooLarge, false},
		{25, "Data length too large: 9000000, max payload: 8388608", 100, 502, protocol.CodeUpstreamProtocol, false},
		{25, "java.lang.IllegalStateException", 100, 502, protocol.CodeUpstreamProtocol, false},
		{30, "", 0, 504, protocol.CodeUpstreamTimeout, false},
		{31, "", 0, 504, protocol.CodeUpstreamTimeout, false},
		{35, "", 0, 502, protocol.CodeUpstreamReset, false},
		{40, "Fail to decode request due to: RpcInvocation [methodName=$invoke", 0, 502, protocol.CodeServiceMismatch, false},
		{40, "expected list at java.lang.Integer", 0, 502, protocol.CodeUpstreamProtocol, false},
		{50, "", 0, 502, protocol.CodeUpstreamProtocol, false},
		{60, "", 0, 502, protocol.CodeServiceMismatch, false},
		{70, "org.apache.dubbo.remoting.RemotingException: Not found exported service: x", 0, 502, protocol.CodeServiceMismatch, false},
		{70, "No such method x in class y", 0, 502, protocol.CodeServiceMismatch, false},
		{70, "Not unique method for method name(x)", 0, 502, protocol.CodeNoDefinition, false},
		{70, "java.lang.IllegalArgumentException", 0, 502, protocol.CodeUpstreamProtocol, false},
		{80, "", 0, 502, protocol.CodeUpstreamProtocol, false},
		{90, "", 0, 502, protocol.CodeUpstreamProtocol, false},
		{100, "Thread pool is EXHAUSTED!", 0, 503, protocol.CodeUpstreamBusy, true},
		{123, "", 0, 502, protocol.CodeUpstreamProtocol, false},
	}
	for _, tt := range tests {
		e := wantError(t, statusError(tt.status, tt.text, tt.size), tt.want, tt.code, tt.notSent)
		if tt.text != "" && (strings.Contains(e.Message, tt.text) || !strings.Contains(e.Cause.Error(), tt.text)) {
			t.Errorf("status %d: message %q, cause %q", tt.status, e.Message, e.Cause)
		}
	}
}

// TestException: the class and the message reach the client, the stack does not.
func TestException(t *testing.T) {
	generic := func(class, message string) []byte {
		b := []byte{0x93, 'C'} // an exception with attachments after it
		b = hessian.AppendString(b, "com.alibaba.dubbo.rpc.service.GenericException")
		b = hessian.AppendInt(b, 2)
		b = hessian.AppendString(b, "exceptionClass")
		b = hessian.AppendString(b, "exceptionMessage")
		b = append(b, 0x60)
		b = hessian.AppendString(b, class)
		return append(hessian.AppendString(b, message), 'H', 'Z')
	}
	undeclared := "com.example.Odd: odd\ncom.example.Odd: odd\n\tat com.example.Impl.get(Impl.java:12)\n\tat java.base/x"
	tests := []struct{ class, message, want string }{
		{"com.example.UserNotFound", "no user 7", "no user 7"},
		{"java.lang.RuntimeException", undeclared, "com.example.Odd: odd\ncom.example.Odd: odd"},
	}
	for _, tt := range tests {
		t.Run(tt.class, func(t *testing.T) {
			p := startPeer(t, func(pc *peerConn) {
				pc.requests(func(id uint64, _ []byte) { pc.send(answerFrame(id, frame.StatusOK, generic(tt.class, tt.message))) })
			})
			c := testClient(t, ClientConfig{Address: p.address()})
			_, err := callFor(c, 5*time.Second, "x")
			e := wantError(t, err, 500, protocol.CodeUpstreamException, false)
			want := []protocol.Detail{{Name: "exceptionClass", Value: tt.class}, {Name: "exceptionMessage", Value: tt.want}}
			if len(e.Details) != 2 || e.Details[0] != want[0] || e.Details[1] != want[1] {
				t.Errorf("details %q, want %q", e.Details, want)
			}
			if !strings.Contains(e.Cause.Error(), tt.message) {
				t.Errorf("cause %q lacks the whole message", e.Cause)
			}
		})
	}
}

// TestVoid: a method that the definition calls void has an empty answer; any other null is one.
func TestVoid(t *testing.T) {
	for _, kind := range []byte{0x92, 0x95} {
		p := startPeer(t, func(pc *peerConn) {
			pc.requests(func(id uint64, _ []byte) { pc.send(answerFrame(id, frame.StatusOK, []byte{kind, 'H', 'Z'})) })
		})
		c := testClient(t, ClientConfig{Address: p.address()})
		for _, void := range []bool{true, false} {
			inv := testInvocation("x")
			inv.void = void
			resp, err := c.Serve(context.Background(), &protocol.Request{Call: inv})
			if err != nil {
				t.Fatal(err)
			}
			body, _ := protocol.ReadAll(nil, resp.Body, 100)
			if void && (resp.Status != 204 || resp.Body != nil) || !void && (resp.Status != 200 || string(body) != "null") {
				t.Errorf("void %v: status %d, body %q", void, resp.Status, body)
			}
			if err := resp.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
