package socket

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// splicePair is a source and a target with the ends that the test holds.
func splicePair(t testing.TB) (src, dst *Conn, from, to net.Conn) {
	a, b := tcpPair(t)
	c, d := tcpPair(t)
	src, dst = New(a), New(c)
	if !src.Direct() || !dst.Direct() {
		t.Skip("no splicing on this system")
	}
	return src, dst, b, d
}

func TestSpliceMovesEverything(t *testing.T) {
	src, dst, from, to := splicePair(t)
	var s Splicer
	data := make([]byte, 5<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	for range 3 { // the pipe is used again
		var peers sync.WaitGroup
		peers.Go(func() { from.Write(data) })
		sum := sha256.New()
		peers.Go(func() { io.CopyN(sum, to, int64(len(data))) })
		n, stalled, err := s.Splice(dst, src, int64(len(data)), Within(patience), Within(patience))
		if n != int64(len(data)) || stalled || err != nil {
			t.Fatalf("%d %v %v", n, stalled, err)
		}
		peers.Wait()
		if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
			t.Fatal("other bytes arrived")
		}
	}
}

func TestSpliceStopsAtItsCount(t *testing.T) {
	src, dst, from, to := splicePair(t)
	var s Splicer
	from.Write([]byte("0123456789"))
	if n, _, err := s.Splice(dst, src, 4, Limit{}, Limit{}); n != 4 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	p := make([]byte, 10)
	if n, err := src.Read(p, Limit{}); string(p[:n]) != "456789" {
		t.Errorf("left %q %v", p[:n], err)
	}
	if n, err := io.ReadFull(to, p[:4]); string(p[:n]) != "0123" {
		t.Errorf("%q %v", p[:n], err)
	}
}

func TestSpliceTicksAndGoesOn(t *testing.T) {
	src, dst, from, to := splicePair(t)
	var s Splicer
	n, stalled, err := s.Splice(dst, src, 10, Within(20*time.Millisecond), Limit{})
	if n != 0 || !stalled || !errors.Is(err, ErrTimeout) {
		t.Fatalf("%d %v %v", n, stalled, err)
	}
	from.Write([]byte("01234"))
	n, stalled, err = s.Splice(dst, src, 10, Within(20*time.Millisecond), Limit{})
	if n != 5 || !stalled || !errors.Is(err, ErrTimeout) {
		t.Fatalf("%d %v %v", n, stalled, err)
	}
	from.Write([]byte("56"))
	from.Close()
	n, stalled, err = s.Splice(dst, src, 5, Limit{}, Limit{})
	if n != 2 || !stalled || err != io.EOF {
		t.Fatalf("%d %v %v", n, stalled, err)
	}
	p := make([]byte, 7)
	if _, err := io.ReadFull(to, p); string(p) != "0123456" {
		t.Errorf("%q %v", p, err)
	}
}

func TestSpliceIsInterrupted(t *testing.T) {
	src, dst, _, _ := splicePair(t)
	var s Splicer
	for range 20 {
		done := make(chan error, 1)
		go func() {
			_, _, err := s.Splice(dst, src, 10, Limit{}, Limit{})
			done <- err
		}()
		src.Interrupt()
		if err := <-done; !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		src.Resume()
	}
}

func TestSpliceToOneThatTakesNothing(t *testing.T) {
	src, dst, from, _ := splicePair(t)
	var s Splicer
	var writer sync.WaitGroup
	writer.Go(func() { from.Write(make([]byte, 64<<20)) })
	_, stalled, err := s.Splice(dst, src, 64<<20, Limit{}, Within(100*time.Millisecond))
	if stalled || !errors.Is(err, ErrTimeout) {
		t.Errorf("%v %v", stalled, err)
	}
	from.Close()
	src.Close()
	writer.Wait()
}

func TestSpliceToOneThatLeft(t *testing.T) {
	src, dst, from, to := splicePair(t)
	var s Splicer
	to.(*net.TCPConn).SetLinger(0)
	to.Close()
	for end := time.Now().Add(patience); !dst.Gone() && time.Now().Before(end); {
	}
	from.Write(make([]byte, 100))
	if _, stalled, err := s.Splice(dst, src, 100, Limit{}, Limit{}); stalled || err == nil {
		t.Errorf("%v %v", stalled, err)
	}
}

func BenchmarkMegabyte(b *testing.B) {
	const size = 1 << 20
	run := func(b *testing.B, move func(src, dst *Conn)) {
		src, dst, from, to := splicePair(b)
		piece := make([]byte, size)
		go func() {
			for {
				if _, err := from.Write(piece); err != nil {
					return
				}
			}
		}()
		go io.Copy(io.Discard, to)
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			move(src, dst)
		}
	}
	b.Run("spliced", func(b *testing.B) {
		var s Splicer
		run(b, func(src, dst *Conn) {
			if _, _, err := s.Splice(dst, src, size, Limit{}, Limit{}); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("copied", func(b *testing.B) {
		buf := make([]byte, Large)
		run(b, func(src, dst *Conn) {
			for n := 0; n < size; {
				k, err := src.Read(buf[:min(len(buf), size-n)], Limit{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := dst.Write(buf[:k], Limit{}); err != nil {
					b.Fatal(err)
				}
				n += k
			}
		})
	})
}
