package nacos

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// announced is a registration that runs until stop.
type announced struct {
	stop func()
	mu   sync.Mutex
	said []error
}

func (r *rig) register(name registry.ServiceName, i registry.Instance) *announced {
	a := &announced{}
	a.stop = r.Background(func(ctx context.Context) error {
		return r.reg.Register(ctx, registry.Registration{Service: name, Instance: i, ID: "gw-1"}, func(err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.said = append(a.said, err)
		})
	})
	return a
}

// accepted is how often the registry has accepted it.
func (a *announced) accepted() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, err := range a.said {
		if err == nil {
			n++
		}
	}
	return n
}

func (a *announced) refused(part string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, err := range a.said {
		if err != nil && strings.Contains(err.Error(), part) {
			return true
		}
	}
	return false
}

// TestRegister is seen by Nacos's own client and by the server's own API.
func TestRegister(t *testing.T) {
	_, rpc, behind := front(t, shared(t).Addr(), nil)
	r := newRig(t, shared(t).Addr(), behind)
	reader := startSDK(t, shared(t).Addr())
	name := uniq(t, "gateway")
	a := r.register(registry.App(name), registry.Instance{
		Host: "10.7.0.1", Port: 8443, Weight: 2, Protocol: "https", Zone: "z1", Metadata: map[string]string{"version": "1"},
	})
	registrytest.Within(t, "the SDK to see it", func() bool { return reader.selects(name) == "10.7.0.1:8443" })
	hosts, err := shared(t).Hosts(t.Context(), "", name)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"ephemeral":true`, `"weight":2.0`, `"secure":"true"`, `"zone":"z1"`, `"version":"1"`} {
		if !strings.Contains(hosts, want) {
			t.Errorf("%s lacks %s", hosts, want)
		}
	}
	if err := r.reg.Register(t.Context(), registry.Registration{Service: registry.App(name), Instance: registry.Instance{Host: "h", Port: 1}}, nil); err == nil {
		t.Error("a second registration of the same service is taken")
	}

	rpc.refuse(true)
	registrytest.Within(t, "the server to drop it with the connection", func() bool { return reader.selects(name) == "" })
	n := a.accepted()
	rpc.refuse(false)
	registrytest.Within(t, "it to be announced again", func() bool { return a.accepted() > n && reader.selects(name) == "10.7.0.1:8443" })

	began := time.Now()
	a.stop()
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("withdrawn after %v", d)
	}
	// The connection stays, so that it is the withdrawal that the server follows; its lists do a moment after its answer.
	registrytest.Within(t, "the server to drop it", func() bool { return reader.selects(name) == "" })
	r.Await(registry.Live)
	again := r.register(registry.App(name), registry.Instance{Host: "10.7.0.2", Port: 80, Weight: 1})
	registrytest.Within(t, "the next one", func() bool { return again.accepted() == 1 })
}

func TestRegisterIsTriedAgain(t *testing.T) {
	f := startFake(t)
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) {
			return refused(500, "The Raft Group [naming_persistent_service_v2] did not find the Leader node"), kind == typeInstance
		}
	})
	c := Default()
	c.Addresses, c.GRPCPortOffset, c.Groups = []string{f.address}, 0, []string{"edge", "other"}
	r := &rig{Rig: registrytest.New(t), config: c}
	r.reg = newClient(c, registry.Options{Logger: quietLogger(), Report: r.Report})
	r.Use(r.reg)
	a := r.register(registry.App("gw"), registry.Instance{Host: "10.0.0.1", Port: 80, Weight: 1}) // before Run
	stop := r.Background(r.reg.Run)
	registrytest.Within(t, "the refusal", func() bool { return a.refused("registration of edge@@gw: InstanceRequest refused: 500 The Raft Group") })
	f.with(func() {
		f.answer = func(kind string, _ map[string]any) (any, bool) { return refused(403, "no"), kind == typeInstance }
	})
	registrytest.Within(t, "advice", func() bool { return a.refused("give username and password") })
	f.with(func() { f.answer = nil })
	registrytest.Within(t, "the acceptance", func() bool { return a.accepted() == 1 })
	f.restart(func() {})
	registrytest.Within(t, "the second acceptance", func() bool { return a.accepted() == 2 })
	stop()
	began := time.Now()
	a.stop() // there is nobody any more to tell
	if d := time.Since(began); d > time.Second {
		t.Errorf("it took %v to end without a connection", d)
	}
}

func TestRegisterRefusesNonsense(t *testing.T) {
	c := Default()
	c.Addresses = []string{"127.0.0.1:1"}
	reg := newClient(c, registry.Options{Logger: quietLogger(), Report: func(registry.State, error) {}})
	good := registry.Instance{Host: "h", Port: 1}
	for _, r := range []registry.Registration{
		{Service: registry.App(""), Instance: good},
		{Service: registry.App("a b"), Instance: good},
		{Service: registry.App("a"), Instance: registry.Instance{Host: "h"}},
		{Service: registry.DubboService("a", "", ""), Instance: good},
	} {
		if err := reg.Register(t.Context(), r, nil); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := reg.Register(ctx, registry.Registration{Service: registry.App("a"), Instance: good}, nil); err != nil || time.Since(began) > time.Second {
		t.Errorf("with its context ended: %v after %v", err, time.Since(began))
	}
	if len(reg.ours) != 0 {
		t.Error("it is remembered")
	}
}
