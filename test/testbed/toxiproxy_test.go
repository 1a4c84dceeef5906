package testbed

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestToxiproxy breaks a connection to an echo server in each way there is.
func TestToxiproxy(t *testing.T) {
	toxi := StartToxiproxy(t)
	p := toxi.Proxy("echo", echo(t))

	c := dialProxy(t, p)
	if took, err := c.roundTrip(5 * time.Second); err != nil || took > time.Second {
		t.Fatalf("nothing wrong: %v in %v", err, took)
	}
	p.Latency(300 * time.Millisecond)
	if took, err := c.roundTrip(5 * time.Second); err != nil || took < 300*time.Millisecond {
		t.Errorf("latency: %v in %v", err, took)
	}
	p.Heal()
	if took, err := c.roundTrip(5 * time.Second); err != nil || took > 250*time.Millisecond {
		t.Errorf("healed: %v in %v", err, took)
	}

	p.Vanish()
	if _, err := c.roundTrip(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("vanish: %v", err)
	}
	if _, err := dialProxy(t, p).roundTrip(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("vanish, a new connection: %v", err)
	}
	p.Heal()

	c = dialProxy(t, p)
	if _, err := c.roundTrip(5 * time.Second); err != nil {
		t.Errorf("healed: %v", err)
	}
	p.Down()
	if _, err := c.roundTrip(5 * time.Second); err == nil {
		t.Error("down: it still answers")
	}
	if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("down, a new connection: %v", err)
	}
	p.Up()

	p.Reset()
	if _, err := dialProxy(t, p).roundTrip(5 * time.Second); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("reset: %v", err)
	}
	p.Heal()

	p.Bandwidth(1)
	c = dialProxy(t, p)
	if took, err := c.send(2000, 10*time.Second); err != nil || took < time.Second {
		t.Errorf("bandwidth of 1 KB/s: %v in %v", err, took)
	}
}

// echo answers each line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the proxy's connection
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

type echoClient struct {
	net.Conn
	in *bufio.Reader
}

func dialProxy(t *testing.T, p *Proxy) *echoClient {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &echoClient{conn, bufio.NewReader(conn)}
}

func (c *echoClient) roundTrip(limit time.Duration) (time.Duration, error) { return c.send(1, limit) }

func (c *echoClient) send(size int, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	_ = c.SetDeadline(start.Add(limit))
	text := make([]byte, size+1)
	text[size] = '\n'
	if _, err := c.Write(text); err != nil {
		return 0, err
	}
	_, err := c.in.ReadBytes('\n')
	return time.Since(start), err
}
