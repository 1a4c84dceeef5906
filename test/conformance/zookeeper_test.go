package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/zookeeper"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func zooKeeperKind() *kind {
	return &kind{
		name:  "zookeeper",
		empty: func() registry.Config { return zookeeper.Default() },
		share: func() (server, func(), error) { return testbed.SharedZooKeeper() },
		begin: func(t testing.TB) server { return testbed.StartZooKeeper(t) },
		open: func(t testing.TB, s server) *bed {
			address := s.(*testbed.ZooKeeper).Addr()
			return &bed{
				writer:    zooKeeperWriterTo(t, address),
				addresses: []string{address},
				section:   zooKeeperSection,
			}
		},
		secure: secureZooKeeper,
		encrypt: func(t testing.TB, ca *testbed.CA) *bed {
			z := testbed.StartZooKeeper(t, testbed.WithZooKeeperTLS(t, ca.Server("localhost", "127.0.0.1"), ""))
			return &bed{
				server: z, writer: zooKeeperWriterTo(t, z.Addr()),
				addresses: []string{z.SecureAddr()}, section: zooKeeperSection,
			}
		},
		cluster: zooKeeperCluster,
		has:     traits{weight: true, disabled: true, spaces: true, list: true, forgets: true, keeps: true},
	}
}

// zooKeeperSection gives each space a root of its own.
func zooKeeperSection(addresses []string, space string) string {
	return fmt.Sprintf("type: zookeeper, addresses: [%s], sessionTimeout: 4s, servicesRoot: %s, dubboRoot: %s",
		strings.Join(quoted(addresses), ", "), zooKeeperRoot(space), zooKeeperRoot(space)+"-dubbo")
}

func zooKeeperRoot(space string) string { return "/" + cmp.Or(space, "services") }

func quoted(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = strconv.Quote(text)
	}
	return out
}

// secureZooKeeper protects the usual root with a digest: ZooKeeper lets everybody in and refuses node by node.
func secureZooKeeper(t testing.TB) *secured {
	t.Helper()
	k := zooKeeperKind()
	b := k.private(t)
	w := b.writer.(*zooKeeperWriter)
	w.acl = zk.DigestACL(zk.PermAll, "gateway", "secret")
	if err := w.conn.AddAuth("digest", []byte("gateway:secret")); err != nil {
		t.Fatal(err)
	}
	return &secured{bed: b, good: ", username: gateway, password: secret", bad: ", username: gateway, password: wrong"}
}

func zooKeeperCluster(t testing.TB) *cluster {
	t.Helper()
	servers := testbed.StartZooKeeperEnsemble(t, 3)
	leader, others := servers.Leader()
	if leader == nil {
		t.Fatal("nobody leads")
	}
	b := &bed{
		kind: zooKeeperKind(), server: others[0], writer: zooKeeperWriterTo(t, others[0].Addr()),
		addresses: servers.Addrs(), section: zooKeeperSection,
	}
	return &cluster{bed: b, killLeader: func() { leader.Kill() }, restore: func() error { return servers.Restart(leader) }}
}

// zooKeeperWriter registers as Spring Cloud ZooKeeper does: an ephemeral node with a JSON document.
type zooKeeperWriter struct {
	address string
	acl     []zk.ACL

	mu   sync.RWMutex // the connection is replaced by renew
	conn *zk.Conn
}

// mute is a logger for the client library.
type mute struct{}

func (mute) Printf(string, ...any) {}

func zooKeeperWriterTo(t testing.TB, address string) *zooKeeperWriter {
	t.Helper()
	w := &zooKeeperWriter{address: address, acl: zk.WorldACL(zk.PermAll)}
	if err := w.connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	return w
}

// connect asks for a session that outlives everything that is done to the server.
func (w *zooKeeperWriter) connect() (err error) {
	w.conn, _, err = zk.Connect([]string{w.address}, time.Minute, zk.WithLogger(mute{}))
	return err
}

func (w *zooKeeperWriter) renew(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.Close()
	return w.connect()
}

func (w *zooKeeperWriter) path(e entry) string {
	return zooKeeperRoot(e.space) + "/" + e.service + "/" + e.address()
}

func (w *zooKeeperWriter) put(_ context.Context, e entry) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	path, data := w.path(e), zooKeeperDocument(e)
	_, err := w.conn.Create(path, data, zk.FlagEphemeral, w.acl)
	if errors.Is(err, zk.ErrNoNode) {
		if err = w.parents(path); err == nil {
			_, err = w.conn.Create(path, data, zk.FlagEphemeral, w.acl)
		}
	}
	if errors.Is(err, zk.ErrNodeExists) {
		_, err = w.conn.Set(path, data, -1)
	}
	return err
}

func (w *zooKeeperWriter) parents(path string) error {
	for at := 1; ; {
		next := strings.IndexByte(path[at:], '/')
		if next < 0 {
			return nil
		}
		at += next
		if _, err := w.conn.Create(path[:at], nil, 0, w.acl); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
		at++
	}
}

func (w *zooKeeperWriter) remove(_ context.Context, e entry) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	err := w.conn.Delete(w.path(e), -1)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// zooKeeperDocument is what curator-x-discovery and Spring Cloud write.
func zooKeeperDocument(e entry) []byte {
	status := "UP"
	if e.disabled {
		status = "OUT_OF_SERVICE"
	}
	return fmt.Appendf(nil, `{"name":%q,"id":%q,"address":%q,"port":%d,"sslPort":null,"payload":{"@class":`+
		`"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"application-1","name":%q,"metadata":`+
		`{"instance_status":%q,"weight":"%v","who":%q}},"registrationTimeUTC":1,"serviceType":"DYNAMIC","uriSpec":null}`,
		e.service, e.address(), e.host, e.port, e.service, status, cmp.Or(e.weight, 1), e.who)
}
