package testbed

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"
)

// TestZooKeeperEnsemble loses the leader and then the quorum of an ensemble, and gets both back.
func TestZooKeeperEnsemble(t *testing.T) {
	e := StartZooKeeperEnsemble(t, 3)
	leader, others := e.Leader()
	if leader == nil || len(others) != 2 {
		t.Fatalf("leader %v, others %v", leader, others)
	}
	put(t, others[0], "/kept")
	leader.Kill()
	next := leader
	for end := time.Now().Add(20 * time.Second); next == leader || next == nil; next, _ = e.Leader() {
		if time.Now().After(end) {
			t.Fatal("no new leader")
		}
		time.Sleep(20 * time.Millisecond)
	}
	next.Kill()
	if now, _ := e.Leader(); now != nil {
		t.Error("one of three leads")
	}
	if err := e.Restart(leader, next); err != nil {
		t.Fatal(err)
	}
	for _, z := range e.Servers {
		if !has(t, z, "/kept") {
			t.Error("a server has lost its data")
		}
	}
}

// TestOldZooKeeper is there for what newer ones can do more.
func TestOldZooKeeper(t *testing.T) {
	z := StartOldZooKeeper(t)
	answer, err := z.Command("srvr")
	if err != nil || !strings.HasPrefix(answer, "Zookeeper version: 3.5.") {
		t.Errorf("%q %v", answer, err)
	}
}

// TestZooKeeperTLS looks at the certificate that the secure port shows.
func TestZooKeeperTLS(t *testing.T) {
	ca := NewCA(t)
	z := StartZooKeeper(t, WithZooKeeperTLS(t, ca.Server("zk.test"), ca.File()))
	roots := x509.NewCertPool()
	text, err := os.ReadFile(ca.File())
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	client := ca.Client("gateway")
	pair, err := tls.LoadX509KeyPair(client.Cert, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: roots, ServerName: "zk.test", MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	conn, err := tls.Dial("tcp", z.SecureAddr(), config)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := z.Command("srvr"); err != nil { // the other port is as ever
		t.Error(err)
	}
}
