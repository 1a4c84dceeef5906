package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// insecure is for tests that never finish a handshake.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// startHTTPS starts net/http behind TLS and returns its address and the pool that trusts it (its name is example.com).
func startHTTPS(t testing.TB, h http.HandlerFunc) (string, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return strings.TrimPrefix(s.URL, "https://"), roots
}

func TestClientOverTLS(t *testing.T) {
	var resumed, full int
	addr, roots := startHTTPS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			resumed++
		} else {
			full++
		}
		echo(w, r)
	})
	c := startClient(t, ClientConfig{Address: addr, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}, IdleTimeout: time.Hour})
	for _, size := range []int{0, 10, 5000, 100_000, 2 << 20} {
		data := strings.Repeat("x", size)
		mustOK(t, exchange(context.Background(), c, withBody(newRequest("POST", "/"), protocol.NewBytes([]byte(data)), int64(size))), data)
		body := newPipedBody()
		go func() { body.feed(data); body.end() }()
		mustOK(t, exchange(context.Background(), c, withBody(newRequest("POST", "/"), body, protocol.UnknownLength)), data)
	}
	c.Sweep(protocol.Now())
	if s := c.Stats(); s.Dialled != 1 || s.Idle != 1 {
		t.Errorf("stats are %+v, want one connection", s)
	}
	c.Sweep(protocol.Now() + int64(2*time.Hour))
	mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "")
	if resumed != 1 || full != 10 {
		t.Errorf("the session was not resumed: %d exchanges on a resumed connection, %d on a full one", resumed, full)
	}
}

func TestClientVerifiesTheServer(t *testing.T) {
	addr, roots := startHTTPS(t, echo)
	for name, cfg := range map[string]*tls.Config{
		"unknown authority": {ServerName: "example.com"},
		"other name":        {RootCAs: roots, ServerName: "other.test"},
	} {
		c := startClient(t, ClientConfig{Address: addr, TLS: cfg})
		e := mustFail(t, exchange(context.Background(), c, newRequest("GET", "/")).err, 502, protocol.CodeUpstreamConnect)
		if !e.NotSent || !strings.Contains(e.Error(), "certificate") {
			t.Errorf("%s: got %v", name, e)
		}
	}
	// The host of Address is the name unless the configuration says otherwise.
	c := startClient(t, ClientConfig{Address: addr, TLS: &tls.Config{RootCAs: roots}})
	mustOK(t, exchange(context.Background(), c, newRequest("GET", "/")), "")
}

// What an instance sends after its answer must not become the next answer, though the TLS layer may hold it decrypted
// while the socket looks quiet.
func TestClientOverTLSDropsUnaskedBytes(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	u := startUpstream(t, func(p *rawPeer) {
		s := tls.Server(p.Conn, &tls.Config{Certificates: cert.TLS.Certificates})
		defer s.Close()
		q := &rawPeer{t: t, Conn: s, index: p.index}
		q.r = bufio.NewReader(s)
		for q.readHead() != "" {
			// Two records, which usually arrive in one segment.
			q.send(okAnswer)
			if q.index == 1 {
				q.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			}
		}
	})
	c := startClient(t, ClientConfig{Address: u.addr(), TLS: insecure()})
	for range 3 {
		mustOK(t, exchange(context.Background(), c, newRequest("POST", "/")), "ok")
		time.Sleep(5 * time.Millisecond)
	}
	if s := c.Stats(); s.Dialled != 2 {
		t.Errorf("stats are %+v", s)
	}
}
