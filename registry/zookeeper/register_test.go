package zookeeper

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func gateway(id string) registry.Registration {
	return registry.Registration{
		Service: registry.App("gateway"), ID: id,
		Instance: registry.Instance{Host: "192.0.2.7", Port: 8080, Weight: 1, Metadata: map[string]string{"instance_status": "UP"}},
	}
}

// registering is a registration under way.
type registering struct {
	stop func()
	mu   sync.Mutex
	told []error
}

func (r *rig) register(reg registry.Registration) *registering {
	g := &registering{}
	g.stop = r.Background(func(ctx context.Context) error { return r.reg.Register(ctx, reg, g.report) })
	return g
}

func (g *registering) report(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, err)
}

func (g *registering) accepted() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, err := range g.told {
		if err == nil {
			n++
		}
	}
	return n
}

func (g *registering) said(part string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, err := range g.told {
		if err != nil && strings.Contains(err.Error(), part) {
			return true
		}
	}
	return false
}

// A registration is what Spring Cloud would write, seen by another client, found by our own watch, and gone at the end.
func TestRegister(t *testing.T) {
	r := newRig(t, shared.get(t))
	p := r.Watch(registry.App("gateway"))
	g := r.register(gateway("gw-1"))
	p.Until("ourselves", registrytest.Has("http://192.0.2.7:8080"))
	registrytest.Within(t, "the report", func() bool { return g.accepted() == 1 })
	data, stat, err := r.writer.conn.Get(r.rservices("gateway/gw-1"))
	must(t, err)
	var got, want map[string]any
	must(t, json.Unmarshal(data, &got))
	must(t, json.Unmarshal([]byte(strings.NewReplacer(`"web"`, `"gateway"`, "6c0f", "gw-1", "application-1", "gw-1").
		Replace(spring("192.0.2.7", `"port":8080,"sslPort":null`, `"instance_status":"UP"`))), &want))
	got["registrationTimeUTC"], want["registrationTimeUTC"] = 0, 0
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if stat.EphemeralOwner == 0 {
		t.Error("it would outlive us")
	}
	// Somebody removes it: that was not us, so it comes back.
	r.writer.remove(r.rservices("gateway/gw-1"))
	registrytest.Within(t, "it is there again", func() bool {
		there, _, err := r.writer.conn.Exists(r.rservices("gateway/gw-1"))
		must(t, err)
		return there
	})
	g.stop()
	if there, _, err := r.writer.conn.Exists(r.rservices("gateway/gw-1")); there || err != nil {
		t.Errorf("it is there after the end: %v", err)
	}
	p.Until("nobody", registrytest.Has())
}

func TestRegistrationsThatNeverWork(t *testing.T) {
	r := newRig(t, shared.get(t))
	for want, change := range map[string]func(*registry.Registration){
		"no Dubbo service":         func(g *registry.Registration) { g.Service = registry.DubboService("a.S", "", "") },
		"name: '/' is not allowed": func(g *registry.Registration) { g.Service.Name = "a/b" },
		"id: a part of the path":   func(g *registry.Registration) { g.ID = "" },
		"port 0":                   func(g *registry.Registration) { g.Instance.Port = 0 },
	} {
		g := gateway("x")
		change(&g)
		if err := r.reg.Register(t.Context(), g, func(error) { t.Error("reported") }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Whatever a registration says comes back through our own eyes.
func TestSpringInstance(t *testing.T) {
	in := registry.Registration{Service: registry.App("gateway"), ID: "1", Instance: registry.Instance{
		Host: "2001:db8::1", Port: 8443, Protocol: "https", Weight: 0.5, Zone: "b", Disabled: true, Metadata: map[string]string{"team": "edge"},
	}}
	data, err := json.Marshal(springInstance(in, time.Now()))
	must(t, err)
	n, err := parseInstance(data, newShelf())
	must(t, err)
	want := in.Instance
	want.Metadata = map[string]string{"team": "edge", "instance_status": "OUT_OF_SERVICE", "weight": "0.5", "zone": "b"}
	if d := cmp.Diff(want, n.plain()); d != "" {
		t.Error(d)
	}
}

// The server loses its data, and with it the registration: it is made again. What a session that is lost has left is
// replaced, and never was away.
func TestRegistrationComesBack(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	r := newRig(t, server)
	g := r.register(gateway("gw-1"))
	registrytest.Within(t, "accepted", func() bool { return g.accepted() == 1 })
	server.Kill()
	must(t, server.Restart()) // the old session is still there, and so is its node
	registrytest.Within(t, "accepted again", func() bool { return g.accepted() == 2 })
	time.Sleep(3 * time.Second) // the old session's timeout, and more
	owner := func() int64 {
		w := newWriter(t, server.Addr())
		_, stat, err := w.conn.Get(r.rservices("gateway/gw-1"))
		must(t, err)
		return stat.EphemeralOwner
	}
	if s, _ := r.reg.tree.current(); owner() != s.conn.Session {
		t.Error("the node is not of the new session")
	}
	must(t, server.Wipe())
	registrytest.Within(t, "accepted by the empty server", func() bool { return g.accepted() == 3 })
	owner()
	must(t, server.Freeze())
	registrytest.Within(t, "stale", func() bool { return r.State() == registry.Stale })
	must(t, server.Thaw())
	registrytest.Within(t, "accepted after a freeze", func() bool { return g.accepted() == 4 })
	server.Kill()
	began := time.Now()
	g.stop()
	if took := time.Since(began); took > registry.WithdrawTimeout+time.Second {
		t.Errorf("the end took %v", took)
	}
	if !g.said("withdraw: no connection") {
		t.Errorf("said %v", g.told)
	}
}

// Two gateways with one id: both say so, and neither busies the server.
func TestRegisteredTwiceByMistake(t *testing.T) {
	server := testbed.StartZooKeeper(t)
	r := newRig(t, server)
	other := newRig(t, server, func(c *Config, _ *registry.Options) { c.ServicesRoot = r.config.ServicesRoot })
	a := r.register(gateway("gw"))
	registrytest.Within(t, "the first accepted", func() bool { return a.accepted() == 1 })
	b := other.register(gateway("gw"))
	registrytest.Within(t, "the second accepted, for it cannot know better", func() bool { return b.accepted() == 1 })
	registrytest.Within(t, "the first complains", func() bool { return a.said("another session has taken its node") })
	_, stat, err := r.writer.conn.Get(r.rservices("gateway/gw"))
	must(t, err)
	time.Sleep(time.Second)
	if _, now, err := r.writer.conn.Get(r.rservices("gateway/gw")); err != nil || now.Czxid != stat.Czxid {
		t.Errorf("fought over: %v", err)
	}
}

// With a user, nobody else may change the node; where the user may not write, the report says what to do.
func TestRegisterWithDigest(t *testing.T) {
	r := newRig(t, shared.get(t), func(c *Config, _ *registry.Options) { c.Username, c.Password = "gateway", "secret" })
	g := r.register(gateway("gw"))
	registrytest.Within(t, "accepted", func() bool { return g.accepted() == 1 })
	if _, err := r.writer.conn.Set(r.rservices("gateway/gw"), []byte("x"), -1); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("a stranger may write: %v", err)
	}
	if _, _, err := r.writer.conn.Get(r.rservices("gateway/gw")); err != nil {
		t.Errorf("a stranger may not read: %v", err)
	}
	g.stop()
	closed := newRig(t, shared.get(t))
	closed.writer.put(closed.config.ServicesRoot, "")
	_, err := closed.writer.conn.SetACL(closed.config.ServicesRoot, zk.DigestACL(zk.PermAll, "gateway", "secret"), -1)
	must(t, err)
	g = closed.register(gateway("gw"))
	registrytest.Within(t, "the advice", func() bool {
		return g.said("register gateway: ") && g.said("no permission (NoAuth): give username and password")
	})
}

// The gateway ends: its registration ends with its session at the latest.
func TestRegistrationEndsWithTheRegistry(t *testing.T) {
	r := newRig(t, shared.get(t))
	run, stop := context.WithCancel(t.Context())
	built, err := r.config.Build(registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}})
	must(t, err)
	z := built.(*zooKeeper)
	var tasks sync.WaitGroup
	g := &registering{}
	tasks.Go(func() { _ = z.Run(run) })
	tasks.Go(func() { _ = z.Register(run, gateway("gw"), g.report) })
	registrytest.Within(t, "accepted", func() bool { return g.accepted() == 1 })
	began := time.Now()
	stop()
	tasks.Wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the end took %v", took)
	}
	if there, _, err := r.writer.conn.Exists(r.rservices("gateway/gw")); there || err != nil {
		t.Errorf("it is there after the end: %v", err)
	}
}
