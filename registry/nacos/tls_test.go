package nacos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // of its certificate
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key, a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	a.file = filepath.Join(a.dir, "ca.pem")
	a.write(a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) sign(c *x509.Certificate, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	signer := a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, made
}

func (a *authority) write(path, kind string, der []byte) {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// leaf makes the files of a certificate for server.test, for servers and clients alike.
func (a *authority) leaf(name string) (cert, key string) {
	k, c := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"server.test"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert)
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(cert, "CERTIFICATE", c.Raw)
	a.write(key, "PRIVATE KEY", der)
	return cert, key
}

// serverTLS is for a forwarder; with clients it asks for certificates of the authority.
func (a *authority) serverTLS(clients bool) *tls.Config {
	cert, key := a.leaf("front")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if clients {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(a.cert)
	}
	return c
}

// TestTLS is about a front that ends TLS before a real server.
func TestTLS(t *testing.T) {
	ca, other := newAuthority(t, "ours"), newAuthority(t, "theirs")
	_, _, behind := front(t, shared(t).Addr(), ca.serverTLS(false))
	_, _, mutual := front(t, shared(t).Addr(), ca.serverTLS(true))
	_, _, plain := front(t, shared(t).Addr(), nil)
	cert, key := ca.leaf("client")
	type change = func(*Config, *registry.Options)
	with := func(section *registry.TLS) change {
		return func(c *Config, _ *registry.Options) { c.TLS = section }
	}
	good := registry.TLS{CA: ca.file, ServerName: "server.test"}
	name := uniq(t, "svc")
	for what, changes := range map[string][]change{
		"name and authority": {behind, with(&good)},
		"client certificate": {mutual, with(&registry.TLS{CA: ca.file, ServerName: "server.test", Cert: cert, Key: key})},
		"anything":           {behind, with(&registry.TLS{InsecureSkipVerify: true})},
		"anything, by https": {behind, with(&registry.TLS{InsecureSkipVerify: true}), func(c *Config, _ *registry.Options) { c.Addresses[0] = "https://" + c.Addresses[0] }},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, "", changes...)
			r.Watch(registry.App(name)).Until("an answer", registrytest.Has())
			r.NoErrors()
		})
	}
	for want, changes := range map[string][]change{
		"tls.ca must hold the authority":       {behind, with(&registry.TLS{CA: other.file, ServerName: "server.test"})},
		"tls.serverName must be a name":        {behind, with(&registry.TLS{CA: ca.file})},
		"tls.cert and tls.key may be missing":  {mutual, with(&good)},
		"no TLS is spoken there":               {plain, with(&good)},
		"needs a section tls":                  {behind},
		"ca: open " + ca.file + ".not":         {behind, with(&registry.TLS{CA: ca.file + ".not"})},
		"https://127.0.0.1":                    {behind, with(&registry.TLS{CA: other.file}), login},
		"write http:// before the address":     {plain, with(&good), login},
		"tls.ca must hold the authority that ": {behind, with(&registry.TLS{CA: other.file, ServerName: "server.test"}), login},
	} {
		t.Run(want, func(t *testing.T) {
			r := newRig(t, "", changes...)
			p := r.Watch(registry.App(name))
			registrytest.Within(t, "the error", func() bool { return r.SawError(want) })
			if s := r.State(); s != registry.Connecting || len(p.All()) > 0 {
				t.Errorf("state %v, %d pushes", s, len(p.All()))
			}
		})
	}

	t.Run("a front that is lost and found", func(t *testing.T) {
		_, rpc, behind := front(t, shared(t).Addr(), ca.serverTLS(false))
		r := newRig(t, "", behind, with(&good))
		p := r.Watch(registry.App(name))
		p.Until("an answer", registrytest.Has())
		n := len(p.All())
		rpc.cut()
		registrytest.Within(t, "another", func() bool { return len(p.All()) > n })
	})
}

func login(c *Config, _ *registry.Options) { c.Username, c.Password = "u", "p" }

// TestLoginByTLS: the password goes through TLS, to a door that nobody else may stand behind.
func TestLoginByTLS(t *testing.T) {
	ca := newAuthority(t, "ours")
	f, d := startFake(t), newDoor(t)
	f.with(func() { f.token = "t1" })
	web := forward(t, d.web.Listener.Addr().String(), ca.serverTLS(false))
	rpc := forward(t, f.address, ca.serverTLS(false))
	r := f.rig(d.behind(f), func(c *Config, _ *registry.Options) {
		c.Addresses = []string{web.listener.Addr().(*net.TCPAddr).String()}
		c.GRPCPortOffset = rpc.port() - web.port()
		c.TLS = &registry.TLS{CA: ca.file, ServerName: "server.test"}
	})
	r.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	r.NoErrors()

	// gRPC by TLS, the login without, by the address's own word.
	q := f.rig(d.behind(f), func(c *Config, _ *registry.Options) {
		c.Addresses[0] = "http://" + c.Addresses[0]
		c.GRPCPortOffset = rpc.port() - d.web.Listener.Addr().(*net.TCPAddr).Port
		c.TLS = &registry.TLS{CA: ca.file, ServerName: "server.test"}
	})
	q.Watch(registry.App("a")).Until("an answer", registrytest.Has())
	q.NoErrors()
}
