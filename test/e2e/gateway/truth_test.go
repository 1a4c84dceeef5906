package gateway

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestRegistersItself: others find the gateway in Nacos and ZooKeeper from the moment it is ready, under another name after
// a reload, and no more before it stops to take requests.
func TestRegistersItself(t *testing.T) {
	t.Parallel()
	n, z := sharedNacos(t), sharedZooKeeper(t)
	w := writeTo(t, z)
	registries := fmt.Sprintf(`
registries:
  - {name: nacos, type: nacos, addresses: [%q]}
  - {name: zk, type: zookeeper, addresses: [%q]}
routes:
  - {name: fixed, match: {path: "/**"}, filters: [{fixedResponse: {status: 200, body: fixed}}]}
shutdown: {delay: 2s, grace: 5s}
`, n.Addr(), z.Addr())
	s := start(t, registries+`
registrations:
  - {registry: nacos, service: edge, metadata: {team: platform}}
  - {registry: zk, service: edge}
`)
	hosts := func(service string) string {
		t.Helper()
		text, err := n.Hosts(t.Context(), "DEFAULT_GROUP", service)
		if err != nil {
			return err.Error()
		}
		return text
	}
	inNacos := func(service string) bool { return strings.Contains(hosts(service), s.address[len("127.0.0.1:"):]) }
	inZooKeeper := func(service string) bool { return len(w.children("/services/"+service)) == 1 }
	until(t, func() string { return "the gateway is registered: " + hosts("edge") }, func() bool { return inNacos("edge") && inZooKeeper("edge") })
	if !strings.Contains(hosts("edge"), "platform") {
		t.Errorf("without its metadata: %s", hosts("edge"))
	}
	until(t, text("status tells of both"), func() bool {
		_, body, err := s.ask(t.Context(), "/api/v1/status")
		return err == nil && strings.Count(string(body), `"announced": true`) == 2
	})

	s.write(registries + "registrations: [{registry: nacos, service: edge-v2}]\n")
	until(t, text("the new name"), func() bool { return inNacos("edge-v2") })
	until(t, text("the old names are gone"), func() bool { return !inNacos("edge") && !inZooKeeper("edge") })

	s.program.Signal(syscall.SIGTERM)
	until(t, text("it has left"), func() bool { return !inNacos("edge-v2") })
	if a, err := s.do(http.MethodGet, "/", ""); err != nil || a.code != 200 {
		t.Errorf("a request that came after the gateway had left the registry: %v %v", a.code, err)
	}
	<-s.program.Done()
}

// TestStartsFromDisk: a gateway that starts while its registry is down serves what was true when it stopped, says so, and
// takes up what is true now when the registry is back.
func TestStartsFromDisk(t *testing.T) {
	t.Parallel()
	z := testbed.StartZooKeeper(t)
	w := writeTo(t, z)
	a, b := serve(t, "a"), serve(t, "b")
	w.put(springNode("orders", a), spring("orders", a, "UP"))
	folder := filepath.Join(t.TempDir(), "kept")
	body := fmt.Sprintf(`
registries:
  - {name: zk, type: zookeeper, addresses: [%q], sessionTimeout: 4s}
lastKnownGood: {path: %q}
routes:
  - {name: orders, match: {path: "/orders"}, to: {service: orders}}
  - {name: any, match: {path: "/any/{service}"}, to: {service: "{service}"}}
services:
  - {match: {service: orders}, balance: {policy: roundRobin}}
`, z.Addr(), folder)
	s := start(t, body)
	s.untilAnswer("/orders", 200, "a")
	s.untilAnswer("/any/orders", 200, "a")
	if err := s.program.Stop(); err != nil {
		t.Fatal(err)
	}
	z.Kill()

	s.run()
	s.untilReady()
	s.untilAnswer("/orders", 200, "a")
	s.untilAnswer("/any/orders", 200, "a")
	_, status, err := s.ask(t.Context(), "/api/v1/services/orders")
	if err != nil || !strings.Contains(string(status), `"stale": true`) {
		t.Errorf("what is served from disk is not called stale: %s, %v", status, err)
	}
	if err := z.Restart(); err != nil {
		t.Fatal(err)
	}
	w.put(springNode("orders", b), spring("orders", b, "UP"))
	w.remove(springNode("orders", a))
	s.untilAnswer("/orders", 200, "b")
	until(t, text("it is not stale any more"), func() bool {
		_, status, err := s.ask(t.Context(), "/api/v1/services/orders")
		return err == nil && !strings.Contains(string(status), `"stale"`) && !strings.Contains(string(status), a.address())
	})
}

// TestMovingBetweenRegistries: services move from ZooKeeper to Nacos one instance at a time, under load, while routes name
// neither but both.
func TestMovingBetweenRegistries(t *testing.T) {
	t.Parallel()
	n, z := sharedNacos(t), sharedZooKeeper(t)
	w := writeTo(t, z)
	const service = "moving"
	a, b := serve(t, "a"), serve(t, "b")
	w.put(springNode(service, a), spring(service, a, "UP"))
	w.put(springNode(service, b), spring(service, b, "UP"))
	s := start(t, fmt.Sprintf(`
registries:
  - {name: both, type: merged, members: [nacos, zk]}
  - {name: nacos, type: nacos, addresses: [%q]}
  - {name: zk, type: zookeeper, addresses: [%q]}
routes:
  - {name: moving, match: {path: "/moving"}, to: {service: moving, registry: both}}
services:
  - {match: {service: moving}, balance: {policy: roundRobin}}
`, n.Addr(), z.Addr()))
	s.untilAnswer("/moving", 200, "a")
	s.untilAnswer("/moving", 200, "b")
	source := func(address, registry string) bool {
		_, body, err := s.ask(t.Context(), "/api/v1/services/"+service)
		return err == nil && strings.Contains(string(body), fmt.Sprintf("\"address\": %q,\n          \"source\": %q", address, registry))
	}
	l := s.load("/moving", 4)
	for _, i := range []*backend{a, b} {
		if err := n.Register(t.Context(), i.in("", "", service)); err != nil {
			t.Fatal(err)
		}
		until(t, text("Nacos describes "+i.name), func() bool { return source(i.address(), "nacos") })
		w.remove(springNode(service, i))
	}
	if err := n.Deregister(t.Context(), a.in("", "", service)); err != nil {
		t.Fatal(err)
	}
	until(t, text("the moved instance can leave"), func() bool { return !source(a.address(), "nacos") })
	l.end()
	if failures := l.failed(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(failures), l.count(), failures[0])
	}
	s.untilAnswer("/moving", 200, "b")
}
