package http2

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

// rawBench sends requests over one connection as fast as their answers come, streams at a time, with so little cost of its
// own that what is measured is the server.
func rawBench(b *testing.B, addr string, streams int) {
	b.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	p := newPeer(b, nc)
	p.greetServer()
	p.out = appendWindowUpdate(p.out, 0, maxWindow-defaultWindow)
	p.flush()
	block := []byte{0x82, 0x86, 0x84, 0x01, 1, 'h'} // GET http / h
	id, open := uint32(1), 0
	b.ReportAllocs()
	before := processCPU(b)
	defer func() { b.ReportMetric(float64(processCPU(b)-before)/float64(b.N), "cpu-ns/op") }()
	for done := 0; done < b.N; {
		for ; open < streams; open++ {
			p.out = appendFrame(p.out, len(block), frameHeaders, flagEndHeaders|flagEndStream, id)
			p.out = append(p.out, block...)
			id += 2
		}
		p.flush()
		for first := true; first || p.buffered(); first = false {
			f, _ := p.next()
			if f.stream != 0 && f.has(flagEndStream) {
				open--
				done++
			}
		}
	}
}

func BenchmarkServer(b *testing.B) {
	_, addr := startServer(b, ServerConfig{}, quietHello())
	b.Run("13", func(b *testing.B) { rawBench(b, addr, 13) })
	b.Run("1", func(b *testing.B) { rawBench(b, addr, 1) })
}

func BenchmarkServerXNet(b *testing.B) {
	addr := xnetServer(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = w.Write([]byte("hello"))
	})
	b.Run("13", func(b *testing.B) { rawBench(b, addr, 13) })
	b.Run("1", func(b *testing.B) { rawBench(b, addr, 1) })
}

// processCPU is the time that this process has computed, on both sides of the sockets, in nanoseconds.
func processCPU(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// static is an answer without an allocation of its own.
type static struct {
	body protocol.Bytes
	pool *sync.Pool
}

func (s *static) Finish(*protocol.Request, *protocol.Response, error) { s.pool.Put(s) }

// quietHello answers "hello" from pooled memory, so that what is counted is the engine's.
func quietHello() protocol.HandlerFunc {
	text := []byte("hello")
	pool := new(sync.Pool)
	return func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		s, _ := pool.Get().(*static)
		if s == nil {
			s = &static{pool: pool}
		}
		s.body.SetBytes(text)
		resp := req.NewResponse()
		resp.Status, resp.ContentLength, resp.Body = 200, 5, &s.body
		resp.OnClose(s)
		return resp, nil
	}
}

// BenchmarkProxy is a request through server and client to another server.
func BenchmarkProxy(b *testing.B) {
	_, upstream := startServer(b, ServerConfig{}, quietHello())
	c := newClient(b, ClientConfig{Address: upstream})
	_, addr := startServer(b, ServerConfig{}, c.Serve)
	b.Run("13", func(b *testing.B) { rawBench(b, addr, 13) })
	b.Run("1", func(b *testing.B) { rawBench(b, addr, 1) })
}

// BenchmarkProxyXNet is the same with net/http and httputil.ReverseProxy in the middle.
func BenchmarkProxyXNet(b *testing.B) {
	_, upstream := startServer(b, ServerConfig{}, quietHello())
	target, err := url.Parse("http://" + upstream)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = xnetClient(b).Transport
	addr := xnetServer(b, proxy.ServeHTTP)
	b.Run("13", func(b *testing.B) { rawBench(b, addr, 13) })
	b.Run("1", func(b *testing.B) { rawBench(b, addr, 1) })
}
