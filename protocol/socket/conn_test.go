package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

const patience = 20 * time.Second

// tcpPair makes two connected sockets.
func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	type result struct {
		c   net.Conn
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := ln.Accept()
		accepted <- result{c, err}
	}()
	b, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := <-accepted
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.c.Close(); b.Close() })
	return r.c, b
}

// bothPaths runs f over a TCP socket and over a pipe, which has none.
func bothPaths(t *testing.T, f func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Run("tcp", func(t *testing.T) {
		a, b := tcpPair(t)
		f(t, New(a), b)
	})
	t.Run("pipe", func(t *testing.T) {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		f(t, New(a), b)
	})
}

func await(t testing.TB, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatal("waited in vain")
	}
}

// waitReadable waits until data lies in the socket.
func waitReadable(t testing.TB, c *Conn) {
	t.Helper()
	for end := time.Now().Add(patience); c.Peek() == Quiet; {
		if time.Now().After(end) {
			t.Fatal("nothing arrives")
		}
	}
}

func TestReadAndWrite(t *testing.T) {
	bothPaths(t, func(t *testing.T, c *Conn, peer net.Conn) {
		var writer sync.WaitGroup
		want := bytes.Repeat([]byte("0123456789"), 100_000)
		writer.Go(func() {
			if n, err := c.Writev([][]byte{want[:10], nil, want[10:500_000], want[500_000:]}, Within(patience)); n != int64(len(want)) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			if _, err := c.Write([]byte("end"), Limit{}); err != nil {
				t.Error(err)
			}
		})
		got := make([]byte, len(want)+3)
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, append(want, "end"...)) {
			t.Errorf("got other bytes, %v", err)
		}
		writer.Wait()
		writer.Go(func() { peer.Write([]byte("abc")); peer.Close() })
		var pool Pool
		b, n, err := c.ReadBuffer(&pool, Small, 2, Within(patience))
		if err != nil || string(b.B[:n]) != "ab" {
			t.Fatalf("%v %v", n, err)
		}
		b.Release()
		p := make([]byte, 10)
		if n, err := c.Read(p, Limit{}); err != nil || string(p[:n]) != "c" {
			t.Errorf("%d %v", n, err)
		}
		if n, err := c.Read(p, Limit{}); n != 0 || err != io.EOF {
			t.Errorf("%d %v", n, err)
		}
		if b, n, err := c.ReadBuffer(&pool, Small, 0, Limit{}); b != nil || n != 0 || err != io.EOF {
			t.Errorf("%v %d %v", b, n, err)
		}
		writer.Wait()
	})
}

func TestReadLimits(t *testing.T) {
	bothPaths(t, func(t *testing.T, c *Conn, peer net.Conn) {
		p := make([]byte, 10)
		start := protocol.Now()
		for name, l := range map[string]Limit{
			"until": {Until: start + int64(40*time.Millisecond)},
			"stall": Within(40 * time.Millisecond),
			"both":  {Until: start + int64(time.Hour), Stall: int64(30 * time.Millisecond)},
			"past":  {Until: start},
		} {
			if _, err := c.Read(p, l); !errors.Is(err, ErrTimeout) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if d := time.Duration(protocol.Now() - start); d > patience/2 {
			t.Errorf("took %v", d)
		}
		// A short deadline stays armed; it must not end a longer or an endless wait.
		for _, l := range []Limit{{}, Within(patience)} {
			c.Read(p, Within(20*time.Millisecond))
			go func() {
				timer := time.NewTimer(60 * time.Millisecond)
				<-timer.C
				peer.Write([]byte("late"))
			}()
			if n, err := c.Read(p, l); n != 4 || err != nil {
				t.Errorf("%d %v", n, err)
			}
		}
	})
}

func TestWriteStall(t *testing.T) {
	bothPaths(t, func(t *testing.T, c *Conn, peer net.Conn) {
		if _, err := c.Write(make([]byte, 32<<20), Within(50*time.Millisecond)); !errors.Is(err, ErrTimeout) {
			t.Errorf("nobody reads, and got %v", err)
		}
	})
}

func TestSlowReaderIsNoStall(t *testing.T) {
	a, peer := tcpPair(t)
	c := New(a)
	const size = 24 << 20
	var reader sync.WaitGroup
	reader.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		buf := make([]byte, 2<<20)
		for n := 0; n < size; {
			<-tick.C
			k, err := peer.Read(buf)
			if err != nil {
				t.Error(err)
				return
			}
			n += k
		}
	})
	if n, err := c.Write(make([]byte, size), Within(200*time.Millisecond)); n != size || err != nil {
		t.Errorf("%d %v", n, err)
	}
	reader.Wait()
}

func TestInterrupt(t *testing.T) {
	bothPaths(t, func(t *testing.T, c *Conn, peer net.Conn) {
		for range 50 {
			done := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1), Limit{})
				done <- err
			}()
			c.Interrupt()
			if err := <-done; !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			c.Resume()
		}
		go peer.Write([]byte("x"))
		if n, err := c.Read(make([]byte, 1), Within(patience)); n != 1 || err != nil {
			t.Errorf("after Resume: %d %v", n, err)
		}
	})
}

func TestCloseEndsRead(t *testing.T) {
	bothPaths(t, func(t *testing.T, c *Conn, _ net.Conn) {
		done := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1), Within(patience))
			done <- err
		}()
		c.Close()
		if err := <-done; err == nil || errors.Is(err, ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

func TestPeekGoneSweep(t *testing.T) {
	var conns []*Conn
	var peers []net.Conn
	for range 4 {
		a, b := tcpPair(t)
		conns, peers = append(conns, New(a)), append(peers, b)
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	conns = append(conns, New(pipe))
	peers[1].Write([]byte("x"))
	waitReadable(t, conns[1])
	peers[2].Close()
	for end := time.Now().Add(patience); !conns[2].Gone() && time.Now().Before(end); {
	}
	for i, want := range []State{Quiet, Data, Ended, Quiet, Quiet} {
		if got := conns[i].Peek(); got != want {
			t.Errorf("peek %d: %d, want %d", i, got, want)
		}
		if got := conns[i].Gone(); got != (want == Ended) {
			t.Errorf("gone %d: %v", i, got)
		}
	}
	var found []int
	scratch := Sweep(conns, nil, func(i int) { found = append(found, i) })
	if len(found) != 2 || found[0] != 1 || found[1] != 2 {
		t.Errorf("sweep found %v", found)
	}
	found = found[:0]
	SweepGone(conns, scratch, func(i int) { found = append(found, i) })
	if len(found) != 1 || found[0] != 2 {
		t.Errorf("sweep for gone found %v", found)
	}
	conns[3].Close()
	if conns[3].Peek() != Ended || !conns[3].Gone() {
		t.Error("a closed connection looks alive")
	}
	if n := testing.AllocsPerRun(100, func() { conns[0].Peek() }); n > 0 {
		t.Errorf("Peek allocates %v", n)
	}
}

func TestReset(t *testing.T) {
	a, peer := tcpPair(t)
	c := New(a)
	c.Reset()
	c.Close()
	if _, err := peer.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("orderly end: %v", err)
	}
}

func TestBuffersArePoisoned(t *testing.T) {
	var pool Pool
	for _, n := range []int{1, Small, Small + 1, Medium, Large, Large + 1} {
		b := pool.Get(n)
		if len(b.B) < n {
			t.Errorf("asked for %d, got %d", n, len(b.B))
		}
		b.B[0] = 'x'
		b.Release()
		if protocol.Poisoning && b.B[0] != '#' {
			t.Error("not poisoned")
		}
	}
	(*Buffer)(nil).Release()
}

func TestReadAllocatesNothing(t *testing.T) {
	a, peer := tcpPair(t)
	c := New(a)
	var pool Pool
	msg := []byte("hello")
	if n := testing.AllocsPerRun(200, func() {
		peer.Write(msg)
		b, _, err := c.ReadBuffer(&pool, Small, 0, Within(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Writev([][]byte{b.B[:2], b.B[2:5]}, Within(time.Minute)); err != nil {
			t.Fatal(err)
		}
		b.Release()
		io.ReadFull(peer, msg)
	}); n > 0 && !protocol.Poisoning {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRoundTrip writes 1 KB and reads it back, by raw calls and through net.Conn with a deadline for each call.
func BenchmarkRoundTrip(b *testing.B) {
	run := func(b *testing.B, read, write func(c *Conn, p []byte) error) {
		x, y := tcpPair(b)
		go io.Copy(struct{ io.Writer }{y}, struct{ io.Reader }{y})
		c := New(x)
		p := make([]byte, 1024)
		b.ReportAllocs()
		for b.Loop() {
			if err := write(c, p); err != nil {
				b.Fatal(err)
			}
			if err := read(c, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("raw", func(b *testing.B) {
		run(b, func(c *Conn, p []byte) error { _, err := c.Read(p, Within(time.Minute)); return err },
			func(c *Conn, p []byte) error { _, err := c.Write(p, Within(time.Minute)); return err })
	})
	b.Run("net", func(b *testing.B) {
		run(b, func(c *Conn, p []byte) error {
			_ = c.NetConn().SetReadDeadline(time.Now().Add(time.Minute))
			_, err := c.NetConn().Read(p)
			return err
		}, func(c *Conn, p []byte) error {
			_ = c.NetConn().SetWriteDeadline(time.Now().Add(time.Minute))
			_, err := c.NetConn().Write(p)
			return err
		})
	})
}

func TestAddressesAndHalfClose(t *testing.T) {
	a, peer := tcpPair(t)
	c := New(a)
	if c.Peer().String() != peer.LocalAddr().String() || c.Local().String() != peer.RemoteAddr().String() || !c.Parkable() {
		t.Errorf("peer %v, local %v", c.Peer(), c.Local())
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer sees %v", err)
	}
	go peer.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 1), Within(patience)); n != 1 || err != nil {
		t.Errorf("the other direction: %d %v", n, err)
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	p := New(pipe)
	if p.Peer().IsValid() || p.Parkable() || p.Direct() || !errors.Is(p.CloseWrite(), errors.ErrUnsupported) {
		t.Error("a pipe looks like a socket")
	}
}
