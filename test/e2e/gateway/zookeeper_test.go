package gateway

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// writer is a client of ZooKeeper that registers what providers would.
type writer struct {
	t    testing.TB
	conn *zk.Conn
}

// quiet is a logger for the client library.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func writeTo(t testing.TB, z *testbed.ZooKeeper) *writer {
	t.Helper()
	conn, _, err := zk.Connect([]string{z.Addr()}, 30*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &writer{t, conn}
}

// put creates an ephemeral node, and its parents, or replaces its data.
func (w *writer) put(node, data string) {
	w.t.Helper()
	acl := zk.WorldACL(zk.PermAll)
	for i, parent := 1, ""; ; i++ {
		next := strings.IndexByte(node[i:], '/')
		if next < 0 {
			break
		}
		i += next
		parent = node[:i]
		if _, err := w.conn.Create(parent, nil, 0, acl); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			w.t.Fatalf("create %s: %v", parent, err)
		}
	}
	_, err := w.conn.Create(node, []byte(data), zk.FlagEphemeral, acl)
	if errors.Is(err, zk.ErrNodeExists) {
		_, err = w.conn.Set(node, []byte(data), -1)
	}
	if err != nil {
		w.t.Fatalf("put %s: %v", node, err)
	}
}

// children are the names below a node, none when it is not there.
func (w *writer) children(node string) []string {
	w.t.Helper()
	names, _, err := w.conn.Children(node)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		w.t.Fatalf("list %s: %v", node, err)
	}
	return names
}

func (w *writer) remove(node string) {
	w.t.Helper()
	if err := w.conn.Delete(node, -1); err != nil {
		w.t.Fatalf("delete %s: %v", node, err)
	}
}

// springNode is where Spring Cloud ZooKeeper registers an instance.
func springNode(service string, b *backend) string {
	return path.Join("/services", service, "id-of-"+strings.ReplaceAll(b.name, " ", "-"))
}

// spring is what it writes there.
func spring(service string, b *backend, status string) string {
	return fmt.Sprintf(`{"name":%q,"id":"id-of-%s","address":%q,"port":%d,"sslPort":null,`+
		`"payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"application-1","name":%q,"metadata":{"instance_status":%q}},`+
		`"registrationTimeUTC":1795369980965,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},`+
		`{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true}]}}`, service, b.name, b.host, b.port, service, status)
}

// TestSpringCloudZooKeeper moves traffic by what Spring Cloud ZooKeeper says of instances.
func TestSpringCloudZooKeeper(t *testing.T) {
	t.Parallel()
	z := sharedZooKeeper(t)
	w := writeTo(t, z)
	const service = "billing"
	a, b, c := serve(t, "a"), serve(t, "b"), serve(t, "c")
	put := func(b *backend, status string) { w.put(springNode(service, b), spring(service, b, status)) }
	put(a, "UP")
	s := start(t, fmt.Sprintf(`
registries:
  - {name: zk, type: zookeeper, addresses: [%q]}
routes:
  - {name: billing, match: {path: "/billing/**"}, to: {service: billing}}
  - {name: any, match: {path: "/any/{service}/**"}, to: {service: "{service}"}}
services:
  - {match: {service: billing}, balance: {policy: roundRobin}}
`, z.Addr()))
	s.untilAnswer("/billing/1", 200, "a")
	s.untilAnswer("/any/billing/1", 200, "a")
	l := s.load("/billing/1", 4)

	put(b, "UP")
	within(t, "b came", l.untilBy("a", "b"))
	put(c, "UP")
	within(t, "c came", l.untilBy("a", "b", "c"))
	put(a, "OUT_OF_SERVICE")
	within(t, "a is out of service", l.untilBy("b", "c"))
	put(a, "UP")
	within(t, "a is up", l.untilBy("a", "b", "c"))
	w.remove(springNode(service, b))
	within(t, "b went", l.untilBy("a", "c"))
	moved := serve(t, "moved")
	w.put(springNode(service, a), spring(service, moved, "UP"))
	within(t, "a moved", l.untilBy("moved", "c"))
	w.remove(springNode(service, c))
	within(t, "c went", l.untilBy("moved"))
	l.wantNoFailure()

	// A new service is reachable by its name.
	if p := s.get("/any/fresh/1").problem(t); p.Status != 404 || p.Code != "no_route" {
		t.Errorf("a service that does not exist: %+v", p)
	}
	fresh := serve(t, "fresh")
	w.put(springNode("fresh", fresh), spring("fresh", fresh, "UP"))
	began := time.Now()
	s.untilAnswer("/any/fresh/1", 200, "fresh")
	within(t, "a service came", time.Since(began))
	w.remove(springNode(service, a))
	s.untilAnswer("/billing/1", 503, "")
}
