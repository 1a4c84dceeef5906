package testbed

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Eureka is Spring Cloud's Eureka server. It keeps everything in memory, so Restart is also Wipe. It forgets an instance
// within seconds of the end of its lease, and shows each change after at most 200 ms; EurekaProduction leaves both as they
// are in the wild.
type Eureka struct {
	*Server
	port int
	opts options
	api  *http.Client
}

// EurekaProduction leaves a server's timing as it is when nobody sets any: answers are as old as 30 s, deltas reach 3
// minutes back, expired instances are looked for every minute, and are kept when too many expire at once.
func EurekaProduction() Option { return func(o *options) { o.eureka.production = true } }

// EurekaArgs adds arguments of the server, for example "--eureka.server.disable-delta=true". The last word counts.
func EurekaArgs(args ...string) Option {
	return func(o *options) { o.eureka.args = append(o.eureka.args, args...) }
}

// eurekaOptions are what only a Eureka understands.
type eurekaOptions struct {
	production bool
	peer       string // the other server's URL
	args       []string
}

// StartEureka starts a server for this test, in about ten seconds. WithAuth makes it ask for a user (any will do), WithTLS speak
// nothing but TLS.
func StartEureka(tb testing.TB, opts ...Option) *Eureka {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Eureka, error) { return startEureka(ctx, nil, collect(opts)) })
}

// StartEurekaPeers starts two servers for this test, each of which tells the other what it is told.
func StartEurekaPeers(tb testing.TB, opts ...Option) (first, second *Eureka) {
	tb.Helper()
	blocks := [2]*portBlock{}
	for n := range blocks {
		b, err := reservePorts()
		if err != nil {
			tb.Fatal(err)
		}
		blocks[n] = b
	}
	var servers [2]*Eureka
	for n := range servers {
		o := collect(opts)
		o.eureka.peer = peerURL(o, blocks[1-n].Port(1))
		servers[n] = private(tb, func(ctx context.Context) (*Eureka, error) { return startEureka(ctx, blocks[n], o) })
	}
	return servers[0], servers[1]
}

func peerURL(o options, port int) string {
	user := ""
	if o.user != "" {
		user = o.user + ":" + o.password + "@"
	}
	return "http://" + user + loopback(port) + "/eureka/"
}

// SharedEureka starts a server for all tests of a package; TestMain calls the function returned when they are done.
func SharedEureka(opts ...Option) (*Eureka, func(), error) {
	e, err := startEureka(context.Background(), nil, collect(opts))
	if err != nil {
		return nil, nil, err
	}
	return e, e.close, nil
}

func startEureka(ctx context.Context, ports *portBlock, o options) (*Eureka, error) {
	jar, archive, err := eurekaPaths(ctx)
	if err != nil {
		return nil, err
	}
	o.jvm = append([]string{"-XX:SharedArchiveFile=" + archive}, o.jvm...)
	e, err := newEureka(jar, ports, o)
	if err != nil {
		return nil, err
	}
	if err := e.launch(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// newEureka prepares a server without starting it, on ports of its own if none are given.
func newEureka(jar string, ports *portBlock, o options) (*Eureka, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	if ports == nil {
		if ports, err = reservePorts(); err != nil {
			return nil, err
		}
	}
	s, err := newServer("eureka", ports)
	if err != nil {
		return nil, err
	}
	e := &Eureka{Server: s, port: ports.Port(1), opts: o, api: &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,                                  // no connection outlives a call, so no leak check trips over it
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // its own server, whatever its certificate says
		},
	}}
	s.wait = 2 * time.Minute
	s.ready = e.ready
	s.command = func() *exec.Cmd {
		cmd := exec.Command(java, e.arguments(jar)...)
		cmd.Dir = s.dir
		return cmd
	}
	return e, nil
}

func (e *Eureka) arguments(jar string) []string {
	args := jvmFlags("-Djava.io.tmpdir=" + e.dir)
	args = append(args, e.opts.jvm...)
	args = append(args, "-jar", jar, "--server.address=127.0.0.1", "--server.port="+strconv.Itoa(e.port))
	if !e.opts.eureka.production {
		args = append(args,
			"--eureka.server.use-read-only-response-cache=false",
			"--eureka.server.response-cache-update-interval-ms=200",
			"--eureka.server.eviction-interval-timer-in-ms=500",
			"--eureka.server.enable-self-preservation=false",
			"--eureka.server.delta-retention-timer-interval-in-ms=1000",
			"--eureka.server.retention-time-in-m-s-in-delta-queue=5000",
		)
	}
	if e.opts.eureka.peer != "" {
		args = append(args,
			"--eureka.client.service-url.defaultZone="+e.opts.eureka.peer,
			// At the start everything is copied from the peer.
			"--eureka.client.fetch-registry=true",
			"--eureka.server.registry-sync-retries=2", "--eureka.server.registry-sync-retry-wait-ms=100",
		)
	} else {
		// A server that names no peer tells everything to localhost:8761. It knows itself by its host alone.
		args = append(args, "--eureka.client.service-url.defaultZone="+e.URL(), "--eureka.instance.hostname=127.0.0.1")
	}
	if e.opts.user != "" {
		args = append(args, "--spring.profiles.active=secured",
			"--spring.security.user.name="+e.opts.user, "--spring.security.user.password="+e.opts.password)
	}
	if e.opts.cert != "" {
		args = append(args, "--server.ssl.bundle=web",
			"--spring.ssl.bundle.pem.web.keystore.certificate=file:"+e.opts.cert,
			"--spring.ssl.bundle.pem.web.keystore.private-key=file:"+e.opts.key)
	}
	return append(args, e.opts.eureka.args...)
}

// Addr is "127.0.0.1:PORT".
func (e *Eureka) Addr() string { return loopback(e.port) }

// URL is what clients are given, "http://127.0.0.1:PORT/eureka", without the user.
func (e *Eureka) URL() string {
	if e.opts.cert != "" {
		return "https://" + e.Addr() + "/eureka"
	}
	return "http://" + e.Addr() + "/eureka"
}

func (e *Eureka) ready(ctx context.Context) error {
	_, err := e.call(ctx, http.MethodGet, "/apps", nil)
	return err
}

// call sends a request as the administrator and wants a 2xx answer.
func (e *Eureka) call(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, e.URL()+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if e.opts.user != "" {
		req.SetBasicAuth(e.opts.user, e.opts.password)
	}
	resp, err := e.api.Do(req)
	if err != nil {
		return nil, err
	}
	answer, err = readAnswer(resp)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer, nil
}
