package health

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// section is a document's, with its defaults.
func section(kind string, change func(*config.HealthCheck)) config.HealthCheck {
	var h config.HealthCheck
	h.SetDefaults()
	h.Kind = kind
	if change != nil {
		change(&h)
	}
	return h
}

// ask makes one check, with the timeout of the section.
func ask(t *testing.T, r *Rule, s Subject) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), r.check.Timeout)
	defer cancel()
	began := time.Now()
	err := r.prober.probe(ctx, &s)
	if took := time.Since(began); took > r.check.Timeout+2*time.Second {
		t.Errorf("took %v", took)
	}
	return err
}

// want checks an error's text; "" is none.
func want(t *testing.T, name string, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("%s: got %v, want %q", name, err, text)
	}
}

// peer is a server that does what it likes with each connection. It counts what it could send.
type peer struct {
	address string
	mu      sync.Mutex
	sent    int64
}

func startPeer(t *testing.T, serve func(c net.Conn, p *peer)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{address: l.Addr().String()}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				serve(c, p)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); tasks.Wait() })
	return p
}

// flood sends a text again and again, until a gigabyte or the client's end.
func (p *peer) flood(c net.Conn, text string) {
	chunk := bytes.Repeat([]byte(text), 1+64<<10/len(text))
	for sent := int64(0); sent < 1<<30; {
		n, err := c.Write(chunk)
		sent += int64(n)
		p.mu.Lock()
		p.sent += int64(n)
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *peer) total() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// silent takes connections and what is sent on them, and never answers.
func silent(t *testing.T) *peer {
	return startPeer(t, func(c net.Conn, _ *peer) { _, _ = io.Copy(io.Discard, c) })
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
