package consul

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func withCA(ca *testbed.CA) func(*Config) {
	return func(c *Config) { c.TLS = &registry.TLS{CA: ca.File()} }
}

// 300 services over HTTPS: HTTP/2 carries them over a few connections, where HTTP/1.1 would not be let.
func TestManyServicesOverHTTP2(t *testing.T) {
	ca := testbed.NewCA(t)
	server := testbed.StartConsul(t, testbed.WithHTTPS(ca))
	a := newAgent(t, server)
	r := newRig(t, server.TLSAddr(), withCA(ca))
	const count = 300
	watches := make([]*registrytest.Pushes[registry.Snapshot], count)
	for n := range watches {
		watches[n] = r.Watch(registry.App(fmt.Sprintf("web-%03d", n)))
	}
	for _, w := range watches {
		w.Last()
	}
	for n := 0; n < count; n += 50 {
		a.register(fmt.Sprintf("web-%03d", n), "192.0.2.1", 80)
		watches[n].Until("one", has("192.0.2.1:80"))
	}
	s := r.reg.await(t.Context())
	registrytest.Within(t, "all services have a blocking query", func() bool { return s.gate.taken() == count })
	if n := s.wire.lanes.open(); n > 6 {
		t.Errorf("%d connections", n)
	} else {
		t.Logf("%d connections", n)
	}
	if errs := r.Errors(); len(errs) > 0 {
		t.Error(errs)
	}
}

// The same over HTTP/1.1: at most maxPolls wait, and every change is seen all the same.
func TestManyServicesOverHTTP1(t *testing.T) {
	server := testbed.StartConsul(t) // which allows 200 connections
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	list := r.WatchServices()
	list.Last()
	const count = 250
	watches := make([]*registrytest.Pushes[registry.Snapshot], count)
	for n := range watches {
		watches[n] = r.Watch(registry.App(fmt.Sprintf("web-%03d", n)))
	}
	for _, w := range watches {
		w.Last()
	}
	slowest := time.Duration(0)
	for round := range 2 {
		for n := 0; n < count; n += 10 {
			began := time.Now()
			a.register(fmt.Sprintf("web-%03d", n), "192.0.2.1", 80+round)
			watches[n].Until("one more", func(s registry.Snapshot) bool { return len(s.Instances) == round+1 })
			slowest = max(slowest, time.Since(began))
		}
	}
	s := r.reg.await(t.Context())
	if n := s.wire.lanes.open(); n > r.config.MaxPolls+readers+spare+1 {
		t.Errorf("%d connections", n)
	} else {
		t.Logf("%d connections, the slowest change took %v", n, slowest)
	}
	if slowest > 5*time.Second {
		t.Errorf("a change took %v", slowest)
	}
	if n := len(r.Errors("they take turns")); n != 1 {
		t.Errorf("said %d times that there are too many: %v", n, r.Errors())
	}
	if errs := r.Errors("429"); len(errs) > 0 {
		t.Error(errs)
	}
}

// The agent allows fewer connections than maxPolls says: fewer are used, and it is said why.
func TestTooManyConnections(t *testing.T) {
	server := testbed.StartConsul(t, testbed.WithConsul("limits { http_max_conns_per_client = 30 }"))
	a := newAgent(t, server)
	a.register("other", "192.0.2.1", 80) // so that it has its connection first
	r := newRig(t, server.Addr(), func(c *Config) { c.MaxPolls = 60; c.Wait = 2 * time.Second })
	watches := make([]*registrytest.Pushes[registry.Snapshot], 50)
	for n := range watches {
		watches[n] = r.Watch(registry.App(fmt.Sprint("web-", n)))
	}
	r.AwaitError("429", "lower maxPolls")
	for _, w := range watches {
		w.Last()
	}
	seen, since := 0, time.Now()
	registrytest.Within(t, "two seconds without a refusal", func() bool {
		if n := len(r.Errors("429")); n > seen {
			seen, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	if r.State() != registry.Live {
		t.Error(r.State())
	}
	before := watches[0].Count()
	a.register("web-0", "192.0.2.1", 80)
	watches[0].More(before)
}

func TestTLS(t *testing.T) {
	ca, stranger := testbed.NewCA(t), testbed.NewCA(t)
	server := testbed.StartConsul(t, testbed.WithClientCertificates(ca))
	client := ca.Client("sluice")
	good := registry.TLS{CA: ca.File(), Cert: client.Cert, Key: client.Key}
	for name, c := range map[string]struct {
		address string
		change  func(*registry.TLS)
		want    string
	}{
		"good":           {server.TLSAddr(), func(*registry.TLS) {}, ""},
		"another name":   {server.TLSAddr(), func(s *registry.TLS) { s.ServerName = "localhost" }, ""},
		"unchecked":      {server.TLSAddr(), func(s *registry.TLS) { s.CA, s.InsecureSkipVerify = "", true }, ""},
		"wrong name":     {server.TLSAddr(), func(s *registry.TLS) { s.ServerName = "other.example.com" }, "tls.serverName must be"},
		"wrong CA":       {server.TLSAddr(), func(s *registry.TLS) { s.CA = stranger.File() }, "tls.ca must hold"},
		"no certificate": {server.TLSAddr(), func(s *registry.TLS) { s.Cert, s.Key = "", "" }, "tls.cert and tls.key"},
		"port of http":   {server.Addr(), func(*registry.TLS) {}, "no TLS is spoken there"},
	} {
		t.Run(name, func(t *testing.T) {
			section := good
			c.change(&section)
			r := newRig(t, c.address, func(config *Config) { config.TLS = &section })
			w := r.Watch(registry.App("web"))
			if c.want == "" {
				w.Until("an empty service", has())
				return
			}
			r.AwaitError(c.want)
			if r.State() != registry.Connecting || w.Count() != 0 {
				t.Errorf("%v, %d pushes", r.State(), w.Count())
			}
		})
	}
	t.Run("http at the port of https", func(t *testing.T) {
		r := newRig(t, "http://"+server.TLSAddr())
		r.AwaitError("HTTP request to an HTTPS server")
	})
}

// Many requests at once make one connection of HTTP/2, and further ones only when it is full.
func TestLanesRampUp(t *testing.T) {
	var accepted atomic.Int32
	release := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	l := newLanes(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, time.Second, 10)
	defer l.close()
	var asked sync.WaitGroup
	for range 3*laneStreams - 50 {
		asked.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			answer, err := l.do(req, false)
			if err != nil {
				t.Error(err)
				return
			}
			_ = answer.Body.Close()
			if answer.ProtoMajor != 2 {
				t.Error(answer.Proto)
			}
		})
	}
	registrytest.Within(t, "three connections", func() bool { return accepted.Load() >= 3 })
	time.Sleep(50 * time.Millisecond)
	close(release)
	asked.Wait()
	if n := accepted.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

func TestLanesEndWhileDialling(t *testing.T) {
	l := newLanes(nil, time.Minute, 1)
	// Nobody answers at this address of documentation; a sandbox may refuse it at once, which is as good.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://192.0.2.1:9", nil)
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		answer, err := l.do(req, false)
		if err == nil {
			_ = answer.Body.Close()
		}
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	l.close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(5 * time.Second):
		t.Error("it still dials")
	}
	if _, err := l.do(req, false); err == nil || !strings.Contains(err.Error(), "session has ended") {
		t.Errorf("%v", err)
	}
}
