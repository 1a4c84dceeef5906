package dubbo

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// TestUnsentCalls: when a connection breaks, a call of which no byte was handed over may be tried elsewhere, one that is
// under way may not.
func TestUnsentCalls(t *testing.T) {
	gate := &gatedConn{open: make(chan struct{}), entered: make(chan struct{}, 10)}
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		gate.Conn = near
		go func() { _, _ = io.Copy(io.Discard, far) }()
		return gate, nil
	}
	c := testClient(t, ClientConfig{Address: "pipe:1", Dial: dial})
	results := make(chan *protocol.Error, 3)
	start := func() {
		go func() {
			_, err := c.Call(context.Background(), testInvocation("x"))
			results <- protocol.AsError(err)
		}()
	}
	start()
	<-gate.entered // the first call's frame is being written
	start()
	start()
	conn := c.slots[0].conn.Load()
	eventually(t, "two more calls are queued", func() bool {
		conn.mu.Lock()
		defer conn.mu.Unlock()
		return strings.Count(string(conn.out.buf), "\xda\xbb\xc2") == 2
	})
	conn.fail(errors.New("cable cut"))
	close(gate.open)
	notSent := 0
	for range 3 {
		e := <-results
		if e.Code != protocol.CodeUpstreamReset {
			t.Errorf("error %v", e)
		}
		if e.NotSent {
			notSent++
		}
	}
	if notSent != 2 {
		t.Errorf("%d of 3 calls were not sent, want 2", notSent)
	}
}

// gatedConn holds writes back until it is opened.
type gatedConn struct {
	net.Conn
	open    chan struct{}
	entered chan struct{}
}

func (g *gatedConn) Write(p []byte) (int, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.Conn.Write(p)
}

// TestWritesAreGathered: calls that come while a frame is being written leave together.
func TestWritesAreGathered(t *testing.T) {
	gate := &gatedConn{open: make(chan struct{}), entered: make(chan struct{}, 1000)}
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		gate.Conn = near
		go func() {
			pc := &peerConn{Conn: far, fr: frame.NewReader(far, 1<<20)}
			pc.requests(pc.echo)
			far.Close()
		}()
		return gate, nil
	}
	c := testClient(t, ClientConfig{Address: "pipe:1", Dial: dial})
	const calls = 100
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if got, err := callFor(c, 10*time.Second, "x"); err != nil || got != `"x"` {
				t.Errorf("call: %q, %v", got, err)
			}
		})
	}
	<-gate.entered
	shards := &c.slots[0].conn.Load().pending.shards
	eventually(t, "all calls are queued", func() bool {
		n := 0
		for i := range shards {
			s := &shards[i]
			s.mu.Lock()
			n += len(s.calls)
			s.mu.Unlock()
		}
		return n == calls
	})
	close(gate.open)
	wg.Wait()
	if writes := len(gate.entered) + 1; writes > 3 {
		t.Errorf("%d writes for %d calls", writes, calls)
	}
}

// TestSilentListener: a port that accepts and closes is no provider; it is not dialled in a loop.
func TestSilentListener(t *testing.T) {
	p := startPeer(t, func(pc *peerConn) {})
	c := testClient(t, ClientConfig{Address: p.address()})
	end := time.Now().Add(300 * time.Millisecond)
	n := 0
	for ; time.Now().Before(end); n++ {
		_, err := callFor(c, 5*time.Second, "x")
		if e := protocol.AsError(err); e.Status != 502 {
			t.Fatalf("call: %v", err)
		}
	}
	if a := p.accepted(); a > 15 {
		t.Errorf("%d connections for %d calls in 300 ms", a, n)
	}
}

// TestSameInvocationTwice: a retry sends the same invocation to another instance.
func TestSameInvocationTwice(t *testing.T) {
	inv := testInvocation("again")
	for range 2 {
		p := echoPeer(t)
		c := testClient(t, ClientConfig{Address: p.address()})
		for range 2 {
			if got, err := c.Call(context.Background(), inv); err != nil || string(got) != `"again"` {
				t.Errorf("call: %q, %v", got, err)
			}
		}
	}
}

// TestAnyOnTheWire: an invocation for any group and version names those of the instance that was chosen.
func TestAnyOnTheWire(t *testing.T) {
	bodies := make(chan string, 1)
	p := startPeer(t, func(pc *peerConn) {
		pc.requests(func(id uint64, body []byte) {
			bodies <- string(body)
			pc.echo(id, body)
		})
	})
	c := testClient(t, ClientConfig{Address: p.address(), Group: "g7", Version: "3.1", Path: "lab.Echo7"})
	inv := testInvocation("x")
	inv.Group, inv.Version = Any, Any
	if _, err := c.Call(context.Background(), inv); err != nil {
		t.Fatal(err)
	}
	body := <-bodies
	for _, want := range []string{"\x052.0.2\x09lab.Echo7\x033.1\x07$invoke", "\x04path\x09lab.Echo7", "\x09interface\x08lab.Echo", "\x05group\x02g7", "\x07version\x033.1"} {
		if !strings.Contains(body, want) {
			t.Errorf("request %q lacks %q", body, want)
		}
	}
}

// TestAnswersDoNotMix: bodies are pooled, so each answer must be its own until it is closed.
func TestAnswersDoNotMix(t *testing.T) {
	p := echoPeer(t)
	c := testClient(t, ClientConfig{Address: p.address()})
	var wg sync.WaitGroup
	var mixed atomic.Int32
	for i := range 16 {
		wg.Go(func() {
			want := strings.Repeat(string(rune('a'+i)), 10+i*100)
			for range 50 {
				req := &protocol.Request{Call: testInvocation(want)}
				resp, err := c.Serve(context.Background(), req)
				if err != nil {
					t.Error(err)
					return
				}
				piece, _, _ := resp.Body.Next()
				if string(piece) != `"`+want+`"` || resp.ContentLength != int64(len(piece)) {
					mixed.Add(1)
				}
				_ = resp.Close()
			}
		})
	}
	wg.Wait()
	if n := mixed.Load(); n > 0 {
		t.Errorf("%d answers were not the caller's", n)
	}
}

func TestPending(t *testing.T) {
	p := newPending()
	for id := range uint64(100) {
		p.add(&call{id: id})
	}
	for id := range uint64(50) {
		if c := p.take(id); c == nil || c.id != id {
			t.Fatalf("call %d is %v", id, c)
		}
		if p.take(id) != nil {
			t.Fatalf("call %d can be taken twice", id)
		}
	}
	if left := p.takeAll(); len(left) != 50 {
		t.Errorf("%d calls left, want 50", len(left))
	}
	if left := p.takeAll(); len(left) != 0 {
		t.Errorf("%d calls left after all were taken", len(left))
	}
}

// TestPutBackIsClean: nothing of a call is left for the next one.
func TestPutBackIsClean(t *testing.T) {
	var p calls
	c := p.get()
	c.body, c.err, c.notSent = append(c.body, make([]byte, frame.KeptBody+1)...), io.EOF, true
	p.put(c)
	if c.err != nil || c.notSent || c.body != nil {
		t.Errorf("after put: %v, %v, %d bytes kept", c.err, c.notSent, cap(c.body))
	}
}
