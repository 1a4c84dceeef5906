package testbed

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// BuildEtcd builds the etcd server, unless the cache has it. Cold it takes about two minutes of CPU time.
func BuildEtcd(ctx context.Context) error {
	_, err := etcdPath(ctx)
	return err
}

func etcdPath(ctx context.Context) (string, error) {
	return buildGo(ctx, "tools/etcd", ".", "etcd")
}

// Etcd is one etcd 3.6 server, alone or the member of a cluster.
type Etcd struct {
	*Server
	user, password string
	tls            bool
	port           int
	http           *http.Client
}

// StartEtcd starts a server for this test. WithAuth makes it ask for a user and password; the user must be "root", the
// only one that may do everything. WithTLS makes it speak TLS only.
func StartEtcd(tb testing.TB, opts ...Option) *Etcd {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Etcd, error) { return newEtcd(ctx, collect(opts)) })
}

// SharedEtcd starts a server for all tests of a package; TestMain calls the function returned when they are done.
func SharedEtcd(opts ...Option) (*Etcd, func(), error) {
	e, err := newEtcd(context.Background(), collect(opts))
	if err != nil {
		return nil, nil, err
	}
	return e, e.close, nil
}

func newEtcd(ctx context.Context, o options) (*Etcd, error) {
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	e, err := makeEtcd(ctx, o, ports, "bed", "")
	if err != nil {
		return nil, err
	}
	if err := e.launch(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// StartEtcdCluster starts three members that elect a leader among them.
func StartEtcdCluster(tb testing.TB) []*Etcd {
	tb.Helper()
	members := make([]*Etcd, 3)
	blocks := make([]*portBlock, len(members))
	names := make([]string, len(members))
	for i := range blocks {
		block, err := reservePorts()
		if err != nil {
			tb.Fatal(err)
		}
		blocks[i], names[i] = block, fmt.Sprintf("bed%d=http://%s", i, loopback(block.Port(2)))
	}
	for i := range members {
		name, _, _ := strings.Cut(names[i], "=")
		e, err := makeEtcd(tb.Context(), options{}, blocks[i], name, strings.Join(names, ","))
		if err != nil {
			tb.Fatal(err)
		}
		members[i] = e
		tb.Cleanup(e.close)
		e.LogOnFailure(tb)
	}
	// None is ready before there are two.
	var wait sync.WaitGroup
	errs := make([]error, len(members))
	for i, e := range members {
		wait.Go(func() { errs[i] = e.start(tb.Context(), true) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
	return members
}

// makeEtcd prepares a member without starting it.
func makeEtcd(ctx context.Context, o options, ports *portBlock, name, cluster string) (*Etcd, error) {
	path, err := etcdPath(ctx)
	if err != nil {
		ports.Close()
		return nil, fmt.Errorf("find etcd: %w (%w)", err, errNotPrepared)
	}
	s, err := newServer("etcd", ports)
	if err != nil {
		return nil, err
	}
	e := &Etcd{Server: s, user: o.user, password: o.password, port: ports.Port(1), tls: o.cert != ""}
	e.http = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // no idle connection outlives a test
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
	args := []string{"-data", s.dir, "-name", name, "-client", e.Addr(), "-peer", loopback(ports.Port(2)), "-cluster", cluster}
	if e.tls {
		args = append(args, "-cert", o.cert, "-key", o.key)
	}
	s.command = func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Dir = s.dir
		return cmd
	}
	s.ready = e.ready
	if o.user != "" {
		s.settled = e.enableAuth
	}
	return e, nil
}

// Addr is the client address, "127.0.0.1:PORT".
func (e *Etcd) Addr() string { return loopback(e.port) }

func (e *Etcd) ready(ctx context.Context) error {
	body, err := e.do(ctx, http.MethodGet, "/health", nil, "")
	if err == nil && !bytes.Contains(body, []byte(`"true"`)) {
		err = fmt.Errorf("it is not healthy yet: %s", body)
	}
	return err
}
