package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned writes a certificate for name that signs itself, and its key.
func selfSigned(t *testing.T, folder, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	bits, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: bits}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestTLS shakes hands with a server that asks for the client's certificate, before and after it was renewed.
func TestTLS(t *testing.T) {
	folder := t.TempDir()
	cert, key := selfSigned(t, folder, "server.test")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string)
	go func() {
		defer close(seen)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
				seen <- c.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
			}
			_ = c.Close()
		}
	}()
	defer func() {
		_ = l.Close()
		for range seen { // until the server has ended
		}
	}()
	clientCert, clientKey := selfSigned(t, folder, "client.test")
	section := &TLS{CA: "server.test.pem", ServerName: "server.test", Cert: "client.test.pem", Key: clientKey}
	section.Resolve(folder)
	if section.Cert != clientCert {
		t.Fatalf("%+v", section)
	}
	config, err := section.Config()
	if err != nil {
		t.Fatal(err)
	}
	dial := func(config *tls.Config) error {
		c, err := tls.Dial("tcp", l.Addr().String(), config)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	}
	if err := dial(config); err != nil {
		t.Fatal(err)
	}
	if name := <-seen; name != "client.test" {
		t.Errorf("the server saw %q", name)
	}
	renewedCert, renewedKey := selfSigned(t, folder, "renewed.test")
	for from, to := range map[string]string{renewedCert: clientCert, renewedKey: clientKey} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := dial(config); err != nil {
		t.Fatal(err)
	}
	if name := <-seen; name != "renewed.test" {
		t.Errorf("after the renewal the server saw %q", name)
	}
	section.ServerName = "other.test"
	if config, err = section.Config(); err != nil {
		t.Fatal(err)
	}
	if err := dial(config); err == nil || !strings.Contains(err.Error(), "other.test") {
		t.Errorf("another name: %v", err)
	}
	section.InsecureSkipVerify = true
	if config, err = section.Config(); err != nil {
		t.Fatal(err)
	}
	if err := dial(config); err != nil {
		t.Errorf("believing anything: %v", err)
	}
	<-seen
}

func TestTLSMistakes(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, section := range map[string]*TLS{
		"ca: open ":                       {CA: filepath.Join(folder, "none.pem")},
		"holds no certificate":            {CA: empty},
		"cert: tls: failed to find any P": {Cert: empty, Key: empty},
	} {
		if _, err := section.Config(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", section, err, want)
		}
	}
	if err := (&TLS{Cert: "a"}).Validate(); err == nil {
		t.Error("a certificate without a key")
	}
	var none *TLS
	none.Resolve(folder)
	if config, err := none.Config(); err != nil || config.MinVersion != tls.VersionTLS12 || none.Validate() != nil {
		t.Errorf("no section: %+v, %v", config, err)
	}
}
