package eureka

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// registering is a registration that runs.
type registering struct {
	*pushes[error]
	stop func()
}

func (r *rig) register(reg registry.Registration) *registering {
	p := &pushes[error]{t: r.t}
	return &registering{p, r.background(func(ctx context.Context) error { return r.reg.Register(ctx, reg, p.push) })}
}

// accepted says how often the registry took the announcement.
func (r *registering) accepted() (n int) {
	for _, err := range r.seen() {
		if err == nil {
			n++
		}
	}
	return n
}

func gateway(name string) registry.Registration {
	return registry.Registration{
		Service: registry.App(name), ID: "host:" + name + ":8080", HealthURL: "http://10.0.0.1:8080/health",
		Instance: registry.Instance{Host: "10.0.0.1", Port: 8080, Weight: 2, Zone: "a", Metadata: map[string]string{"k": "v"}},
	}
}

func TestRegister(t *testing.T) {
	e := shared(t)
	r := newRig(t, e.URL(), func(c *Config) { c.Heartbeat, c.Lease = time.Second, 3*time.Second })
	name := unique(t, "gw")
	w := r.watch(name)
	w.until("not there yet", has())
	reg := r.register(gateway(name))
	got := w.until("registered", has("10.0.0.1:8080"))
	if i := got.Instances[0]; i.Zone != "a" || i.Weight != 2 || i.Metadata["k"] != "v" {
		t.Errorf("%+v", i)
	}
	me := testbed.EurekaInstance{App: strings.ToUpper(name), ID: "host:" + name + ":8080"}
	ctx := t.Context()

	// Somebody removes it: the next heartbeat is answered by 404.
	check(t, e.Cancel(ctx, me))
	w.until("removed", has())
	w.until("registered again", has("10.0.0.1:8080"))

	// Somebody takes it out of service, and forgets to say what it should be afterwards.
	check(t, e.Override(ctx, me, "DOWN"))
	w.until("down", has("10.0.0.1:8080 unhealthy"))
	check(t, e.EndOverride(ctx, me, ""))
	w.until("up again", has("10.0.0.1:8080"))

	// Twice the lease passes.
	time.Sleep(7 * time.Second)
	if got := addresses(w.until("still there", func(registry.Snapshot) bool { return true })); len(got) != 1 || got[0] != "10.0.0.1:8080" {
		t.Errorf("after two leases: %v", got)
	}
	start := time.Now()
	reg.stop()
	if d := time.Since(start); d > registry.WithdrawTimeout {
		t.Errorf("the end took %v", d)
	}
	w.until("withdrawn", has())
	if n := reg.accepted(); n != 3 {
		t.Errorf("accepted %d times, want 3: %v", n, reg.seen())
	}
	r.noErrors()
}

// TestRegisterSecure shows that what is announced as https is read as such.
func TestRegisterSecure(t *testing.T) {
	e := shared(t)
	r := newRig(t, e.URL())
	name := unique(t, "gw")
	w := r.watch(name)
	g := gateway(name)
	g.Instance.Protocol, g.Instance.Host, g.Instance.Weight = "https", "::1", 1
	r.register(g)
	w.until("registered", has("https://[::1]:8080"))
}

func TestRegisterElsewhereAndAfterRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	e := testbed.StartEureka(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	r := newRig(t, dead.URL+"/eureka", func(c *Config) {
		c.URLs = append(c.URLs, e.URL())
		c.Heartbeat, c.Lease = time.Second, 30*time.Second
	})
	w := r.watch("gw")
	reg := r.register(gateway("gw"))
	w.until("registered", has("10.0.0.1:8080"))
	e.Kill()
	reg.until("trouble", func(err error) bool { return err != nil && strings.Contains(err.Error(), "refused") })
	check(t, e.Restart())
	reg.until("accepted", func(err error) bool { return err == nil })
	within(t, "listed again", func() bool {
		b, err := e.Apps(t.Context())
		check(t, err)
		return strings.Contains(string(b), "host:gw:8080")
	})
	reg.stop()
	w.until("withdrawn", has())
}

// TestRegisterRefused says what is wrong, and tries again; what can never work is told at once.
func TestRegisterRefused(t *testing.T) {
	var status atomic.Int32
	status.Store(401)
	var mu sync.Mutex
	var methods []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		methods = append(methods, req.Method)
		mu.Unlock()
		w.WriteHeader(int(status.Load()))
	}))
	defer s.Close()
	r := newRig(t, s.URL)
	reg := r.register(gateway("gw"))
	for code, part := range map[int32]string{401: "set username and password", 404: "/eureka", 500: "500 Internal Server Error", 400: "400"} {
		status.Store(code)
		reg.until(part, func(err error) bool { return err != nil && strings.Contains(err.Error(), part) })
	}
	status.Store(204)
	reg.until("accepted", func(err error) bool { return err == nil })
	reg.stop()
	mu.Lock()
	last := methods[len(methods)-1]
	mu.Unlock()
	if last != http.MethodDelete {
		t.Errorf("the last word was %s", last)
	}
	for part, change := range map[string]func(*registry.Registration){
		"without groups": func(g *registry.Registration) { g.Service.Group = "g" },
		"service name":   func(g *registry.Registration) { g.Service.Name = "a/b" },
		"id":             func(g *registry.Registration) { g.ID = "a%b" },
		"port 0":         func(g *registry.Registration) { g.Instance.Port = 0 },
	} {
		g := gateway("gw")
		change(&g)
		if err := r.reg.Register(t.Context(), g, func(error) {}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", part, err)
		}
	}
}

// TestWithdrawBounded has a server that never answers: the end does not wait for it for ever.
func TestWithdrawBounded(t *testing.T) {
	block := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		<-block
	}))
	defer s.Close()
	defer close(block)
	r := newRig(t, s.URL)
	reg := r.register(gateway("gw"))
	reg.until("accepted", func(err error) bool { return errors.Is(err, nil) })
	start := time.Now()
	reg.stop()
	if d := time.Since(start); d > registry.WithdrawTimeout+time.Second {
		t.Errorf("the end took %v", d)
	}
}
