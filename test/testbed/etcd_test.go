package testbed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"
)

// TestEtcdLife walks a server through everything that a test may do to it.
func TestEtcdLife(t *testing.T) {
	ctx := t.Context()
	e := StartEtcd(t)
	if err := e.Put(ctx, "/kept", "value"); err != nil {
		t.Fatal(err)
	}
	holds := func(when string, want bool) {
		t.Helper()
		value, found, err := e.Get(ctx, "/kept")
		if err != nil || found != want || (found && value != "value") {
			t.Errorf("%s: %q, %v, %v", when, value, found, err)
		}
	}
	holds("at first", true)

	if err := e.Freeze(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	if _, _, err := e.Get(short, "/kept"); err == nil {
		t.Error("a frozen server answered")
	}
	cancel()
	if err := e.Thaw(); err != nil {
		t.Fatal(err)
	}
	holds("after a freeze", true)

	e.Kill()
	if _, _, err := e.Get(ctx, "/kept"); err == nil {
		t.Error("a killed server answered")
	}
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	holds("after kill and restart", true)
	if err := e.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	if err := e.Restart(); err != nil { // also from running
		t.Fatal(err)
	}
	holds("after compaction and a polite restart", true)
	if err := e.Wipe(); err != nil {
		t.Fatal(err)
	}
	holds("after a wipe", false)
}

// TestEtcdAuth: the administrator's calls pass, an anonymous one does not, and a wiped server asks again.
func TestEtcdAuth(t *testing.T) {
	ctx := t.Context()
	e := StartEtcd(t, WithAuth("root", "secret"))
	for range 2 {
		if err := e.Put(ctx, "/a", "b"); err != nil {
			t.Fatal(err)
		}
		if _, err := e.do(ctx, "POST", "/v3/kv/range", map[string]any{"key": []byte("/a")}, ""); err == nil {
			t.Error("it answers anybody")
		}
		if err := e.Wipe(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := newEtcd(ctx, collect([]Option{WithAuth("nobody", "x")})); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("another first user: %v", err)
	}
}

// TestEtcdCluster: there is one leader, and another one when it is gone.
func TestEtcdCluster(t *testing.T) {
	ctx := t.Context()
	members := StartEtcdCluster(t)
	leader := leaderOf(t, members)
	if err := members[leader].Put(ctx, "/a", "b"); err != nil {
		t.Fatal(err)
	}
	members[leader].Kill()
	rest := append(append([]*Etcd{}, members[:leader]...), members[leader+1:]...)
	next := rest[leaderOf(t, rest)]
	if value, _, err := next.Get(ctx, "/a"); value != "b" || err != nil {
		t.Errorf("the new leader has %q, %v", value, err)
	}
	if err := members[leader].Restart(); err != nil {
		t.Fatal(err)
	}
	if value, _, err := members[leader].Get(ctx, "/a"); value != "b" || err != nil {
		t.Errorf("the old leader has %q, %v", value, err)
	}
}

func leaderOf(t *testing.T, members []*Etcd) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for i, e := range members {
			if leads, err := e.Leader(t.Context()); err == nil && leads {
				return i
			}
		}
	}
	t.Fatal("no leader within 20 s")
	return 0
}

// TestEtcdTLS: it speaks TLS with the certificate that it was given, and nothing else.
func TestEtcdTLS(t *testing.T) {
	c := NewCertificate(t, "127.0.0.1")
	e := StartEtcd(t, WithTLS(c.Cert, c.Key))
	if err := e.Put(t.Context(), "/a", "b"); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", e.Addr(), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}
