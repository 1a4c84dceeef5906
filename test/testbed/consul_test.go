package testbed

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestConsul(t *testing.T) {
	c := StartConsul(t)
	if text, err := c.Get(t.Context(), "/v1/status/leader"); err != nil || !strings.Contains(text, "127.0.0.1") {
		t.Fatalf("%q, %v", text, err)
	}
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Get(t.Context(), "/v1/status/leader"); err == nil {
		t.Errorf("a frozen server answered %q", text)
	}
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}
	c.Kill()
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
}

func TestConsulKeepsData(t *testing.T) {
	c := StartConsul(t, WithData(), WithACL("00000000-0000-4000-8000-000000000001"))
	putConsul(t, c, "/v1/kv/a", "1")
	c.Kill()
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Get(t.Context(), "/v1/kv/a?raw"); err != nil || text != "1" {
		t.Errorf("%q, %v", text, err)
	}
	if err := c.Wipe(); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Get(t.Context(), "/v1/kv/a?raw"); err == nil {
		t.Errorf("a wiped server still has %q", text)
	}
}

func putConsul(t *testing.T, c *Consul, path, value string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, "http://"+c.Addr()+path, strings.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Consul-Token", c.Token())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %s", path, answer.Status)
	}
}

func TestConsulHTTPS(t *testing.T) {
	ca := NewCA(t)
	c := StartConsul(t, WithClientCertificates(ca))
	pem, err := os.ReadFile(ca.File())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := ca.Client("tester")
	pair, err := tls.LoadX509KeyPair(client.Cert, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, certs := range [][]tls.Certificate{{pair}, nil} {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: certs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true, IdleConnTimeout: time.Second,
		}
		answer, err := (&http.Client{Transport: transport}).Get("https://" + c.TLSAddr() + "/v1/status/leader")
		if err == nil {
			_ = answer.Body.Close()
		}
		transport.CloseIdleConnections()
		switch {
		case certs != nil && err != nil:
			t.Error(err)
		case certs != nil && answer.ProtoMajor != 2:
			t.Errorf("it speaks %s", answer.Proto)
		case certs == nil && err == nil:
			t.Error("a client without a certificate was served")
		}
	}
}

func TestConsulCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
	}
	c := StartConsulCluster(t)
	leader, err := c.Leader(t.Context(), c.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	leader.Kill()
	other := c.Nodes[0]
	if other == leader {
		other = c.Nodes[1]
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		next, err := c.Leader(t.Context(), other)
		if err == nil && next != leader {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no new leader: %v, %v", next, err)
		}
	}
}
