package etcd

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// administrator is the administrator's client of a server with authentication.
func administrator(t *testing.T, e *testbed.Etcd) *producer {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{e.Addr()}, DialTimeout: 5 * time.Second, Logger: zap.NewNop(), Username: "root", Password: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &producer{c, t}
}

// must fails the test for an error of a step whose answer does not matter.
func must[A any](t *testing.T) func(A, error) {
	return func(_ A, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPassword: none, a wrong one, the right one, and one that was changed and is read from its file again.
func TestPassword(t *testing.T) {
	e := testbed.StartEtcd(t, testbed.WithAuth("root", "secret"))
	admin := administrator(t, e)
	c := section(t, e.Addr())
	admin.put(c.Prefix+"/orders/a", "10.0.0.1:80")

	none := run(t, c)
	w := none.Watch(registry.App("orders"))
	none.AwaitError(e.Addr(), "set username and password")
	none.Stop()

	wrong := *c
	wrong.Username, wrong.Password = "root", "guess"
	r := run(t, &wrong)
	w2 := r.Watch(registry.App("orders"))
	r.AwaitError(e.Addr(), `username "root" or its password is wrong`)
	if r.saw(registry.Live) || none.saw(registry.Live) || w.Count()+w2.Count() > 0 {
		t.Error("without the right password something was pushed")
	}
	r.Stop()

	must[*clientv3.AuthUserAddResponse](t)(admin.UserAdd(t.Context(), "gateway", "secret"))
	must[*clientv3.AuthUserGrantRoleResponse](t)(admin.UserGrantRole(t.Context(), "gateway", "root"))
	right := *c
	right.Username, right.PasswordFile = "gateway", filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(right.PasswordFile, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret")
	r = run(t, &right)
	w = r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")

	// Each change of a user makes all tokens old; the connection stays.
	must[*clientv3.AuthUserChangePasswordResponse](t)(admin.UserChangePassword(t.Context(), "gateway", "secret2"))
	write("secret2")
	time.Sleep(3 * right.Timeouts.KeepAlive)
	admin.put(c.Prefix+"/orders/a", "10.0.0.2:80")
	shows(t, w, "10.0.0.2:80")

	// One that is not taken any more is noticed while nothing else happens.
	write("old")
	must[*clientv3.AuthUserChangePasswordResponse](t)(admin.UserChangePassword(t.Context(), "gateway", "secret3"))
	r.Await(registry.Stale)
	r.AwaitError("password is wrong")
	write("secret3")
	r.Await(registry.Live)
	shows(t, w, "10.0.0.2:80")
}

// TestPermission: what may not be read is not empty; what may be read is used.
func TestPermission(t *testing.T) {
	e := testbed.StartEtcd(t, testbed.WithAuth("root", "secret"))
	admin := administrator(t, e)
	c := section(t, e.Addr())
	admin.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	must[*clientv3.AuthRoleAddResponse](t)(admin.RoleAdd(t.Context(), "reader"))
	must[*clientv3.AuthUserAddResponse](t)(admin.UserAdd(t.Context(), "gateway", "pw"))
	must[*clientv3.AuthUserGrantRoleResponse](t)(admin.UserGrantRole(t.Context(), "gateway", "reader"))

	c.Username, c.Password = "gateway", "pw"
	r := run(t, c)
	none := r.Watch(registry.App("orders"))
	r.AwaitError(`user "gateway" has no permission`, "prefix", c.Prefix)
	if r.saw(registry.Live) || none.Count() > 0 {
		t.Error("nothing may be read, and it is live")
	}
	r.Stop()

	from, to := (&root{base: base(c.Prefix)}).bounds()
	must[*clientv3.AuthRoleGrantPermissionResponse](t)(admin.RoleGrantPermission(t.Context(), "reader", string(from), string(to), clientv3.PermissionType(clientv3.PermRead)))
	r = run(t, c)
	w, dubbo, list := r.Watch(registry.App("orders")), r.Watch(registry.DubboService("a.B", "", "")), r.WatchServices()
	shows(t, w, "10.0.0.1:80")
	r.AwaitError("dubboRoot", `turn it off with dubboRoot: ""`)
	if r.State() != registry.Live {
		t.Error("it is not live")
	}
	if dubbo.Count() > 0 || list.Count() > 0 {
		t.Error("what is only half known was pushed")
	}
}

// TestTLS: the right authority, none, the wrong name, and either side without TLS.
func TestTLS(t *testing.T) {
	cert := testbed.NewCertificate(t, "127.0.0.1")
	e := testbed.StartEtcd(t, testbed.WithTLS(cert.Cert, cert.Key))
	c := section(t, e.Addr())
	if err := e.Put(t.Context(), c.Prefix+"/orders/a", "10.0.0.1:80"); err != nil {
		t.Fatal(err)
	}
	c.TLS = &registry.TLS{CA: cert.CA}
	shows(t, run(t, c).Watch(registry.App("orders")), "10.0.0.1:80")

	for what, change := range map[string]struct {
		tls     *registry.TLS
		address string
		says    string
	}{
		"no authority":        {&registry.TLS{}, e.Addr(), "set tls.ca"},
		"https alone":         {nil, "https://" + e.Addr(), "set tls.ca"},
		"another name":        {&registry.TLS{CA: cert.CA, ServerName: "other"}, e.Addr(), "set tls.serverName"},
		"no file":             {&registry.TLS{CA: "nowhere.pem"}, e.Addr(), "nowhere.pem"},
		"no section":          {nil, e.Addr(), "add a tls section"},
		"a server without it": {&registry.TLS{CA: cert.CA}, shared.Addr(), "remove the tls section"},
	} {
		t.Run(what, func(t *testing.T) {
			bad := *c
			bad.TLS, bad.Addresses = change.tls, []string{change.address}
			r := run(t, &bad)
			w := r.Watch(registry.App("orders"))
			r.AwaitError(change.says)
			if r.saw(registry.Live) || w.Count() > 0 {
				t.Error("it is live")
			}
		})
	}
}
