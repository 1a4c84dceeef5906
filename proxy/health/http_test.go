package health

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
)

func TestHTTPAsks(t *testing.T) {
	var seen string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = fmt.Sprintf("%s %s %s agent=%s close=%v", r.Method, r.Host, r.RequestURI, r.UserAgent(), r.Close)
		if status := r.URL.Query().Get("status"); status != "" {
			n, _ := strconv.Atoi(status)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(n)
		}
	}))
	defer s.Close()
	address := s.Listener.Addr().String()
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	for _, test := range []struct {
		name   string
		change func(*config.HealthCheck)
		at     string
		seen   string
		err    string
	}{
		{"defaults", nil, address, "GET " + address + " / agent=Sluice-Health-Check close=true", ""},
		{"everything", func(h *config.HealthCheck) {
			h.Method, h.Path, h.Host = "HEAD", "/a%2Fb/actuator/health?deep=1&x=%20", "orders.example:81"
		}, address, "HEAD orders.example:81 /a%2Fb/actuator/health?deep=1&x=%20 agent=Sluice-Health-Check close=true", ""},
		{"other port", func(h *config.HealthCheck) { h.Port = number }, net.JoinHostPort(host, "1"), "GET " + address + " / ", ""},
		{"another 2xx", func(h *config.HealthCheck) { h.Path = "/?status=204" }, address, "", ""},
		{"a redirect is an answer", func(h *config.HealthCheck) { h.Path = "/?status=302" }, address, "GET " + address + " /?status=302", "answered 302"},
		{"that may be welcome", func(h *config.HealthCheck) { h.Path, h.Statuses = "/?status=302", []string{"2xx", "3xx"} }, address, "", ""},
		{"one status", func(h *config.HealthCheck) { h.Path, h.Statuses = "/?status=401", []string{"401"} }, address, "", ""},
		{"not that one", func(h *config.HealthCheck) { h.Path, h.Statuses = "/?status=204", []string{"200"} }, address, "", "answered 204"},
	} {
		r := NewRule(section("http", test.change), nil, nil)
		want(t, test.name, ask(t, r, Subject{Address: test.at}), test.err)
		if !strings.HasPrefix(seen, test.seen) {
			t.Errorf("%s: seen %s, want %s", test.name, seen, test.seen)
		}
	}
}

func TestHTTPShowsWhatIsWrong(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"status":"DOWN","components":{"db":{"status":"DOWN"}}}`+strings.Repeat("x", 1000))
	}))
	defer s.Close()
	err := ask(t, NewRule(section("http", nil), nil, nil), Subject{Address: s.Listener.Addr().String()})
	want(t, "a sick one", err, `answered 503: {"status":"DOWN","components":{"db":{"status":"DOWN"}}}xxx`)
	if err != nil && len(err.Error()) > 250 {
		t.Errorf("%d bytes are shown", len(err.Error()))
	}
}

// secure is an HTTPS server, and what it takes to trust it.
func secure(t *testing.T) (address string, trusting *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.ProtoMajor != 1 {
			w.WriteHeader(500)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), &tls.Config{RootCAs: poolOf(s.Certificate()), MinVersion: tls.VersionTLS12}
}

func TestTLS(t *testing.T) {
	address, trusting := secure(t)
	wrongName := trusting.Clone()
	wrongName.ServerName = "other.example.org"
	for _, kind := range []string{"http", "tcp"} {
		for _, test := range []struct {
			name   string
			tls    *tls.Config
			secure bool
			err    string
		}{
			{"trusted", trusting, false, ""},
			{"trusted, and secure by its own account", trusting, true, ""},
			{"another name", wrongName, false, "TLS handshake: tls: failed to verify certificate"},
			{"secure by its own account", nil, true, "TLS handshake: tls: failed to verify certificate"},
		} {
			r := NewRule(section(kind, nil), nil, test.tls)
			want(t, kind+" "+test.name, ask(t, r, Subject{Address: address, Secure: test.secure}), test.err)
		}
	}
	want(t, "clear text", ask(t, NewRule(section("http", nil), nil, nil), Subject{Address: address}), "answered 400")
	clear := httptest.NewServer(http.NotFoundHandler())
	defer clear.Close()
	want(t, "TLS to clear text", ask(t, NewRule(section("tcp", nil), nil, trusting), Subject{Address: clear.Listener.Addr().String()}), "TLS handshake")
}

// TestHostileHTTP: whatever a server does, a check is over in its timeout and has read little.
func TestHostileHTTP(t *testing.T) {
	const brief = 300 * time.Millisecond
	read := func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }
	for _, test := range []struct {
		name  string
		serve func(c net.Conn, p *peer)
		err   string
	}{
		{"never answers", func(c net.Conn, _ *peer) { _, _ = io.Copy(io.Discard, c) }, "deadline exceeded"},
		{"half a head", func(c net.Conn, _ *peer) {
			read(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-A: ")
			_, _ = io.Copy(io.Discard, c)
		}, "deadline exceeded"},
		{"a head without end", func(c net.Conn, p *peer) {
			read(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			p.flood(c, "X-A: b\r\n")
		}, "headers exceeded"},
		{"one field without end", func(c net.Conn, p *peer) { read(c); p.flood(c, "HTTP/1.1 200 OK ") }, "headers exceeded"},
		{"interim answers without end", func(c net.Conn, p *peer) { read(c); p.flood(c, "HTTP/1.1 102 Processing\r\n\r\n") }, "headers exceeded"},
		{"a body without end", func(c net.Conn, p *peer) {
			read(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
			p.flood(c, "all is well ")
		}, ""},
		{"an unwelcome body without end", func(c net.Conn, p *peer) {
			read(c)
			_, _ = io.WriteString(c, "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n")
			p.flood(c, "5\r\nwoe! \r\n")
		}, "answered 500: woe! "},
		{"an unwelcome body that never comes", func(c net.Conn, _ *peer) {
			read(c)
			_, _ = io.WriteString(c, "HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}, "answered 500"},
		{"hangs up", func(net.Conn, *peer) {}, ""},
		{"something else", func(c net.Conn, p *peer) { read(c); p.flood(c, "\x00\xff\xda\xbb\n") }, "malformed HTTP"},
	} {
		p := startPeer(t, test.serve)
		err := ask(t, NewRule(section("http", func(h *config.HealthCheck) { h.Timeout = brief }), nil, nil), Subject{Address: p.address})
		if test.name == "hangs up" {
			if err == nil {
				t.Error("hanging up is no answer")
			}
			continue
		}
		want(t, test.name, err, test.err)
		// Most of it is what the kernel's buffers hold.
		if n := p.total(); n > 16<<20 {
			t.Errorf("%s: %d MB were taken", test.name, n>>20)
		}
	}
	want(t, "nobody", ask(t, NewRule(section("http", nil), nil, nil), Subject{Address: refusing(t)}), "connection refused")
}

func TestTCP(t *testing.T) {
	r := NewRule(section("tcp", func(h *config.HealthCheck) { h.Timeout = 300 * time.Millisecond }), nil, nil)
	p := silent(t)
	want(t, "a listener", ask(t, r, Subject{Address: p.address}), "")
	want(t, "nobody", ask(t, r, Subject{Address: refusing(t)}), "connection refused")
	r = NewRule(section("tcp", func(h *config.HealthCheck) { h.Timeout = 300 * time.Millisecond }), nil, &tls.Config{MinVersion: tls.VersionTLS12})
	want(t, "a TLS server that says nothing", ask(t, r, Subject{Address: p.address}), "deadline exceeded")
	want(t, "an address that is none", ask(t, r, Subject{Address: "nowhere"}), "missing port")
}

func poolOf(c *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return pool
}

// BenchmarkHTTP is one check with its connection.
func BenchmarkHTTP(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	r := NewRule(section("http", nil), nil, nil)
	at := Subject{Address: s.Listener.Addr().String()}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.prober.probe(b.Context(), &at); err != nil {
			b.Fatal(err)
		}
	}
}
