package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pair(p testbed.Pair) config.Certificate { return config.Certificate{Cert: p.Cert, Key: p.Key} }

func load(t *testing.T, section config.ListenerTLS) *Store {
	t.Helper()
	s, err := Load(section, []string{"http/1.1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve answers each connection of a listener with a byte, over TLS of the store.
func serve(t *testing.T, s *Store) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				_, _ = c.Write([]byte("x"))
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); tasks.Wait() })
	return l.Addr().String()
}

// shown is the certificate that a client sees, and whether its session was resumed.
func shown(address string, client *tls.Config) (tls.ConnectionState, error) {
	c, err := tls.Dial("tcp", address, client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = c.Close() }()
	_, err = io.ReadFull(c, make([]byte, 1)) // a refused client's certificate shows here in TLS 1.3
	return c.ConnectionState(), err
}

func trusting(t *testing.T, ca *testbed.CA, name string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(ca.File())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: name}
}

func TestChosenByName(t *testing.T) {
	ca := testbed.NewCA(t)
	address := serve(t, load(t, config.ListenerTLS{Certificates: []config.Certificate{
		pair(ca.Server("first.test")), pair(ca.Server("*.shop.test", "shop.test")),
	}}))
	for _, name := range []string{"first.test", "shop.test", "www.shop.test"} {
		if _, err := shown(address, trusting(t, ca, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	anybody := trusting(t, ca, "unknown.test")
	anybody.InsecureSkipVerify = true
	if st, err := shown(address, anybody); err != nil || st.PeerCertificates[0].VerifyHostname("first.test") != nil {
		t.Errorf("an unknown name is not shown the first certificate: %v", err)
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	ca := testbed.NewCA(t)
	address := serve(t, load(t, config.ListenerTLS{MinVersion: "1.3", Certificates: []config.Certificate{pair(ca.Server("a.test"))}}))
	old := trusting(t, ca, "a.test")
	old.MaxVersion = tls.VersionTLS12
	if _, err := shown(address, old); err == nil {
		t.Error("TLS 1.2 was taken")
	}
	client := trusting(t, ca, "a.test")
	client.NextProtos = []string{"h3", "http/1.1"}
	if st, err := shown(address, client); err != nil || st.NegotiatedProtocol != "http/1.1" || st.Version != tls.VersionTLS13 {
		t.Errorf("%+v, %v", st.NegotiatedProtocol, err)
	}
}

func TestSessionsAreResumed(t *testing.T) {
	ca := testbed.NewCA(t)
	address := serve(t, load(t, config.ListenerTLS{Certificates: []config.Certificate{pair(ca.Server("a.test"))}}))
	client := trusting(t, ca, "a.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for n := range 2 {
		st, err := shown(address, client)
		if err != nil || st.DidResume != (n == 1) {
			t.Errorf("connection %d: resumed %v, %v", n, st.DidResume, err)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, other := testbed.NewCA(t), testbed.NewCA(t)
	for _, c := range []struct {
		auth          string
		without, with bool // whether a client may come
	}{
		{"", true, true}, {"optional", true, true}, {"required", false, true},
	} {
		section := config.ListenerTLS{ClientAuth: c.auth, Certificates: []config.Certificate{pair(ca.Server("a.test"))}}
		if c.auth != "" {
			section.ClientCA = ca.File()
		}
		address := serve(t, load(t, section))
		client := trusting(t, ca, "a.test")
		if _, err := shown(address, client); (err == nil) != c.without {
			t.Errorf("%q without a certificate: %v", c.auth, err)
		}
		for signer, welcome := range map[*testbed.CA]bool{ca: c.with, other: c.auth == ""} {
			p := signer.Client("somebody")
			cert, err := tls.LoadX509KeyPair(p.Cert, p.Key)
			if err != nil {
				t.Fatal(err)
			}
			// Shown whether or not the server names its signer.
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
			if _, err := shown(address, client); (err == nil) != welcome {
				t.Errorf("%q with a certificate, ours %v: %v", c.auth, signer == ca, err)
			}
		}
	}
}

// TestRenewal: new files are served to new connections; broken ones change nothing.
func TestRenewal(t *testing.T) {
	ca := testbed.NewCA(t)
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	install := func(p testbed.Pair) {
		t.Helper()
		for from, to := range map[string]string{p.Cert: cert, p.Key: key} {
			b, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.WriteFile(to+".new", b, 0o600), os.Rename(to+".new", to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	install(ca.Server("old.test"))
	s := load(t, config.ListenerTLS{Certificates: []config.Certificate{{Cert: cert, Key: key}}})
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { s.Run(ctx) })
	defer tasks.Wait()
	defer cancel()
	address := serve(t, s)
	if _, err := shown(address, trusting(t, ca, "old.test")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cert, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := shown(address, trusting(t, ca, "old.test")); err != nil {
			t.Fatal(err)
		}
	}
	install(ca.Server("new.test"))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := shown(address, trusting(t, ca, "new.test"))
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if s.Expiry().Before(time.Now()) {
		t.Errorf("expiry %v", s.Expiry())
	}
}

func TestMistakesNameTheFile(t *testing.T) {
	ca := testbed.NewCA(t)
	good := pair(ca.Server("a.test"))
	for want, section := range map[string]config.ListenerTLS{
		"certificates: is missing":                         {},
		"certificates[1]: open /nowhere":                   {Certificates: []config.Certificate{good, {Cert: "/nowhere", Key: good.Key}}},
		"certificates[0]: tls: private key does not match": {Certificates: []config.Certificate{{Cert: good.Cert, Key: ca.Server("b.test").Key}}},
		"clientCA: open /nowhere":                          {Certificates: []config.Certificate{good}, ClientCA: "/nowhere", ClientAuth: "required"},
		"clientCA: " + good.Key + " holds no certificate":  {Certificates: []config.Certificate{good}, ClientCA: good.Key, ClientAuth: "required"},
	} {
		if _, err := Load(section, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
