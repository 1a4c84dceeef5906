package nacos

import (
	"crypto/tls"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// forwarder stands in front of one port of a server, with TLS if it is given a certificate.
type forwarder struct {
	listener net.Listener
	target   string
	latency  atomic.Int64 // of what comes from the server, in nanoseconds

	mu      sync.Mutex
	refuses bool
	open    map[net.Conn]struct{}
	tasks   sync.WaitGroup
}

func forward(t testing.TB, target string, secure *tls.Config) *forwarder {
	t.Helper()
	return forwardAt(t, "127.0.0.1:0", target, secure)
}

func forwardAt(t testing.TB, at, target string, secure *tls.Config) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	f := &forwarder{listener: l, target: target, open: map[net.Conn]struct{}{}}
	f.tasks.Go(f.accept)
	t.Cleanup(func() {
		_ = l.Close()
		f.refuse(true)
		f.tasks.Wait()
	})
	return f
}

func (f *forwarder) port() int { return f.listener.Addr().(*net.TCPAddr).Port }

func (f *forwarder) accept() {
	for {
		nc, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.tasks.Go(func() { f.carry(nc) })
	}
}

func (f *forwarder) carry(in net.Conn) {
	defer in.Close()
	dialer := net.Dialer{Resolver: &net.Resolver{}} // not the default one, which a test replaces
	out, err := dialer.Dial("tcp", f.target)
	if err != nil {
		return
	}
	defer out.Close()
	f.mu.Lock()
	if f.refuses {
		f.mu.Unlock()
		return
	}
	f.open[in] = struct{}{}
	f.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(in, late{out, &f.latency})
		_ = in.Close()
	})
	_, _ = io.Copy(out, in)
	_ = out.Close()
	back.Wait()
	f.mu.Lock()
	delete(f.open, in)
	f.mu.Unlock()
}

// late hands on what it reads later; what waits together is late together.
type late struct {
	io.Reader
	by *atomic.Int64
}

func (l late) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	time.Sleep(time.Duration(l.by.Load()))
	return n, err
}

// cut breaks every connection.
func (f *forwarder) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for nc := range f.open {
		_ = nc.Close()
	}
}

// refuse breaks every connection, and those to come.
func (f *forwarder) refuse(on bool) {
	f.mu.Lock()
	f.refuses = on
	f.mu.Unlock()
	if on {
		f.cut()
	}
}

// front puts forwarders before both ports of a server.
func front(t testing.TB, server string, secure *tls.Config) (web, rpc *forwarder, change func(*Config, *registry.Options)) {
	t.Helper()
	http, grpc, err := Default().endpoints(server)
	if err != nil {
		t.Fatal(err)
	}
	web, rpc = forward(t, http, secure), forward(t, grpc, secure)
	return web, rpc, func(c *Config, _ *registry.Options) {
		c.Addresses = []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(web.port()))}
		c.GRPCPortOffset = rpc.port() - web.port()
	}
}
