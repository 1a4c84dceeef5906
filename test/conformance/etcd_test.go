package conformance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/etcd"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func etcdKind() *kind {
	return &kind{
		name:  "etcd",
		empty: func() registry.Config { return etcd.Default() },
		share: func() (server, func(), error) { return testbed.SharedEtcd() },
		begin: func(t testing.TB) server { return testbed.StartEtcd(t) },
		open:  openEtcd,
		secure: func(t testing.TB) *secured {
			k := etcdKind()
			e := testbed.StartEtcd(t, testbed.WithAuth("root", "right"))
			b := k.open(t, e)
			b.kind, b.server = k, e
			return &secured{bed: b, good: ", username: root, password: right", bad: ", username: root, password: wrong"}
		},
		encrypt: func(t testing.TB, ca *testbed.CA) *bed {
			pair := ca.Server("localhost", "127.0.0.1")
			e := testbed.StartEtcd(t, testbed.WithTLS(pair.Cert, pair.Key))
			b := openEtcd(t, e)
			b.server = e
			return b
		},
		cluster: etcdCluster,
		has:     traits{weight: true, disabled: true, unhealthy: true, spaces: true, list: true, forgets: true, keeps: true},
	}
}

func openEtcd(_ testing.TB, s server) *bed {
	e := s.(*testbed.Etcd)
	return &bed{writer: etcdWriter{e}, addresses: []string{e.Addr()}, section: etcdSection}
}

// etcdSection gives each space a prefix of its own.
func etcdSection(addresses []string, space string) string {
	return fmt.Sprintf("type: etcd, addresses: [%s], prefix: %s, servicesRoot: %s, timeouts: {request: 2s, keepAlive: 1s}",
		strings.Join(quoted(addresses), ", "), etcdPrefix(space), etcdPrefix(space))
}

func etcdPrefix(space string) string { return "/" + cmp.Or(space, "services") }

func etcdCluster(t testing.TB) *cluster {
	t.Helper()
	members := testbed.StartEtcdCluster(t)
	var leader, other *testbed.Etcd
	var addresses []string
	for _, m := range members {
		addresses = append(addresses, m.Addr())
		leads, err := m.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if leads {
			leader = m
		} else {
			other = m
		}
	}
	if leader == nil || other == nil {
		t.Fatal("nobody leads")
	}
	b := openEtcd(t, other)
	b.kind, b.server, b.addresses = etcdKind(), other, addresses
	return &cluster{bed: b, killLeader: func() { leader.Kill() }, restore: leader.Restart}
}

// etcdWriter writes keys through the server's HTTP interface.
type etcdWriter struct{ server *testbed.Etcd }

func (w etcdWriter) renew(context.Context) error { return nil }

func (w etcdWriter) key(e entry) string {
	return etcdPrefix(e.space) + "/" + e.service + "/" + e.address()
}

func (w etcdWriter) put(ctx context.Context, e entry) error {
	value, err := json.Marshal(map[string]any{
		"address": e.address(), "weight": cmp.Or(e.weight, 1), "enabled": !e.disabled, "healthy": !e.unhealthy,
		"metadata": map[string]string{"who": e.who},
	})
	if err != nil {
		return err
	}
	return w.server.Put(ctx, w.key(e), string(value))
}

func (w etcdWriter) remove(ctx context.Context, e entry) error { return w.server.Delete(ctx, w.key(e)) }
