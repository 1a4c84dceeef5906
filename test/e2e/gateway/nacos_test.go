package gateway

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// follows is the promise: traffic is where the registry says within this time.
const follows = 2 * time.Second

func within(t testing.TB, what string, took time.Duration) {
	t.Helper()
	t.Logf("%s: traffic followed after %v", what, took.Round(time.Millisecond))
	if took > follows {
		t.Errorf("%s: traffic followed after %v, not within %v", what, took, follows)
	}
}

// TestNacosService moves traffic by everything that can be said of an instance in Nacos, in a group and a namespace of
// their own, while requests run: none of them may fail.
func TestNacosService(t *testing.T) {
	t.Parallel()
	n := sharedNacos(t)
	ctx := t.Context()
	const namespace, group, service = "shop", "SHOP_GROUP", "orders"
	if err := n.CreateNamespace(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	change := func(do func(context.Context, testbed.Instance) error, i testbed.Instance) {
		t.Helper()
		if err := do(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	a, b, c := serve(t, "a"), serve(t, "b"), serve(t, "c")
	other, elsewhere := serve(t, "other group"), serve(t, "other namespace")
	change(n.Register, a.in(namespace, group, service))
	change(n.Register, other.in(namespace, "OTHER_GROUP", service))
	change(n.Register, elsewhere.in("", group, service))

	s := start(t, fmt.Sprintf(`
registries:
  - {name: nacos, type: nacos, addresses: [%q], namespace: %s, groups: [%s]}
routes:
  - name: orders
    match: {path: "/orders/**"}
    filters:
      - stripPrefix: {parts: 1}
    to: {service: %s}
services:
  - {match: {service: %s}, balance: {policy: roundRobin}}
`, n.Addr(), namespace, group, service, service))
	s.untilAnswer("/orders/1", 200, "a")
	l := s.load("/orders/1", 4)

	change(n.Register, b.in(namespace, group, service))
	within(t, "b came", l.untilBy("a", "b"))
	change(n.Register, c.in(namespace, group, service))
	within(t, "c came", l.untilBy("a", "b", "c"))
	change(n.Deregister, a.in(namespace, group, service))
	within(t, "a went", l.untilBy("b", "c"))

	disabled := b.in(namespace, group, service)
	disabled.Disabled = true
	change(n.Update, disabled)
	within(t, "b is disabled", l.untilBy("c"))
	change(n.Update, b.in(namespace, group, service))
	within(t, "b is enabled", l.untilBy("b", "c"))

	weightless := c.in(namespace, group, service)
	weightless.Weight = testbed.NoWeight
	change(n.Update, weightless)
	within(t, "c has weight 0", l.untilBy("b"))
	change(n.Update, c.in(namespace, group, service))
	within(t, "c has weight 1", l.untilBy("b", "c"))

	ill := b.in(namespace, group, service)
	ill.Unhealthy = true
	change(n.Update, ill)
	within(t, "b is unhealthy", l.untilBy("c"))
	change(n.Update, b.in(namespace, group, service))
	within(t, "b is healthy", l.untilBy("b", "c"))

	moved := serve(t, "moved")
	change(n.Register, moved.in(namespace, group, service))
	change(n.Deregister, b.in(namespace, group, service))
	change(n.Deregister, c.in(namespace, group, service))
	within(t, "everything moved", l.untilBy("moved"))
	l.wantNoFailure()

	change(n.Deregister, moved.in(namespace, group, service))
	s.untilAnswer("/orders/1", 503, "")
	none := s.get("/orders/1")
	if p := none.problem(t); p.Code != "no_instance" || none.header.Get("Retry-After") == "" {
		t.Errorf("without instances: %+v, Retry-After %q", p, none.header.Get("Retry-After"))
	}
}

// TestNacosWeights looks at shares, not only at who is asked at all.
func TestNacosWeights(t *testing.T) {
	t.Parallel()
	n := sharedNacos(t)
	heavy, light := serve(t, "heavy"), serve(t, "light")
	i := heavy.in("", "", "weights")
	i.Weight = 3
	for _, i := range []testbed.Instance{i, light.in("", "", "weights")} {
		if err := n.Register(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, fmt.Sprintf(`
registries:
  - {name: nacos, type: nacos, addresses: [%q]}
routes:
  - {name: weights, match: {path: "/**"}, to: {service: weights}}
services:
  - {match: {service: weights}, balance: {policy: roundRobin}}
`, n.Addr()))
	until(t, text("both instances"), func() bool {
		services := s.status().Services
		return len(services) == 1 && len(services[0].Instances) == 2
	})
	shares := map[string]int{}
	for range 400 {
		shares[s.get("/").body]++
	}
	if shares["heavy"] != 300 || shares["light"] != 100 {
		t.Errorf("shares %v, not 300 and 100", shares)
	}
}

// TestNacosDynamicService names the service in the path: every service of the list is reachable, as soon as it exists.
func TestNacosDynamicService(t *testing.T) {
	t.Parallel()
	n := sharedNacos(t)
	ctx := t.Context()
	if err := n.CreateNamespace(ctx, "dynamic"); err != nil {
		t.Fatal(err)
	}
	users, stock := serve(t, "users"), serve(t, "stock")
	if err := n.Register(ctx, users.in("dynamic", "", "users")); err != nil {
		t.Fatal(err)
	}
	s := start(t, fmt.Sprintf(`
registries:
  - {name: nacos, type: nacos, addresses: [%q], namespace: dynamic}
routes:
  - {name: any, match: {path: "/{service}/**"}, to: {service: "{service}"}}
`, n.Addr()))
	s.untilAnswer("/users/1", 200, "users")
	if p := s.get("/stock/1").problem(t); p.Code != "no_route" || p.Status != 404 {
		t.Errorf("a service that does not exist: %+v", p)
	}
	if err := n.Register(ctx, stock.in("dynamic", "", "stock")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.untilAnswer("/stock/1", 200, "stock")
	within(t, "stock was registered", time.Since(began))
	s.untilAnswer("/users/2", 200, "users")
	if err := n.Deregister(ctx, stock.in("dynamic", "", "stock")); err != nil {
		t.Fatal(err)
	}
	until(t, text("stock is gone"), func() bool { return s.get("/stock/1").code != 200 })
	s.untilAnswer("/users/2", 200, "users")
}
