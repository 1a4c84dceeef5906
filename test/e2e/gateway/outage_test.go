package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// outage is a registry that can be taken away, with a way to register in it.
type outage struct {
	section  string // of the configuration, named "reg"
	kill     func()
	restart  func() error
	register func(*backend)
}

func TestZooKeeperOutage(t *testing.T) {
	t.Parallel()
	z := testbed.StartZooKeeper(t)
	w := writeTo(t, z)
	outage{
		section:  fmt.Sprintf("{name: reg, type: zookeeper, addresses: [%q], sessionTimeout: 4s}", z.Addr()),
		kill:     z.Kill,
		restart:  z.Restart,
		register: func(b *backend) { w.put(springNode("orders", b), spring("orders", b, "UP")) },
	}.test(t)
}

func TestNacosOutage(t *testing.T) {
	t.Parallel()
	n := testbed.StartNacos(t)
	outage{
		section: fmt.Sprintf("{name: reg, type: nacos, addresses: [%q]}", n.Addr()),
		kill:    n.Kill,
		restart: n.Restart,
		register: func(b *backend) {
			if err := n.Register(t.Context(), b.in("", "", "orders")); err != nil {
				t.Fatal(err)
			}
		},
	}.test(t)
}

// test starts a gateway while the registry is down, lets the registry come, takes it away under load, and lets it come back.
func (o outage) test(t *testing.T) {
	a, b, local := serve(t, "a"), serve(t, "b"), serve(t, "local")
	o.register(a)
	o.kill()

	body := fmt.Sprintf(`
registries:
  - %s
  - {name: here, type: static, services: {local: [%q]}}
routes:
  - {name: orders, match: {path: "/orders"}, to: {service: orders, registry: reg}}
  - {name: local, match: {path: "/local"}, to: {service: local, registry: here}}
  - {name: fixed, match: {path: "/fixed"}, filters: [{fixedResponse: {status: 200, body: fixed}}]}
services:
  - {match: {service: orders}, balance: {policy: roundRobin}}
`, o.section, local.address())
	s := configure(t, body).run()
	s.untilAnswer("/local", 200, "local")
	s.untilAnswer("/fixed", 200, "fixed")
	if r := s.readiness(); r.Ready || !strings.Contains(strings.Join(r.Waiting, "\n"), "registry reg ") {
		t.Errorf("without its registry: %+v", r)
	}
	if p := s.get("/orders").problem(t); p.Status != 503 || p.Code != "no_instance" {
		t.Errorf("a service nobody knows yet: %+v", p)
	}
	until(t, text("status tells of the failure"), func() bool {
		for _, r := range s.status().Registries {
			if r.Name == "reg" && r.LastError != "" && r.LastPush == nil {
				return r.State != "live"
			}
		}
		return false
	})

	// Another gateway does not wait for long.
	hasty := configure(t, body+"startup: {timeout: 300ms}\n").run()
	hasty.untilReady()
	if r := hasty.readiness(); len(r.Waiting) == 0 {
		t.Error("a gateway that stopped waiting does not say for what")
	}

	if err := o.restart(); err != nil {
		t.Fatal(err)
	}
	s.untilReady()
	s.untilAnswer("/orders", 200, "a")
	hasty.untilAnswer("/orders", 200, "a")

	// The last word of a registry that is gone counts on.
	l := s.load("/orders", 4)
	l.untilBy("a")
	o.kill()
	until(t, text("the registry is stale, with an error"), func() bool {
		for _, r := range s.status().Registries {
			if r.Name == "reg" {
				return r.State == "stale" && r.LastError != "" && r.LastPush != nil
			}
		}
		return false
	})
	l.untilMore(200)
	if code, _, err := s.ask(t.Context(), "/readyz"); err != nil || code != http.StatusOK {
		t.Errorf("a gateway that serves is not ready: %d %v", code, err)
	}
	if err := o.restart(); err != nil {
		t.Fatal(err)
	}
	o.register(b)
	l.untilBy("a", "b")
	until(t, text("the registry is live"), func() bool {
		for _, r := range s.status().Registries {
			if r.Name == "reg" {
				return r.State == "live"
			}
		}
		return false
	})
	l.wantNoFailure()
}
