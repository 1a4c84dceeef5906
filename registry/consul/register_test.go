package consul

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func gateway() registry.Registration {
	return registry.Registration{
		Service: registry.App("gateway"), ID: "gateway-1",
		Instance: registry.Instance{
			Host: "192.0.2.7", Port: 8080, Protocol: "https", Weight: 2.6, Zone: "a",
			Metadata: map[string]string{"version": "1", "with.dots": "x", "tags": "edge,eu"},
		},
	}
}

// registered runs a registration and keeps what it reports.
func (r *rig) registered(what registry.Registration) (said func() []error, stop func()) {
	var mu sync.Mutex
	var all []error
	stop = r.Background(func(ctx context.Context) error {
		return r.reg.Register(ctx, what, func(err error) { mu.Lock(); defer mu.Unlock(); all = append(all, err) })
	})
	return func() []error { mu.Lock(); defer mu.Unlock(); return append([]error(nil), all...) }, stop
}

func (a *agent) find(id string) *api.AgentService {
	s, _, err := a.api.Agent().Service(id, nil)
	if err != nil {
		return nil
	}
	return s
}

func TestRegister(t *testing.T) {
	server := testbed.StartConsul(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	w := r.Watch(registry.App("gateway"))
	said, stop := r.registered(gateway())
	s := w.Until("ourselves", has("192.0.2.7:8080"))
	i := s.Instances[0]
	if i.Protocol != "https" || i.Weight != 3 || i.Zone != "a" {
		t.Errorf("%+v", i)
	}
	for key, want := range map[string]string{"version": "1", "with.dots": "x", "tags": "edge,eu", "secure": "true"} {
		if i.Metadata[key] != want {
			t.Errorf("%s is %q", key, i.Metadata[key])
		}
	}
	checks, err := a.api.Agent().ChecksWithFilter(`ServiceID == "gateway-1"`)
	must(t, err)
	if c := checks["service:gateway-1"]; len(checks) != 1 || c.Type != "ttl" || c.Status != api.HealthPassing {
		t.Errorf("%+v", checks)
	}
	if reports := said(); len(reports) != 1 || reports[0] != nil {
		t.Errorf("%v", reports)
	}

	// Somebody throws us out: we come back.
	a.deregister("gateway-1")
	w.Until("gone", has())
	w.Until("back", has("192.0.2.7:8080"))

	// The server loses everything.
	server.Kill()
	r.Await(registry.Stale)
	must(t, server.Restart())
	a = newAgent(t, server)
	registrytest.Within(t, "back again", func() bool { return a.find("gateway-1") != nil })

	began := time.Now()
	stop()
	if a.find("gateway-1") != nil || time.Since(began) > time.Second {
		t.Errorf("not withdrawn, or late: %v", time.Since(began))
	}
}

// The agent asks a URL, and Run may have ended before the registration is withdrawn.
func TestRegisterWithHealthURL(t *testing.T) {
	health := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer health.Close()
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	what := gateway()
	what.HealthURL = health.URL + "/healthz"
	what.ID, what.Service = uniqueName(t), registry.App(uniqueName(t))
	_, stop := r.registered(what)
	registrytest.Within(t, "ourselves", func() bool { return a.find(what.ID) != nil })
	checks, err := a.api.Agent().ChecksWithFilter(`ServiceID == "` + what.ID + `"`)
	must(t, err)
	if c := checks["service:"+what.ID]; c == nil || c.Type != "http" || c.Status != api.HealthPassing {
		t.Errorf("%+v", checks)
	}
	r.Stop()
	stop()
	if a.find(what.ID) != nil {
		t.Error("it is still there")
	}
}

// Nobody is there to take the withdrawal: it is given up in time.
func TestWithdrawIsBounded(t *testing.T) {
	server := testbed.StartConsul(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	said, stop := r.registered(gateway())
	registrytest.Within(t, "ourselves", func() bool { return a.find("gateway-1") != nil })
	must(t, server.Freeze())
	began := time.Now()
	stop()
	if d := time.Since(began); d > registry.WithdrawTimeout+time.Second {
		t.Errorf("it took %v", d)
	}
	reports := said()
	if last := reports[len(reports)-1]; last == nil || !strings.Contains(last.Error(), "withdraw gateway: no answer in time") {
		t.Errorf("%v", reports)
	}
}

func TestRegisterWithoutTheRight(t *testing.T) {
	server := testbed.StartConsul(t, testbed.WithACL(management))
	a := newAgent(t, server)
	token, _ := a.token("reader", readsWeb)
	r := newRig(t, server.Addr(), withToken(token))
	said, _ := r.registered(gateway())
	registrytest.Within(t, "a refusal", func() bool { return len(said()) > 0 })
	if err := said()[0]; err == nil || !strings.Contains(err.Error(), "registering service:write") {
		t.Error(err)
	}
}

func TestAnnouncementRefuses(t *testing.T) {
	for want, change := range map[string]func(*registry.Registration){
		"the name is empty":      func(r *registry.Registration) { r.Service.Name = "" },
		"only ordinary services": func(r *registry.Registration) { r.Service = registry.DubboService("a.B", "", "") },
		"no host":                func(r *registry.Registration) { r.Instance.Host = "" },
		"id: the name is empty":  func(r *registry.Registration) { r.ID = "" },
	} {
		what := gateway()
		change(&what)
		err := newConsul(Default(), registry.Options{}).Register(t.Context(), what, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestAnnouncementFits(t *testing.T) {
	what := gateway()
	what.Instance.Metadata = map[string]string{"long": strings.Repeat("x", 513), "consul-x": "1", "": "2", "ok": "3", "ä": "4"}
	for n := range 70 {
		what.Instance.Metadata["n"+formatInt(n)] = "v"
	}
	a, err := announcement(what)
	must(t, err)
	if len(a.Meta) != 64 || len(a.Meta)+len(a.Tags) != 75+3 { // and protocol, secure, zone
		t.Errorf("%d in Meta, %d tags", len(a.Meta), len(a.Tags))
	}
	what.Instance.Weight = 0.1
	if a, err = announcement(what); err != nil || a.Weights.Passing != 1 {
		t.Errorf("%v, %v", a.Weights, err)
	}
}
