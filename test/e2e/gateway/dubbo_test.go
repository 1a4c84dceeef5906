package gateway

import (
	"fmt"
	"testing"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// untilProvider waits until the provider's service answers with its types known.
func (s *sluice) untilProvider() {
	s.t.Helper()
	s.untilAnswer("/rpc/ping", 200, `"pong"`)
	s.untilAnswer("/grouped", 200, `"g1/1.0.0"`)
}

// TestDubboInZooKeeper calls Java providers in every way in which they register in ZooKeeper, beside garbage.
func TestDubboInZooKeeper(t *testing.T) {
	for _, c := range []struct {
		name    string
		options testbed.ProviderOptions
	}{
		{"3.3.6", testbed.ProviderOptions{}},
		{"3.3.6 by application", testbed.ProviderOptions{RegisterMode: "instance"}},
		{"3.3.6 with Triple beside it", testbed.ProviderOptions{Protocols: []string{"tri", "dubbo"}}},
		{"2.7.23", testbed.ProviderOptions{Version: "2.7.23"}},
		{"2.7.23 by application", testbed.ProviderOptions{Version: "2.7.23", RegisterMode: "instance"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			z := testbed.StartZooKeeper(t)
			s := start(t, fmt.Sprintf("registries:\n  - {name: zk, type: zookeeper, addresses: [%q]}\n%s", z.Addr(), userRoutes))
			w := writeTo(t, z)
			for _, node := range providerGarbage {
				w.put("/dubbo/com.example.UserService/providers/"+node, "")
			}
			// The provider comes later than the gateway, as often in life.
			c.options.Registry = "zookeeper://" + z.Addr()
			testbed.StartDubboProvider(t, c.options)
			s.untilProvider()
			users{s}.all(t)
			s.wantSkipped("*/com.example.UserService:*", len(providerGarbage), "no address at all", "127.0.0.1:0: ", "70000")
		})
	}
}

// TestDubboInNacos is the same with Nacos as registry, mapping and store of definitions.
func TestDubboInNacos(t *testing.T) {
	t.Parallel()
	n := sharedNacos(t)
	testbed.StartDubboProvider(t, testbed.ProviderOptions{Registry: "nacos://" + n.Addr()})
	s := start(t, fmt.Sprintf("registries:\n  - {name: nacos, type: nacos, addresses: [%q]}\n%s", n.Addr(), userRoutes))
	s.untilProvider()
	users{s}.all(t)
}
