package etcd

import (
	"context"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// announce registers the gateway until the function returned is called.
func announce(r *rig) (reports *registrytest.Pushes[error], withdraw func()) {
	reports = &registrytest.Pushes[error]{T: r.T}
	return reports, r.Background(func(ctx context.Context) error {
		return r.reg.Register(ctx, registry.Registration{
			Service: registry.App("gateway"), ID: "sluice-1",
			Instance: registry.Instance{Host: "10.0.0.9", Port: 8080, Weight: 2, Protocol: "http", Zone: "z", Metadata: map[string]string{"a": "b"}},
		}, reports.Push)
	})
}

// TestRegister: it stands as long as it is wanted, whatever happens to its lease, its key and the server.
func TestRegister(t *testing.T) {
	e := testbed.StartEtcd(t)
	c := section(t, e.Addr())
	c.LeaseTTL = time.Second
	p := produce(t, e.Addr())
	r := run(t, c)
	w := r.Watch(registry.App("gateway"))
	shows(t, w)
	reports, withdraw := announce(r)
	s := shows(t, w, "http://10.0.0.9:8080")
	if i := s.Instances[0]; i.Weight != 2 || i.Zone != "z" || i.Metadata["a"] != "b" {
		t.Errorf("%+v", i)
	}
	reports.Until("accepted", func(err error) bool { return err == nil })

	seen := w.Count()
	time.Sleep(2500 * time.Millisecond) // more than two lives of the lease
	if w.Count() != seen {
		t.Error("it came and went")
	}

	key := c.Prefix + "/gateway/sluice-1"
	stands := func(what string) {
		t.Helper()
		registrytest.Within(t, what, func() bool {
			got, err := p.Get(context.Background(), key)
			return err == nil && len(got.Kvs) == 1 && got.Kvs[0].Lease != 0
		})
	}
	count := reports.Count()
	p.remove(key)
	stands("written again after somebody removed it")
	reports.More(count)

	got, err := p.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Revoke(t.Context(), clientv3.LeaseID(got.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	stands("a new lease after the old one was revoked")

	if err := e.Wipe(); err != nil {
		t.Fatal(err)
	}
	stands("written again after the store was wiped")

	withdraw()
	if got, err := p.Get(t.Context(), key); err != nil || len(got.Kvs) != 0 {
		t.Errorf("it stands after it was withdrawn: %v, %v", got, err)
	}
	shows(t, w)
}

// TestRegisterRefused: what is wrong is said, and what can never work is an error.
func TestRegisterRefused(t *testing.T) {
	e := testbed.StartEtcd(t, testbed.WithAuth("root", "secret"))
	admin := administrator(t, e)
	c := section(t, e.Addr())
	must[*clientv3.AuthRoleAddResponse](t)(admin.RoleAdd(t.Context(), "reader"))
	must[*clientv3.AuthUserAddResponse](t)(admin.UserAdd(t.Context(), "gateway", "pw"))
	must[*clientv3.AuthUserGrantRoleResponse](t)(admin.UserGrantRole(t.Context(), "gateway", "reader"))
	must[*clientv3.AuthRoleGrantPermissionResponse](t)(admin.RoleGrantPermission(t.Context(), "reader", "\x00", "\x00", clientv3.PermissionType(clientv3.PermRead)))
	c.Username, c.Password = "gateway", "pw"
	reports, _ := announce(run(t, c))
	reports.Until("refused", func(err error) bool {
		return err != nil && says(err, "permission denied")
	})

	never := &client{config: c}
	good := registry.Registration{Service: registry.App("a"), ID: "b", Instance: registry.Instance{Host: "h", Port: 1, Weight: 1}}
	for _, bad := range []func(*registry.Registration){
		func(r *registry.Registration) { r.Service.Name = "" },
		func(r *registry.Registration) { r.ID = "a/b" },
		func(r *registry.Registration) { r.Instance.Port = 0 },
	} {
		r := good
		bad(&r)
		if err := never.Register(t.Context(), r, nil); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

// TestRegisterBeforeRun: it waits, and one that was never announced has nothing to withdraw.
func TestRegisterBeforeRun(t *testing.T) {
	c := newClient(section(t, shared.Addr()), registry.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		r := registry.Registration{Service: registry.App("a"), ID: "b", Instance: registry.Instance{Host: "h", Port: 1, Weight: 1}}
		if err := c.Register(ctx, r, func(err error) { t.Error("reported", err) }); err != nil {
			t.Error(err)
		}
	})
	cancel()
	done.Wait()
}
