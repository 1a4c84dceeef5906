package http2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// certificate makes one for 127.0.0.1.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func clientTLS(pool *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: pool} }

// startTLS serves h over TLS.
func startTLS(t testing.TB, cert tls.Certificate, h protocol.HandlerFunc) (*Server, string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, ServerConfig{}, h), ln.Addr().String()
}

// TestTLS sends bodies of all sizes through TLS on both sides of the proxy.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	_, upstream := startTLS(t, cert, echoHandler)
	c := newClient(t, ClientConfig{Address: upstream, TLS: clientTLS(pool)})
	s, addr := startTLS(t, cert, func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if req.TLS == nil || req.Scheme != "https" {
			t.Errorf("scheme %q, TLS %v", req.Scheme, req.TLS)
		}
		return c.Serve(ctx, req)
	})
	tr := &http.Transport{TLSClientConfig: clientTLS(pool), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	h := &http.Client{Transport: tr}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			body := bytes.Repeat([]byte{byte('a' + i)}, []int{0, 1, 1000, 70000, 1 << 20, 3 << 20}[i%6])
			resp, err := h.Post(fmt.Sprintf("https://%s/%d", addr, i), "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d octets came back as %d: %v", len(body), len(got), err)
			}
		})
	}
	wg.Wait()
	eventually(t, "the connection is parked", func() bool { return s.Stats().Parked == 1 })
	resp, err := h.Get("https://" + addr + "/again")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// TestALPN refuses instances that do not choose HTTP/2.
func TestALPN(t *testing.T) {
	cert, pool := certificate(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if nc, err := ln.Accept(); err == nil {
			_ = nc.(*tls.Conn).HandshakeContext(context.Background())
			_, _ = io.Copy(io.Discard, nc)
			nc.Close()
		}
	}()
	c := newClient(t, ClientConfig{Address: ln.Addr().String(), TLS: clientTLS(pool)})
	_, err = c.Serve(t.Context(), newRequest("GET", "/", nil))
	if e := protocol.AsError(err); e.Code != protocol.CodeUpstreamConnect || !e.NotSent {
		t.Errorf("%v", err)
	}
}
