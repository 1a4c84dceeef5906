package dubbo

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

func TestClientAnswers(t *testing.T) {
	p := echoPeer(t)
	c := testClient(t, ClientConfig{Address: p.address()})
	for _, arg := range []string{"bob", "", "日本語 and 😀", strings.Repeat("long ", 50_000)} {
		got, err := callFor(c, 5*time.Second, arg)
		if want := string(protocol.AppendJSONString(nil, arg)); err != nil || got != want {
			t.Errorf("answer %.40q and %v, want %.40q", got, err, want)
		}
	}
	if n := p.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestClientManyCalls has 300 calls in flight on one connection, answered in a random order.
func TestClientManyCalls(t *testing.T) {
	const calls = 300
	p := startPeer(t, func(pc *peerConn) {
		type request struct {
			id   uint64
			body []byte
		}
		var waiting []request
		pc.requests(func(id uint64, body []byte) {
			waiting = append(waiting, request{id, body})
			if len(waiting) == calls {
				rand.Shuffle(calls, func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
				for _, r := range waiting {
					pc.echo(r.id, r.body)
				}
				waiting = nil
			}
		})
	})
	c := testClient(t, ClientConfig{Address: p.address()})
	for range 3 {
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				arg := fmt.Sprintf("%d:%s", i, strings.Repeat("x", i*7))
				if got, err := callFor(c, 10*time.Second, arg); err != nil || got != `"`+arg+`"` {
					t.Errorf("call %d: %.40q, %v", i, got, err)
				}
			})
		}
		wg.Wait()
	}
	if n := p.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if c.Pending() != 0 || c.Late() != 0 {
		t.Errorf("%d pending, %d late", c.Pending(), c.Late())
	}
}

func TestClientSpreadsOverConnections(t *testing.T) {
	p := echoPeer(t)
	c := testClient(t, ClientConfig{Address: p.address(), Connections: 3})
	for range 9 {
		if _, err := callFor(c, 5*time.Second, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.accepted(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// TestClientDeadline: providers do not enforce timeouts, and some never answer. A late answer is dropped and disturbs nothing.
func TestClientDeadline(t *testing.T) {
	release := make(chan struct{})
	p := startPeer(t, func(pc *peerConn) {
		pc.requests(func(id uint64, body []byte) {
			if strings.Contains(string(body), "slow") {
				go func() {
					<-release
					pc.echo(id, body)
				}()
				return
			}
			pc.echo(id, body)
		})
	})
	c := testClient(t, ClientConfig{Address: p.address()})
	start := time.Now()
	_, err := callFor(c, 50*time.Millisecond, "slow")
	wantError(t, err, 504, protocol.CodeUpstreamTimeout, false)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if c.Pending() != 0 {
		t.Errorf("%d pending", c.Pending())
	}
	close(release)
	eventually(t, "the late answer was counted", func() bool { return c.Late() == 1 })
	if got, err := callFor(c, 5*time.Second, "next"); err != nil || got != `"next"` {
		t.Errorf("next call: %q, %v", got, err)
	}
	if n := p.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestClientSendsTimeout: the attachment is a string of milliseconds.
func TestClientSendsTimeout(t *testing.T) {
	seen := make(chan string, 1)
	p := startPeer(t, func(pc *peerConn) {
		pc.requests(func(id uint64, body []byte) {
			_, after, _ := strings.Cut(string(body), "\x07timeout")
			seen <- after[1 : 1+int(after[0])]
			pc.echo(id, body)
		})
	})
	c := testClient(t, ClientConfig{Address: p.address()})
	if _, err := callFor(c, 5*time.Second, "x"); err != nil {
		t.Fatal(err)
	}
	if ms := <-seen; len(ms) != 4 || ms[0] != '4' {
		t.Errorf("timeout %q, want a little under 5000", ms)
	}
}

func TestClientGone(t *testing.T) {
	p := startPeer(t, func(pc *peerConn) { pc.requests(func(uint64, []byte) {}) })
	c := testClient(t, ClientConfig{Address: p.address()})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for c.Pending() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := c.Call(ctx, testInvocation("x"))
	e := wantError(t, err, 499, protocol.CodeClientGone, false)
	if !errors.Is(e, context.Canceled) {
		t.Errorf("cause %v", e.Cause)
	}
}

func TestClientConnectFails(t *testing.T) {
	p := echoPeer(t)
	var dials atomic.Int32
	var up atomic.Bool
	refused := errors.New("connection refused")
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		if !up.Load() {
			return nil, refused
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	c := testClient(t, ClientConfig{Address: p.address(), Dial: dial})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := callFor(c, 5*time.Second, "x")
			e := protocol.AsError(err)
			if e.Status != 502 || e.Code != protocol.CodeUpstreamConnect || !e.NotSent || !errors.Is(e, refused) {
				t.Errorf("error %v, not sent %v", err, e.NotSent)
			}
		})
	}
	wg.Wait()
	if n := dials.Load(); n > 5 {
		t.Errorf("%d dials for one crowd: the pause is missing", n)
	}
	up.Store(true)
	eventually(t, "the pause is over and the instance is used again", func() bool {
		_, err := callFor(c, 5*time.Second, "x")
		return err == nil
	})
}

// TestClientConnectTimeout: a call's deadline also covers the dial, which goes on for the others.
func TestClientConnectTimeout(t *testing.T) {
	blocked := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	c := testClient(t, ClientConfig{Address: "192.0.2.1:20880", Dial: blocked, ConnectTimeout: 200 * time.Millisecond})
	_, err := callFor(c, 20*time.Millisecond, "x")
	wantError(t, err, 504, protocol.CodeUpstreamTimeout, true)
	_, err = callFor(c, 5*time.Second, "x")
	wantError(t, err, 502, protocol.CodeUpstreamConnect, true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	eventually(t, "the pause is over", func() bool {
		_, err = c.Call(ctx, testInvocation("x"))
		return protocol.AsError(err).Code == protocol.CodeClientGone
	})
}

// TestClientBrokenConnection: what breaks a connection fails every call on it, as one that may have run.
func TestClientBrokenConnection(t *testing.T) {
	tests := map[string]func(pc *peerConn, id uint64){
		"closed":  func(pc *peerConn, _ uint64) { pc.Close() },
		"garbage": func(pc *peerConn, _ uint64) { pc.send([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")) },
		"half an answer": func(pc *peerConn, id uint64) {
			pc.send(answerFrame(id, frame.StatusOK, []byte("\x91\x05hello"))[:20])
			pc.Close()
		},
		"absurd length": func(pc *peerConn, id uint64) {
			pc.send([]byte{0xda, 0xbb, 2, 20, 0, 0, 0, 0, 0, 0, 0, byte(id), 255, 255, 255, 255})
		},
	}
	for name, misbehave := range tests {
		t.Run(name, func(t *testing.T) {
			const calls = 20
			var broken atomic.Bool
			p := startPeer(t, func(pc *peerConn) {
				n := 0
				pc.requests(func(id uint64, body []byte) {
					if broken.Load() {
						pc.echo(id, body)
						return
					}
					if n++; n == calls {
						broken.Store(true)
						misbehave(pc, id)
					}
				})
			})
			c := testClient(t, ClientConfig{Address: p.address()})
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() {
					_, err := callFor(c, 10*time.Second, "x")
					if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamReset || e.NotSent {
						t.Errorf("error %v, not sent %v", err, e.NotSent)
					}
				})
			}
			wg.Wait()
			eventually(t, "a new connection works", func() bool {
				got, err := callFor(c, 5*time.Second, "again")
				return err == nil && got == `"again"`
			})
		})
	}
}

// TestClientAnswersThatCannotBeUsed: the connection survives each of them.
func TestClientAnswersThatCannotBeUsed(t *testing.T) {
	tests := []struct {
		name   string
		answer func(id uint64) []byte
		status int
		code   protocol.Code
	}{
		{"empty", func(id uint64) []byte { return answerFrame(id, frame.StatusOK, nil) }, 502, protocol.CodeUpstreamProtocol},
		{"unknown kind", func(id uint64) []byte { return answerFrame(id, frame.StatusOK, []byte{0x99}) }, 502, protocol.CodeUpstreamProtocol},
		{"not an int", func(id uint64) []byte { return answerFrame(id, frame.StatusOK, []byte{1, 'x'}) }, 502, protocol.CodeUpstreamProtocol},
		{"cut value", func(id uint64) []byte { return answerFrame(id, frame.StatusOK, []byte{0x91, 5, 'a'}) }, 502, protocol.CodeUpstreamProtocol},
		{"too long", func(id uint64) []byte { return answerFrame(id, frame.StatusOK, make([]byte, 200_000)) }, 502, protocol.CodeUpstreamProtocol},
		{"fastjson", func(id uint64) []byte { f := answerFrame(id, frame.StatusOK, []byte(`{}`)); f[2] = 6; return f }, 502, protocol.CodeUpstreamProtocol},
		{"status 70", func(id uint64) []byte { return answerFrame(id, 70, hessian.AppendString(nil, "No such method x")) }, 502, protocol.CodeServiceMismatch},
		{"status without text", func(id uint64) []byte { return answerFrame(id, 70, nil) }, 502, protocol.CodeUpstreamProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startPeer(t, func(pc *peerConn) {
				pc.requests(func(id uint64, body []byte) {
					if strings.Contains(string(body), "good") {
						pc.echo(id, body)
						return
					}
					pc.send(tt.answer(id))
				})
			})
			c := testClient(t, ClientConfig{Address: p.address(), MaxAnswer: 100_000})
			_, err := callFor(c, 5*time.Second, "bad")
			wantError(t, err, tt.status, tt.code, false)
			if got, err := callFor(c, 5*time.Second, "good"); err != nil || got != `"good"` {
				t.Errorf("next call: %q, %v", got, err)
			}
			if n := p.accepted(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestClientRefusesLongRequest(t *testing.T) {
	p := echoPeer(t)
	c := testClient(t, ClientConfig{Address: p.address(), MaxRequest: 1000})
	_, err := callFor(c, 5*time.Second, strings.Repeat("x", 1000))
	wantError(t, err, 413, protocol.CodeBodyTooLarge, true)
	if got, err := callFor(c, 5*time.Second, "x"); err != nil || got != `"x"` {
		t.Errorf("next call: %q, %v", got, err)
	}
}

func TestClientMaxPending(t *testing.T) {
	p := startPeer(t, func(pc *peerConn) { pc.requests(func(uint64, []byte) {}) })
	c := testClient(t, ClientConfig{Address: p.address(), MaxPending: 2})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _, _ = c.Call(ctx, testInvocation("x")) })
	}
	eventually(t, "two calls are pending", func() bool { return c.Pending() == 2 })
	_, err := callFor(c, 5*time.Second, "x")
	wantError(t, err, 503, protocol.CodeOverloaded, true)
	cancel()
	wg.Wait()
}

func TestClientWithoutInvocation(t *testing.T) {
	c := testClient(t, ClientConfig{Address: "127.0.0.1:1"})
	_, err := c.Serve(context.Background(), &protocol.Request{})
	wantError(t, err, 500, protocol.CodeInternal, true)
}

// TestClientProviderDoesNotRead: a provider that reads nothing blocks neither deadlines nor the reader.
func TestClientProviderDoesNotRead(t *testing.T) {
	stop := make(chan struct{})
	p := startPeer(t, func(*peerConn) { <-stop })
	defer close(stop)
	c := testClient(t, ClientConfig{Address: p.address()})
	inv := testInvocation(strings.Repeat("x", 4<<20))
	var sent, refused atomic.Int32
	var wg sync.WaitGroup
	for range 12 { // 48 MiB: more than sockets and the bound take
		wg.Go(func() {
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := c.Call(ctx, inv)
			switch e := protocol.AsError(err); e.Code {
			case protocol.CodeUpstreamTimeout:
				sent.Add(1)
			case protocol.CodeOverloaded:
				refused.Add(1)
			default:
				t.Errorf("unexpected %v", e)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	wg.Wait()
	if sent.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d waited, %d were refused", sent.Load(), refused.Load())
	}
}

// TestClientSlowReader: a request that the socket does not take at once arrives whole.
func TestClientSlowReader(t *testing.T) {
	p := startPeer(t, func(pc *peerConn) {
		time.Sleep(50 * time.Millisecond)
		pc.requests(pc.echo)
	})
	c := testClient(t, ClientConfig{Address: p.address()})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			arg := strings.Repeat(string(rune('a'+i)), 3<<20)
			if got, err := callFor(c, 20*time.Second, arg); err != nil || got != `"`+arg+`"` {
				t.Errorf("call %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
}

func TestClientClose(t *testing.T) {
	release := make(chan struct{})
	p := startPeer(t, func(pc *peerConn) {
		pc.requests(func(id uint64, body []byte) {
			<-release
			pc.echo(id, body)
		})
	})
	c := NewClient(ClientConfig{Address: p.address()})
	answered := make(chan error, 1)
	go func() {
		_, err := callFor(c, 10*time.Second, "x")
		answered <- err
	}()
	eventually(t, "the call is pending", func() bool { return c.Pending() == 1 })
	closed := make(chan error, 1)
	go func() { closed <- c.Close(context.Background()) }()
	eventually(t, "new calls are refused", func() bool {
		_, err := callFor(c, 10*time.Millisecond, "late")
		return errors.Is(err, errClientClosed)
	})
	select {
	case <-closed:
		t.Fatal("closed while a call was in flight")
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("call in flight: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	_, err := callFor(c, time.Second, "x")
	wantError(t, err, 502, protocol.CodeUpstreamConnect, true)
}

// TestClientCloseByForce: a drain ends with its context.
func TestClientCloseByForce(t *testing.T) {
	p := startPeer(t, func(pc *peerConn) { pc.requests(func(uint64, []byte) {}) })
	c := NewClient(ClientConfig{Address: p.address()})
	answered := make(chan error, 1)
	go func() {
		_, err := c.Call(context.Background(), testInvocation("x"))
		answered <- err
	}()
	eventually(t, "the call is pending", func() bool { return c.Pending() == 1 && p.accepted() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	if e := protocol.AsError(<-answered); e.Code != protocol.CodeUpstreamReset && e.Code != protocol.CodeUpstreamConnect {
		t.Errorf("call in flight: %v", e)
	}
}
