package testbed

import (
	"os"
	"path/filepath"
	"testing"
)

// nettyFactory is the connector that can do TLS; ZooKeeper's usual one cannot.
const nettyFactory = "-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"

// WithZooKeeperTLS makes a ZooKeeper listen for TLS at a second port, with this certificate. clientCA is a file with the
// certificate of who signs the clients', which are required then; "" asks clients for none.
func WithZooKeeperTLS(tb testing.TB, server Pair, clientCA string) Option {
	tb.Helper()
	var store []byte // Java takes certificate and key from one file
	for _, path := range []string{server.Cert, server.Key} {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		store = append(store, text...)
	}
	path := filepath.Join(tb.TempDir(), "server.pem")
	if err := os.WriteFile(path, store, 0o600); err != nil {
		tb.Fatal(err)
	}
	flags := []string{
		nettyFactory,
		"-Dzookeeper.ssl.keyStore.location=" + path, "-Dzookeeper.ssl.keyStore.type=PEM",
	}
	if clientCA != "" {
		flags = append(flags, "-Dzookeeper.ssl.trustStore.location="+clientCA, "-Dzookeeper.ssl.trustStore.type=PEM",
			"-Dzookeeper.ssl.clientAuth=need", "-Dzookeeper.ssl.hostnameVerification=false")
	} else {
		flags = append(flags, "-Dzookeeper.ssl.clientAuth=none")
	}
	return WithJVM(flags...)
}
