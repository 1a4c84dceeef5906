package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// backend is one instance of an HTTP service, which answers with its name.
type backend struct {
	name string
	host string
	port int
}

// serve starts an instance whose answer to everything is its name.
func serve(t testing.TB, name string) *backend {
	t.Helper()
	return serveBy(t, name, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
}

func serveBy(t testing.TB, name string, h http.Handler) *backend {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return &backend{name, host, n}
}

func (b *backend) address() string { return net.JoinHostPort(b.host, strconv.Itoa(b.port)) }

// in is the instance as Nacos stores it.
func (b *backend) in(namespace, group, service string) testbed.Instance {
	return testbed.Instance{
		Namespace: namespace, Group: group, Service: service, IP: b.host, Port: b.port,
		Metadata: map[string]string{"preserved.register.source": "SPRING_CLOUD", "who": b.name},
	}
}
