package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// providerGarbage are nodes below /dubbo/INTERFACE/providers that no provider would write.
var providerGarbage = []string{
	"no address at all",
	url.QueryEscape("dubbo://127.0.0.1:0/com.example.UserService?interface=com.example.UserService"),
	url.QueryEscape("dubbo://127.0.0.1:70000/com.example.UserService"),
	url.QueryEscape("dubbo://:20880/com.example.UserService"),
	"%zz%",
}

// wantSkipped waits until status counts n bad entries of a service and names each of them.
func (s *sluice) wantSkipped(service string, n int, named ...string) {
	s.t.Helper()
	var entries []string
	until(s.t, func() string { return fmt.Sprintf("%d entries of %s are skipped; %q are", n, service, entries) }, func() bool {
		for _, svc := range s.status().Services {
			if svc.Name == service {
				entries = svc.SkippedEntries
				return svc.Skipped == n
			}
		}
		return false
	})
	for _, name := range named {
		if !slices.ContainsFunc(entries, func(e string) bool { return strings.Contains(e, name) && strings.Contains(e, ": ") }) {
			s.t.Errorf("%s: %q is not named in %q", service, name, entries)
		}
	}
}

func TestGarbageInZooKeeper(t *testing.T) {
	t.Parallel()
	z := sharedZooKeeper(t)
	w := writeTo(t, z)
	good := serve(t, "good")
	for id, data := range map[string]string{
		"empty":     "",
		"prose":     "this is no JSON",
		"list":      "[]",
		"cut":       `{"name":"littered","address":"127.0.0.1","po`,
		"port-0":    `{"name":"littered","address":"127.0.0.1","port":0}`,
		"port-high": `{"name":"littered","address":"127.0.0.1","port":70000}`,
		"nowhere":   `{"name":"littered","address":"","port":80}`,
		"spaces":    `{"name":"littered","address":"a b","port":80}`,
	} {
		w.put("/services/littered/"+id, data)
	}
	w.put(springNode("littered", good), spring("littered", good, "UP"))
	s := start(t, fmt.Sprintf(`
registries:
  - {name: zk, type: zookeeper, addresses: [%q]}
routes:
  - {name: littered, match: {path: "/"}, to: {service: littered}}
`, z.Addr()))
	s.untilAnswer("/", 200, "good")
	s.wantSkipped("littered", 8, "prose", "cut", "port-0", "port-high", "nowhere")
	for range 20 {
		if got := s.get("/"); got.body != "good" {
			t.Errorf("%d %s", got.code, got.body)
		}
	}
}

func TestGarbageInNacos(t *testing.T) {
	t.Parallel()
	n := sharedNacos(t)
	good := serve(t, "good")
	bad := good.in("", "", "littered")
	bad.Port = 0
	odd := serve(t, "odd").in("", "", "littered")
	odd.Metadata["protocol"] = "gopher" // it can be registered, but not spoken to
	for _, i := range []func() error{
		func() error { return n.Register(t.Context(), good.in("", "", "littered")) },
		func() error { return n.Register(t.Context(), bad) },
		func() error { return n.Register(t.Context(), odd) },
	} {
		if err := i(); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, fmt.Sprintf(`
registries:
  - {name: nacos, type: nacos, addresses: [%q]}
routes:
  - {name: littered, match: {path: "/"}, to: {service: littered}}
`, n.Addr()))
	s.untilAnswer("/", 200, "good")
	s.wantSkipped("littered", 1, ":0")
	until(t, text("the instance of an unknown protocol is excluded"), func() bool {
		for _, svc := range s.status().Services {
			if svc.Name == "littered" && len(svc.Instances) == 1 && len(svc.Excluded) == 1 {
				return strings.Contains(svc.Excluded[0].Reason, "gopher")
			}
		}
		return false
	})
	for range 20 {
		if got := s.get("/"); got.body != "good" {
			t.Errorf("%d %s", got.code, got.body)
		}
	}
}
