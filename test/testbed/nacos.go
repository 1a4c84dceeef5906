package testbed

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Nacos is a standalone Nacos 3.1 server, which speaks the gRPC protocol of 2.x and 3.x clients. It merges pushes for
// 50 ms (500 by default), and keeps its data over Kill and Restart.
type Nacos struct {
	*Server
	port  int
	opts  options
	api   *http.Client
	token string // of the administrator, when the server asks for one; set before the server is handed out
}

// StartNacos starts a server for this test. It takes 10 to 20 s, so prefer SharedNacos unless the test harms it.
func StartNacos(tb testing.TB, opts ...Option) *Nacos {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Nacos, error) { return startNacos(ctx, collect(opts)) })
}

// SharedNacos starts a server for all tests of a package; TestMain calls the function returned when they are done.
func SharedNacos(opts ...Option) (*Nacos, func(), error) {
	n, err := startNacos(context.Background(), collect(opts))
	if err != nil {
		return nil, nil, err
	}
	return n, n.close, nil
}

func startNacos(ctx context.Context, o options) (*Nacos, error) {
	jar, archive, err := nacosPaths(ctx)
	if err != nil {
		return nil, err
	}
	o.jvm = append([]string{"-XX:SharedArchiveFile=" + archive}, o.jvm...)
	n, err := newNacos(jar, o)
	if err != nil {
		return nil, err
	}
	if err := n.launch(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// newNacos prepares a server without starting it.
func newNacos(jar string, o options) (*Nacos, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	// The server derives its other ports: +1000 and +1001 for gRPC, -1000 for Raft.
	ports, err := reservePorts(1000, -1000)
	if err != nil {
		return nil, err
	}
	s, err := newServer("nacos", ports)
	if err != nil {
		return nil, err
	}
	n := &Nacos{Server: s, port: ports.Port(1), opts: o, api: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true}, // no connection outlives a call, so no leak check trips over it
	}}
	s.wait = 3 * time.Minute
	s.ready = n.ready
	s.settled = n.settle
	// The server gives its own database a few seconds to open, which a busy machine may need for something else.
	s.transient = func(log string) bool { return strings.Contains(log, "Login timeout exceeded") }
	s.command = func() *exec.Cmd {
		cmd := exec.Command(java, n.arguments(jar)...)
		cmd.Dir = s.dir
		return cmd
	}
	return n, nil
}

func (n *Nacos) arguments(jar string) []string {
	auth := strconv.FormatBool(n.opts.user != "")
	args := jvmFlags(
		"-Dnacos.home="+n.dir, "-Dnacos.logs.path="+filepath.Join(n.dir, "logs"), "-DJM.LOG.PATH="+filepath.Join(n.dir, "logs"),
		"-Duser.home="+n.dir, "-Djava.io.tmpdir="+n.dir,
		"-Dderby.system.durability=test", // no fsync: a killed process loses nothing by that, only a killed machine would
		"-Dnacos.deployment.type=server", "-Dnacos.server.ip=127.0.0.1", "-Dnacos.remote.grpc.listen.ip=127.0.0.1",
		// Before the options, which may say otherwise.
		"-Dnacos.naming.push.pushTaskDelay=50",
		"-Dnacos.naming.fuzzy.watch.max.pattern.match.service.count=20000",
	)
	args = append(args, n.opts.jvm...)
	return append(args, "-jar", jar,
		"--server.address=127.0.0.1",
		"--nacos.server.main.port="+strconv.Itoa(n.port),
		"--nacos.core.auth.enabled="+auth,
		"--nacos.core.auth.admin.enabled="+auth,
		"--nacos.core.auth.console.enabled="+auth,
	)
}

// AddJVM adds arguments of the Java virtual machine from the next start on: -D sets any of Nacos's properties, over those
// of WithJVM and of the server's own file.
func (n *Nacos) AddJVM(args ...string) { n.opts.jvm = append(n.opts.jvm, args...) }

// Addr is the HTTP address, "127.0.0.1:PORT"; clients find gRPC 1000 ports above it.
func (n *Nacos) Addr() string { return loopback(n.port) }

func (n *Nacos) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url("/v3/admin/core/state/readiness"), nil)
	if err != nil {
		return err
	}
	resp, err := n.api.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("readiness is %s", resp.Status)
	}
	return nil
}

func (n *Nacos) url(path string) string { return "http://" + n.Addr() + "/nacos" + path }
