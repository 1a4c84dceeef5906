package socket

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestLimitEnds(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		want  int64
	}{
		{Limit{}, 0},
		{Limit{Until: 150}, 150},
		{Limit{Until: 50}, 50}, // long over
		{Limit{Stall: 20}, 120},
		{Limit{Until: 110, Stall: 20}, 110},
		{Limit{Until: 150, Stall: 20}, 120},
		{Limit{Stall: -5}, 0},
		{Limit{Until: 150, Stall: -5}, 150},
		{Within(7), 107},
	} {
		if got := c.limit.end(100); got != c.want {
			t.Errorf("%+v from 100: %d, want %d", c.limit, got, c.want)
		}
	}
}

// tlsPair makes two ends of a TLS connection over TCP, hands shaken.
func tlsPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"h"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	a, b := tcpPair(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client := tls.Client(b, &tls.Config{RootCAs: roots, ServerName: "h"})
	shaken := make(chan error, 1)
	go func() { shaken <- client.HandshakeContext(t.Context()) }()
	if err := errors.Join(server.HandshakeContext(t.Context()), <-shaken); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// threePaths is bothPaths and TLS.
func threePaths(t *testing.T, f func(t *testing.T, c *Conn, peer net.Conn)) {
	bothPaths(t, f)
	t.Run("tls", func(t *testing.T) {
		a, b := tlsPair(t)
		f(t, New(a), b)
	})
}

// TestDeadlinesAreArmedAgain goes through random limits on one connection: whatever was armed before, a read ends when its
// own limit says, not earlier and not much later, and data that comes in time is never missed.
func TestDeadlinesAreArmedAgain(t *testing.T) {
	threePaths(t, func(t *testing.T, c *Conn, peer net.Conn) {
		r := rand.New(rand.NewPCG(1, 1))
		p := make([]byte, 8)
		for step := range 40 {
			short := time.Duration(1+r.IntN(15)) * time.Millisecond
			comes := r.IntN(2) == 0
			limit := Within(short)
			if comes {
				limit = []Limit{{}, Within(patience), {Until: protocol.Now() + int64(patience)}}[r.IntN(3)]
			} else if r.IntN(2) == 0 {
				limit = Limit{Until: protocol.Now() + int64(short)}
			}
			start := protocol.Now()
			var sender sync.WaitGroup
			if comes {
				sender.Go(func() {
					timer := time.NewTimer(short)
					<-timer.C
					if _, err := peer.Write([]byte("data")); err != nil {
						t.Error(err)
					}
				})
			}
			n, err := c.Read(p, limit)
			took := time.Duration(protocol.Now() - start)
			sender.Wait()
			switch {
			case comes && (n != 4 || err != nil):
				t.Fatalf("step %d, %+v: %d %v", step, limit, n, err)
			case !comes && (!errors.Is(err, ErrTimeout) || n != 0):
				t.Fatalf("step %d, %+v: %d %v", step, limit, n, err)
			case !comes && (took < short-time.Millisecond || took > short+patience/4):
				t.Fatalf("step %d: %v took %v", step, short, took)
			}
		}
	})
}

// TestWritesGoOnAfterTimeouts: a write that timed out says how much was taken, and whoever goes on from there loses and
// doubles nothing, however the pieces were cut.
func TestWritesGoOnAfterTimeouts(t *testing.T) {
	a, peer := tcpPair(t)
	_ = a.(*net.TCPConn).SetWriteBuffer(64 << 10)
	_ = peer.(*net.TCPConn).SetReadBuffer(64 << 10)
	c := New(a)
	r := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 3<<20)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	got := make([]byte, 0, len(want))
	var reader sync.WaitGroup
	reader.Go(func() {
		pace := rand.New(rand.NewPCG(1, 3))
		buf := make([]byte, 256<<10)
		for len(got) < len(want) {
			if pace.IntN(4) == 0 {
				time.Sleep(time.Duration(pace.IntN(8)) * time.Millisecond)
			}
			n, err := peer.Read(buf[:1+pace.IntN(len(buf))])
			if err != nil {
				t.Error(err)
				return
			}
			got = append(got, buf[:n]...)
		}
	})
	timeouts := 0
	for done := 0; done < len(want); {
		rest := want[done:min(len(want), done+1+r.IntN(512<<10))]
		var pieces [][]byte
		for total := len(rest); total > 0 && len(pieces) < MaxVec; {
			k := r.IntN(total + 1)
			if len(pieces) == MaxVec-1 {
				k = total
			}
			pieces = append(pieces, rest[len(rest)-total:len(rest)-total+k])
			total -= k
		}
		before := make([]int, len(pieces))
		for i := range pieces {
			before[i] = len(pieces[i])
		}
		n, err := c.Writev(pieces, Within(time.Duration(r.IntN(3)+1)*time.Millisecond))
		for i := range pieces {
			if len(pieces[i]) != before[i] {
				t.Fatal("the caller's pieces were changed")
			}
		}
		if n > int64(len(rest)) || err == nil && n != int64(len(rest)) {
			t.Fatalf("%d of %d written, %v", n, len(rest), err)
		}
		if err != nil {
			if !errors.Is(err, ErrTimeout) {
				t.Fatal(err)
			}
			timeouts++
		}
		done += int(n)
	}
	reader.Wait()
	if !bytes.Equal(got, want) {
		t.Error("other bytes arrived")
	}
	if timeouts == 0 {
		t.Error("no write timed out")
	}
}

// TestStallCountsFromTheLastProgress: a write of many stalls' length ends well as long as each of them is short, and Until
// ends it all the same.
func TestStallCountsFromTheLastProgress(t *testing.T) {
	a, peer := tcpPair(t)
	c := New(a)
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if _, err := peer.Read(buf); err != nil {
				return
			}
		}
	})
	start := protocol.Now()
	limit := Limit{Until: start + int64(400*time.Millisecond), Stall: int64(patience)}
	n, err := c.Write(make([]byte, 256<<20), limit)
	if took := time.Duration(protocol.Now() - start); !errors.Is(err, ErrTimeout) || took < 400*time.Millisecond || n == 0 {
		t.Errorf("%d in %v, %v", n, took, err)
	}
	close(stop)
	reader.Wait()
}

// TestInterruptWhileDataComes: an interruption loses no byte, however the two meet.
func TestInterruptWhileDataComes(t *testing.T) {
	threePaths(t, func(t *testing.T, c *Conn, peer net.Conn) {
		const rounds = 200
		var sender sync.WaitGroup
		sender.Go(func() {
			for i := range rounds {
				if _, err := peer.Write([]byte{byte(i)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		stop := make(chan struct{})
		nudge := make(chan struct{})
		var nudger sync.WaitGroup
		nudger.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-nudge:
					c.Interrupt()
					nudge <- struct{}{}
				}
			}
		})
		p := make([]byte, 1)
		for next := 0; next < rounds; {
			nudge <- struct{}{}
			n, err := c.Read(p, Within(patience))
			<-nudge // no interruption is under way any more
			c.Resume()
			switch {
			case n == 1 && err == nil && p[0] == byte(next):
				next++
			case n == 0 && errors.Is(err, ErrInterrupted):
				if n, err = c.Read(p, Within(patience)); n != 1 || err != nil || p[0] != byte(next) {
					t.Fatalf("after an interruption: %d %d %v, want %d", n, p[0], err, next)
				}
				next++
			default:
				t.Fatalf("%d %d %v, want %d", n, p[0], err, next)
			}
		}
		close(stop)
		nudger.Wait()
		sender.Wait()
	})
}

// TestTLSKeepsWhatTCPHas: below TLS there is a socket, to park and to look at, but not to splice.
func TestTLSKeepsWhatTCPHas(t *testing.T) {
	ours, theirs := tlsPair(t)
	c := New(ours)
	if !c.Parkable() || c.Direct() || !c.Peer().IsValid() || c.Gone() {
		t.Errorf("parkable %v, direct %v, peer %v, gone %v", c.Parkable(), c.Direct(), c.Peer(), c.Gone())
	}
	if _, err := c.Write(make([]byte, 3*genericChunk/2), Within(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(theirs, make([]byte, 3*genericChunk/2)); err != nil {
		t.Errorf("%d %v", n, err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer sees %v", err)
	}
	theirs.Close()
	for end := time.Now().Add(patience); !c.Gone(); {
		if time.Now().After(end) {
			t.Fatal("the peer left unnoticed")
		}
	}
}
