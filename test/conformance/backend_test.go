package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// backend is one instance of an HTTP service. It answers with its name, and knows when it was asked.
type backend struct {
	name   string
	host   string
	port   int
	server *http.Server
	done   chan struct{}

	first, last atomic.Int64 // nanoseconds of the clock; 0 is never
	requests    atomic.Int64
}

// serve starts a backend at a port, or at any if that is 0.
func serve(t testing.TB, name string, port int) (*backend, error) {
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	b := &backend{name: name, done: make(chan struct{})}
	b.host, b.port = hostPort(l.Addr().String())
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(b.done)
		_ = b.server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = b.server.Close()
		<-b.done
	})
	return b, nil
}

func (b *backend) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	now := time.Now().UnixNano()
	b.first.CompareAndSwap(0, now)
	b.last.Store(now)
	b.requests.Add(1)
	_, _ = io.WriteString(w, b.name)
}

// close ends it as a service should: running requests end, then connections that idle are closed.
func (b *backend) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = b.server.Shutdown(ctx)
	_ = b.server.Close()
	<-b.done
}

func (b *backend) firstAsked() (time.Time, bool) {
	at := b.first.Load()
	return time.Unix(0, at), at != 0
}

func (b *backend) lastAsked() (time.Time, bool) {
	at := b.last.Load()
	return time.Unix(0, at), at != 0
}
