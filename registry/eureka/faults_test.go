package eureka

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// front is an HTTP proxy before a real server: what it does first is the test's.
func front(t *testing.T, e *testbed.Eureka, prefix string, first func(*http.Request)) string {
	target, err := url.Parse("http://" + e.Addr())
	check(t, err)
	transport := &http.Transport{}
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{Transport: transport, ErrorLog: quiet, Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.URL.Path = "/eureka" + strings.TrimPrefix(p.In.URL.Path, prefix)
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.URL.Path, prefix+"/") {
			http.NotFound(w, req)
			return
		}
		first(req)
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
	})
	return s.URL + prefix
}

// TestNetflixPath finds the same service below Netflix's path, and not one level up.
func TestNetflixPath(t *testing.T) {
	e := shared(t)
	at := front(t, e, "/eureka/v2", func(*http.Request) {})
	r := newRig(t, at+"/") // as some write it
	name := unique(t, "a")
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: strings.ToUpper(name), ID: "1", IP: "10.0.0.1", Port: 80}))
	r.watch(name).until("found", has("10.0.0.1:80"))
	g := gateway(unique(t, "gw"))
	reg := r.register(g)
	r.watch(g.Service.Name).until("registered there", has("10.0.0.1:8080"))
	reg.stop()
	r.noErrors()
	wrong := newRig(t, strings.TrimSuffix(at, "/v2"))
	wrong.awaitError("404", "is the context path right?", "/eureka/v2")
}

// TestSlow has everything take 300 ms.
func TestSlow(t *testing.T) {
	e := shared(t)
	r := newRig(t, front(t, e, "/slow", func(*http.Request) { time.Sleep(300 * time.Millisecond) }))
	name := unique(t, "a")
	w := r.watch(name)
	w.until("nothing", has())
	i := testbed.EurekaInstance{App: strings.ToUpper(name), ID: "1", IP: "10.0.0.1", Port: 80}
	check(t, e.Register(t.Context(), i))
	w.until("there", has("10.0.0.1:80"))
	check(t, e.Cancel(t.Context(), i))
	w.until("gone", has())
	r.noErrors()
}

// TestExpiry has an instance that dies without a word.
func TestExpiry(t *testing.T) {
	e := shared(t)
	r := newRig(t, e.URL())
	name := unique(t, "a")
	w := r.watch(name)
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: strings.ToUpper(name), ID: "1", IP: "10.0.0.1", Port: 80, Lease: time.Second}))
	w.until("there", has("10.0.0.1:80"))
	w.until("expired", has())
	r.noErrors()
}

// TestCrashes walks through what a server can suffer: frozen, killed and back with nothing, and clients that come back to it.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	e := testbed.StartEureka(t)
	r := newRig(t, e.URL(), func(c *Config) { c.Timeout = time.Second })
	ctx := t.Context()
	var all []testbed.EurekaInstance
	var want []string
	for n := range 20 {
		all = append(all, testbed.EurekaInstance{App: "ORDERS", ID: fmt.Sprint(n), IP: fmt.Sprintf("10.0.0.%d", n), Port: 80})
		want = append(want, fmt.Sprintf("10.0.0.%d:80", n))
		check(t, e.Register(ctx, all[n]))
	}
	w := r.watch("orders")
	w.until("all", has(want...))

	// Frozen for longer than the server remembers changes (5 s), while one leaves and comes unseen.
	check(t, e.Freeze())
	r.await(registry.Stale)
	r.awaitError(e.URL())
	check(t, e.Thaw())
	r.await(registry.Live)
	before := len(w.seen())

	// Killed: what was pushed stays. Back it knows nobody, and says so; that is its word, and policy is made elsewhere.
	e.Kill()
	r.await(registry.Stale)
	r.awaitError("refused")
	if n := len(w.seen()); n != before {
		t.Errorf("%d pushes while it was down", n-before)
	}
	check(t, e.Restart())
	r.await(registry.Live)
	w.until("empty, by its own word", has())
	if n := len(w.seen()); n != before+1 {
		t.Errorf("%d pushes for one state", n-before)
	}

	// The clients come back, in no time and all at once.
	for _, i := range all {
		check(t, e.Register(ctx, i))
	}
	w.until("all again", has(want...))
	sizes := []int{}
	for _, s := range w.seen()[before+1:] {
		sizes = append(sizes, len(s.Instances))
	}
	if !slices.IsSorted(sizes) {
		t.Errorf("sizes on the way back: %v", sizes)
	}

	// While somebody comes back at the very time of the restart, several times over.
	for range 2 {
		e.Kill()
		stop := r.background(func(ctx context.Context) error {
			for ctx.Err() == nil {
				for _, i := range all {
					_ = e.Register(ctx, i)
				}
			}
			return nil
		})
		check(t, e.Restart())
		r.await(registry.Live)
		w.until("all at last", has(want...))
		stop()
	}
}

// TestDeltaWindow has changes on the real server that its list of changes has forgotten when it is asked again.
func TestDeltaWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the server to forget")
	}
	e := shared(t)
	blocked := make(chan struct{})
	r := newRig(t, front(t, e, "/e", func(req *http.Request) {
		select {
		case <-blocked:
			// The first request after the block waits, as one from a machine that sleeps.
			select {
			case <-time.After(8 * time.Second):
			case <-req.Context().Done():
			}
		default:
		}
	}), func(c *Config) { c.DeltaRetention = 5 * time.Second })
	name := strings.ToUpper(unique(t, "a"))
	old := testbed.EurekaInstance{App: name, ID: "old", IP: "10.0.0.1", Port: 80}
	check(t, e.Register(t.Context(), old))
	w := r.watch(name)
	w.until("old", has("10.0.0.1:80"))
	close(blocked)
	check(t, e.Cancel(t.Context(), old))
	check(t, e.Register(t.Context(), testbed.EurekaInstance{App: name, ID: "new", IP: "10.0.0.2", Port: 80}))
	w.until("new, and the old one gone", has("10.0.0.2:80"))
	r.noErrors()
}

// TestPeers has two servers that tell each other everything: one freezes, later the other dies, and nobody notices.
func TestPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two servers")
	}
	a, b := testbed.StartEurekaPeers(t)
	r := newRig(t, a.URL(), func(c *Config) { c.URLs, c.Timeout = append(c.URLs, b.URL()), time.Second })
	i := testbed.EurekaInstance{App: "ORDERS", ID: "1", IP: "10.0.0.1", Port: 80}
	check(t, b.Register(t.Context(), i))
	w := r.watch("orders")
	w.until("from the other", has("10.0.0.1:80"))
	check(t, a.Freeze())
	i.ID, i.IP = "2", "10.0.0.2"
	check(t, b.Register(t.Context(), i))
	w.until("both", has("10.0.0.1:80", "10.0.0.2:80"))
	check(t, a.Thaw())
	within(t, "the thawed one has heard of it", func() bool {
		answer, err := a.Apps(t.Context())
		check(t, err)
		return strings.Contains(string(answer), "UP_2_")
	})
	b.Kill()
	i.ID, i.IP = "3", "10.0.0.3"
	check(t, a.Register(t.Context(), i))
	w.until("three, from the first again", has("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"))
	r.noErrors()
	for _, s := range w.seen()[1:] {
		if len(s.Instances) == 0 {
			t.Error("it was empty on the way")
		}
	}
}

// TestProduction leaves the server as it is shipped: what it shows is up to 30 s old.
func TestProduction(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server and waits for its cache")
	}
	e := testbed.StartEureka(t, testbed.EurekaProduction())
	r := newRig(t, e.URL())
	w := r.watch("orders")
	w.until("nothing", has())
	i := testbed.EurekaInstance{App: "ORDERS", ID: "1", IP: "10.0.0.1", Port: 80}
	check(t, e.Register(t.Context(), i))
	w.until("there", has("10.0.0.1:80")) // the first list of changes is made when it is first asked for
	i.Port = 81
	start := time.Now()
	check(t, e.Register(t.Context(), i))
	for len(w.seen()) < 3 && time.Since(start) < 65*time.Second {
		time.Sleep(10 * time.Millisecond)
	}
	w.until("changed", has("10.0.0.1:81"))
	t.Logf("seen after %v", time.Since(start))
	r.noErrors()
}
