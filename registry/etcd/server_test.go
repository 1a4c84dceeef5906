package etcd

import (
	"context"
	"fmt"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestLife: a service from nothing to nothing, as its own watch and the list of services see it.
func TestLife(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	p.put(c.Prefix+"/other/a", "10.9.9.9:80")
	r := run(t, c)
	orders, none, list := r.Watch(registry.App("orders")), r.Watch(registry.App("none")), r.WatchServices()
	shows(t, orders, "10.0.0.1:80")
	shows(t, none)
	lists := func(want ...registry.ServiceName) {
		t.Helper()
		list.Until(fmt.Sprint(want), func(s registry.ServiceSet) bool { return slices.Equal(s.Services, want) })
	}
	lists(registry.App("orders"), registry.App("other"))

	p.put(c.Prefix+"/orders/b", `{"host":"10.0.0.2","port":8080,"weight":3,"protocol":"https","zone":"z1","metadata":{"v":"2","n":1}}`)
	b := shows(t, orders, "10.0.0.1:80", "https://10.0.0.2:8080").Instances[1]
	if b.Weight != 3 || b.Zone != "z1" || b.Metadata["v"] != "2" || b.Metadata["n"] != "1" {
		t.Errorf("%+v", b)
	}
	p.put(c.Prefix+"/orders/b", "10.0.0.3:80") // changed
	shows(t, orders, "10.0.0.1:80", "10.0.0.3:80")
	p.put(c.Prefix+"/new", "") // a folder is nothing
	p.put(c.Prefix+"/new/x", "10.0.0.4:80")
	lists(registry.App("new"), registry.App("orders"), registry.App("other"))

	before := none.Count()
	p.remove(c.Prefix + "/orders/a")
	shows(t, orders, "10.0.0.3:80")
	p.remove(c.Prefix + "/orders/b")
	shows(t, orders)
	lists(registry.App("new"), registry.App("other"))
	if none.Count() != before {
		t.Error("others were woken by it")
	}
}

// TestLease: an instance whose owner is gone goes with its lease.
func TestLease(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	lease, err := p.Grant(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80", clientv3.WithLease(lease.ID))
	w := run(t, c).Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")
	if _, err := p.Revoke(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	shows(t, w)
}

// TestNaming: what etcd's own naming package registers, it being the producer.
func TestNaming(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	m, err := endpoints.NewManager(p.Client, c.Prefix[1:]+"/orders")
	if err != nil {
		t.Fatal(err)
	}
	c.Prefix, c.ServicesRoot = c.Prefix[1:], ""
	w := run(t, c).Watch(registry.App("orders"))
	shows(t, w)
	for _, e := range []endpoints.Endpoint{{Addr: "10.0.0.1:80"}, {Addr: "10.0.0.2:80", Metadata: map[string]string{"zone": "z2", "weight": "7"}}} {
		if err := m.AddEndpoint(t.Context(), c.Prefix+"/orders/"+e.Addr, e); err != nil {
			t.Fatal(err)
		}
	}
	got := shows(t, w, "10.0.0.1:80", "10.0.0.2:80")
	if i := got.Instances[1]; i.Zone != "z2" || i.Weight != 7 {
		t.Errorf("%+v", i)
	}
	if err := m.DeleteEndpoint(t.Context(), c.Prefix+"/orders/10.0.0.1:80"); err != nil {
		t.Fatal(err)
	}
	shows(t, w, "10.0.0.2:80")
}

// TestWholeKeySpace: without a prefix keys begin with the service's name, as go-zero writes them.
func TestWholeKeySpace(t *testing.T) {
	e := testbed.StartEtcd(t)
	c := section(t, e.Addr())
	c.Prefix, c.ServicesRoot, c.DubboRoot = "", "", ""
	p := produce(t, e.Addr())
	p.put("user.rpc/7587870460981677828", "10.0.0.1:8080")
	r := run(t, c)
	w := r.Watch(registry.App("user.rpc"))
	shows(t, w, "10.0.0.1:8080")
	p.put("user.rpc/7587870460981677829", "10.0.0.2:8080")
	p.put("/leading/slash", "10.0.0.2:8080")
	p.put("stray", "10.0.0.2:8080")
	shows(t, w, "10.0.0.1:8080", "10.0.0.2:8080")
	r.WatchServices().Until("one service", func(s registry.ServiceSet) bool {
		return slices.Equal(s.Services, []registry.ServiceName{registry.App("user.rpc")})
	})
}

// TestPages: more keys than one page, and more bytes than one message.
func TestPages(t *testing.T) {
	c := section(t, shared.Addr())
	p := produce(t, shared.Addr())
	fill(t, p, c.Prefix, 3, pageSize)
	w := run(t, c).Watch(registry.App("service-2"))
	w.Until("all", func(s registry.Snapshot) bool { return len(s.Instances) == pageSize })

	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = 'x'
	}
	for i := range maxMessage>>20 + 2 {
		p.put(fmt.Sprintf("%s/long/%d", c.Prefix, i), string(long))
	}
	again := run(t, c)
	s := again.Watch(registry.App("long")).Until("all skipped", func(s registry.Snapshot) bool { return s.SkippedCount > 0 })
	if s.SkippedCount != maxMessage>>20+2 || len(s.Instances) != 0 {
		t.Errorf("%d skipped, %d used", s.SkippedCount, len(s.Instances))
	}
	shows(t, again.Watch(registry.App("none")))
	if _, err := p.Delete(context.Background(), c.Prefix+"/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	w.Until("none", func(s registry.Snapshot) bool { return len(s.Instances) == 0 })
}

// fill writes services of so many instances each.
func fill(t testing.TB, p *producer, prefix string, services, instances int) {
	t.Helper()
	ops := make([]clientv3.Op, 0, 100)
	flush := func() {
		if _, err := p.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
		ops = ops[:0]
	}
	for s := range services {
		for i := range instances {
			key := fmt.Sprintf("%s/service-%d/%d", prefix, s, i)
			ops = append(ops, clientv3.OpPut(key, fmt.Sprintf(`{"host":"10.%d.%d.%d","port":%d,"metadata":{"zone":"a"}}`, s%256, i/250%256, i%250, 1000+i/62500)))
			if len(ops) == cap(ops) {
				flush()
			}
		}
	}
	if len(ops) > 0 {
		flush()
	}
}
