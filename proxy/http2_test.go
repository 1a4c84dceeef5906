package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// h2cServer is an instance that speaks HTTP/2 by prior knowledge, and HTTP/1.1.
func h2cServer(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// overH2C is a client that speaks HTTP/2 by prior knowledge over one connection.
func overH2C(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func told(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = fmt.Fprintf(w, "%s %s %s %s %s", name, r.Proto, r.Method, r.URL, body)
		w.Header().Set("X-Sum", fmt.Sprint(len(body)))
	}
}

// TestEveryMixOfProtocols: clients of HTTP/1.1 and HTTP/2, in clear text and by TLS, reach instances of both.
func TestEveryMixOfProtocols(t *testing.T) {
	ca := testbed.NewCA(t)
	pair := ca.Server("gateway.test")
	one := httptest.NewServer(told("one"))
	t.Cleanup(one.Close)
	doc, mistakes := read(t, fmt.Sprintf(`
listeners:
  - {name: web, address: "127.0.0.1:0"}
  - {name: secure, address: "localhost:0", tls: {certificates: [{cert: %q, key: %q}]}}
registries: [{name: r, type: static, services: {one: [%q], two: [{address: %q, protocol: h2c}]}}]
routes:
  - {name: one, match: {path: "/one/**"}, to: {service: one}}
  - {name: two, match: {path: "/two/**"}, to: {service: two}}
`, pair.Cert, pair.Key, one.Listener.Addr(), h2cServer(t, told("two"))))
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	g := start(t, "registries: []\nroutes: [{name: a, match: {path: /a}, filters: [fixedResponse]}]\n")
	if err := g.Reload(doc); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.File())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	secure := func(protocols ...string) *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "gateway.test", NextProtos: protocols}, ForceAttemptHTTP2: len(protocols) == 0}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	for _, c := range []struct {
		name   string
		client *http.Client
		url    string
		proto  string
	}{
		{"http/1.1", http.DefaultClient, "http://" + g.Address("web").String(), "HTTP/1.1"},
		{"h2c", overH2C(t), "http://" + g.Address("web").String(), "HTTP/2.0"},
		{"h2", secure(), "https://" + g.Address("secure").String(), "HTTP/2.0"},
		{"http/1.1 by TLS", secure("http/1.1"), "https://" + g.Address("secure").String(), "HTTP/1.1"},
	} {
		for service, proto := range map[string]string{"one": "HTTP/1.1", "two": "HTTP/2.0"} {
			resp, err := c.client.Post(c.url+"/"+service+"/x?q=1", "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Errorf("%s to %s: %v", c.name, service, err)
				continue
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			want := fmt.Sprintf("%s %s POST /%s/x?q=1 hello", service, proto, service)
			trailer := "5"
			if c.proto == "HTTP/1.1" && service == "two" {
				trailer = "" // the answer has a length, and HTTP/1.1 has trailers only after chunks
			}
			if string(body) != want || err != nil || resp.Proto != c.proto || resp.Trailer.Get("X-Sum") != trailer {
				t.Errorf("%s to %s: %s %q, trailer %q, %v", c.name, service, resp.Proto, body, resp.Trailer.Get("X-Sum"), err)
			}
		}
	}
	st := g.Status()
	if st.Listeners[0].HTTP2.Open+st.Listeners[1].HTTP2.Open != 2 {
		t.Errorf("%+v", st.Listeners)
	}
}

// TestOneConnectionIsBalanced: each request of one client's connection gets an instance of its own.
func TestOneConnectionIsBalanced(t *testing.T) {
	var services []string
	for i := range 10 {
		services = append(services, fmt.Sprintf("{address: %q, protocol: h2c}", h2cServer(t, told(fmt.Sprint(i)))))
	}
	g := start(t, fmt.Sprintf(`registries: [{name: r, type: static, services: {s: [%s]}}]
routes: [{name: s, match: {path: "/**"}, to: {service: s}}]
services: [{match: {service: s}, balance: {policy: roundRobin}}]
`, strings.Join(services, ", ")))
	g.ready()
	client := overH2C(t)
	var mu sync.Mutex
	counts := map[string]int{}
	var tasks sync.WaitGroup
	const n = 1000
	for range 8 {
		tasks.Go(func() {
			for range n / 8 {
				resp, err := client.Get(g.base + "/x")
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				name, _, _ := strings.Cut(string(body), " ")
				mu.Lock()
				counts[name]++
				mu.Unlock()
			}
		})
	}
	tasks.Wait()
	for i := range 10 {
		if c := counts[fmt.Sprint(i)]; c < n/10*95/100 || c > n/10*105/100 {
			t.Errorf("instance %d has %d of %d requests", i, c, n)
		}
	}
	if open := g.Status().Listeners[0].HTTP2.Open; open != 1 {
		t.Errorf("the client has %d connections", open)
	}
}

// TestPrefaceInPieces: a client's first bytes may come one by one, and what is not HTTP/2 after all is HTTP/1.1.
func TestPrefaceInPieces(t *testing.T) {
	g := start(t, "registries: []\nroutes: [{name: a, match: {path: /a}, filters: [{fixedResponse: {body: A}}]}]\n")
	address := strings.TrimPrefix(g.base, "http://")
	for text, want := range map[string]string{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00": "\x00\x00",
		"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n":                                     "HTTP/1.1 505",
		"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":              "HTTP/1.1 200",
		"P /a HTTP/1.1\r\nHost: a\r\n\r\n":                                     "HTTP/1.1 200",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(text) {
			if _, err := c.Write([]byte{text[i]}); err != nil {
				break // it has heard enough
			}
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("%q is answered with %q, %v", text, got, err)
		}
		_ = c.Close()
	}
}
