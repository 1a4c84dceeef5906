package dubbo

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// peer is the far end of a connection, as rude as a test wants it.
type peer struct {
	t    testing.TB
	ln   net.Listener
	wg   sync.WaitGroup
	each func(*peerConn)

	mu    sync.Mutex
	conns []*peerConn
}

type peerConn struct {
	net.Conn
	fr *frame.Reader
	mu sync.Mutex
}

// startPeer listens and runs each for every connection, which is closed afterwards.
func startPeer(t testing.TB, each func(*peerConn)) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, ln: ln, each: each}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *peer) address() string { return p.ln.Addr().String() }

func (p *peer) accept() {
	for {
		nc, err := p.ln.Accept()
		if err != nil {
			return
		}
		pc := &peerConn{Conn: nc, fr: frame.NewReader(nc, 64<<20)}
		p.mu.Lock()
		p.conns = append(p.conns, pc)
		p.mu.Unlock()
		p.wg.Go(func() {
			defer nc.Close()
			p.each(pc)
		})
	}
}

func (p *peer) accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *peer) close() {
	p.ln.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (pc *peerConn) send(b []byte) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	_, _ = pc.Write(b)
}

// requests runs f for each call; heartbeats are answered unless f is told of them.
func (pc *peerConn) requests(f func(id uint64, body []byte)) {
	for {
		fr, err := pc.fr.Next()
		if err != nil {
			return
		}
		switch {
		case fr.IsEvent() && fr.IsRequest() && fr.IsTwoWay():
			pc.send(frame.AppendHeartbeatAnswer(nil, frame.Hessian2, fr.ID))
		case fr.IsEvent():
		default:
			f(fr.ID, append([]byte(nil), fr.Body...))
		}
	}
}

// echo answers a call with its only argument.
func (pc *peerConn) echo(id uint64, body []byte) {
	pc.send(answerFrame(id, frame.StatusOK, append([]byte{0x91}, echoed(body)...)))
}

// echoed gives the encoded argument of a call that testInvocation made.
func echoed(body []byte) []byte {
	var d hessian.Decoder
	d.Reset(body, hessian.Options{})
	for range 7 { // five strings, the method, its types
		if err := d.Skip(); err != nil {
			panic(err)
		}
	}
	_, rest, _ := strings.Cut(string(d.Rest()), "[object\x91")
	d.Reset([]byte(rest), hessian.Options{})
	if err := d.Skip(); err != nil {
		panic(err)
	}
	return []byte(rest[:len(rest)-len(d.Rest())])
}

func echoPeer(t testing.TB) *peer {
	return startPeer(t, func(pc *peerConn) { pc.requests(pc.echo) })
}

// testInvocation calls echo with one string.
func testInvocation(arg string) *Invocation {
	inv := &Invocation{}
	inv.reset()
	inv.Interface, inv.Method = "lab.Echo", "echo"
	inv.args = hessian.AppendString(inv.args, inv.Method)
	inv.args = hessian.AppendTypedListLength(inv.args, "[string", 1)
	inv.args = hessian.AppendString(inv.args, "java.lang.String")
	inv.args = hessian.AppendTypedListLength(inv.args, "[object", 1)
	inv.args = hessian.AppendString(inv.args, arg)
	return inv
}

// testClient is closed with the test, and nothing of it may be left then.
func testClient(t testing.TB, cfg ClientConfig) *Client {
	t.Helper()
	c := NewClient(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return c
}

// callFor makes a call that may take d.
func callFor(c *Client, d time.Duration, arg string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	b, err := c.Call(ctx, testInvocation(arg))
	return string(b), err
}

// wantError checks the kind of an error.
func wantError(t testing.TB, err error, status int, code protocol.Code, notSent bool) *protocol.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	e := protocol.AsError(err)
	if e.Status != status || e.Code != code || e.NotSent != notSent {
		t.Fatalf("error %v (not sent %v), want %d %s (not sent %v)", e, e.NotSent, status, code, notSent)
	}
	return e
}

// eventually waits until ok, with a bound.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}
