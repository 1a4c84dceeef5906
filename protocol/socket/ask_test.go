package socket

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// askPair returns a Conn and its peer over loopback.
func askPair(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := New(nc)
	t.Cleanup(func() { c.Close(); peer.Close() })
	return c, peer.(*net.TCPConn)
}

func message(pool *Pool, text string) (*Buffer, int) {
	b := pool.Get(len(text))
	return b, copy(b.B, text)
}

func TestAsk(t *testing.T) {
	c, peer := askPair(t)
	var pool Pool
	gate := make(chan struct{})
	go func() {
		b := make([]byte, 64)
		for {
			n, err := peer.Read(b)
			if err != nil {
				return
			}
			if string(b[:n]) == "slow" {
				<-gate
			}
			_, _ = peer.Write(append([]byte("re: "), b[:n]...))
		}
	}()
	for _, text := range []string{"one", "two", "three"} {
		out, n := message(&pool, text)
		buf, m, state, sent, err := c.Ask(out, n, &pool, Small, Within(5*time.Second))
		if err != nil || state != Quiet || sent != n || string(buf.B[:m]) != "re: "+text {
			t.Fatalf("%s: got state %v, sent %d, %d bytes, %v", text, state, sent, m, err)
		}
		buf.Release()
	}
	// The limit ends the wait and not the question: the answer can still be read.
	out, n := message(&pool, "slow")
	buf, _, state, sent, err := c.Ask(out, n, &pool, Small, Limit{Until: protocol.Now() + int64(10*time.Millisecond)})
	if buf != nil || state != Quiet || sent != n || !errors.Is(err, ErrTimeout) {
		t.Fatalf("state %v, sent %d, %v", state, sent, err)
	}
	close(gate)
	buf, m, err := c.ReadBuffer(&pool, Small, 0, Within(5*time.Second))
	if err != nil || string(buf.B[:m]) != "re: slow" {
		t.Fatalf("got %d bytes, %v", m, err)
	}
	buf.Release()
}

func TestAskOnAConnectionThatIsNotQuiet(t *testing.T) {
	for name, act := range map[string]func(peer *net.TCPConn){
		"data": func(peer *net.TCPConn) { _, _ = io.WriteString(peer, "x") },
		"end":  func(peer *net.TCPConn) { peer.Close() },
		"reset": func(peer *net.TCPConn) {
			_ = peer.SetLinger(0)
			peer.Close()
		},
	} {
		c, peer := askPair(t)
		var pool Pool
		act(peer)
		for end := time.Now().Add(5 * time.Second); c.Peek() == Quiet && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		out, n := message(&pool, "question")
		buf, _, state, sent, _ := c.Ask(out, n, &pool, Small, Within(5*time.Second))
		if buf != nil || state == Quiet || sent != 0 || (state == Data) != (name == "data") {
			t.Errorf("%s: got state %v, sent %d", name, state, sent)
		}
	}
	c, _ := askPair(t)
	var pool Pool
	c.Close()
	out, n := message(&pool, "question")
	if _, _, state, sent, err := c.Ask(out, n, &pool, Small, Limit{}); state != Ended || sent != 0 || err == nil {
		t.Errorf("closed: got state %v, sent %d, %v", state, sent, err)
	}
}

// A deadline that was armed lazily and passed while the connection was idle must not hurt.
func TestAskAfterAnOldDeadline(t *testing.T) {
	c, peer := askPair(t)
	var pool Pool
	if _, err := c.Read(make([]byte, 1), Within(time.Millisecond)); !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 64)
		n, _ := peer.Read(b)
		_, _ = peer.Write(b[:n])
	}()
	out, n := message(&pool, "hello")
	buf, m, state, _, err := c.Ask(out, n, &pool, Small, Within(5*time.Second))
	if err != nil || state != Quiet || string(buf.B[:m]) != "hello" {
		t.Fatalf("got state %v, %v", state, err)
	}
}

func TestAskWhenTheSocketTakesOnlyPart(t *testing.T) {
	c, peer := askPair(t)
	_ = peer.SetReadBuffer(4 << 10)
	_ = c.NetConn().(*net.TCPConn).SetWriteBuffer(4 << 10)
	var pool Pool
	out := pool.Get(4 << 20)
	_, _, state, sent, _ := c.Ask(out, len(out.B), &pool, Small, Within(5*time.Second))
	if state != Quiet || sent == 0 || sent >= len(out.B) {
		t.Errorf("got state %v, sent %d of %d", state, sent, len(out.B))
	}
	out.Release()
}
