// Command etcd runs one etcd server for tests: a process of its own, which can be killed, frozen and restarted with or
// without its data. Flags are the few that tests need; the server is the library's own, unchanged.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
}

// config reads the command line.
func config() (*embed.Config, error) {
	var client, peer, cluster, cert, key, ca string
	cfg := embed.NewConfig()
	flag.StringVar(&cfg.Dir, "data", "", "data folder")
	flag.StringVar(&cfg.Name, "name", "bed", "the member's name")
	flag.StringVar(&client, "client", "", "host:port for clients")
	flag.StringVar(&peer, "peer", "", "host:port for the other members")
	flag.StringVar(&cluster, "cluster", "", "name=http://host:port,... of all members; empty means this one alone")
	flag.StringVar(&cert, "cert", "", "certificate file; clients speak TLS then")
	flag.StringVar(&key, "key", "", "key file of the certificate")
	flag.StringVar(&ca, "ca", "", "certificates that sign the clients'; clients must show one then")
	flag.Parse()

	if cfg.Dir == "" || client == "" || peer == "" {
		return nil, errors.New("-data, -client and -peer are needed")
	}
	scheme := "http"
	if cert != "" {
		scheme = "https"
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = cert, key
		cfg.ClientTLSInfo.TrustedCAFile, cfg.ClientTLSInfo.ClientCertAuth = ca, ca != ""
	}
	clients, peers := url.URL{Scheme: scheme, Host: client}, url.URL{Scheme: "http", Host: peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	cfg.InitialCluster = cluster
	if cluster == "" {
		cfg.InitialCluster = cfg.Name + "=" + peers.String()
	}
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{"stderr"}
	// A test's machine loses power seldom, and its disk is slow.
	cfg.UnsafeNoFsync = true
	// Leases of a second and elections within half of one, so that tests need not wait.
	cfg.TickMs, cfg.ElectionMs = 50, 500
	return cfg, nil
}

func run() error {
	cfg, err := config()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
		fmt.Println("READY")
	case <-signals:
		return nil
	case err := <-server.Err():
		return fmt.Errorf("start: %w", err)
	}
	select {
	case <-signals:
		return nil
	case err := <-server.Err():
		return fmt.Errorf("serve: %w", err)
	}
}
