package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// ReverseProxyCommand is the first argument with which this program is nothing but a reverse proxy.
const ReverseProxyCommand = "reverse-proxy"

// ReverseProxy is Go's own, the reference point of gateways written in Go: this program, started once more.
func ReverseProxy() Kind {
	return Kind{
		Name: "reverseproxy",
		Find: func(context.Context, string) (string, error) { return os.Executable() },
		Write: func(dir string, _ int, backend string) error {
			return os.WriteFile(filepath.Join(dir, "backend"), []byte(backend), 0o644)
		},
		Command: func(program, dir string, port int) *exec.Cmd {
			return exec.Command(program, ReverseProxyCommand, fmt.Sprintf("127.0.0.1:%d", port), filepath.Join(dir, "backend"))
		},
		Version: func(context.Context, string) string {
			return "net/http and httputil.ReverseProxy of " + runtime.Version()
		},
	}
}

// ServeReverseProxy serves at an address in front of the backend that a file names, until it fails.
func ServeReverseProxy(ctx context.Context, address, file string) error {
	backend, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: string(backend)})
	proxy.BufferPool = &buffers{}
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}
	return server.Serve(l)
}

// buffers keeps the buffers that bodies are copied through.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
