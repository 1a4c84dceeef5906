package discovery

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/file"
	"github.com/sluice-gateway/sluice/registry/static"
)

// until waits for what other goroutines bring about.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come to be within 10 s")
		}
	}
}

func instances(addresses ...string) []static.Instance {
	var list []static.Instance
	for _, a := range addresses {
		list = append(list, static.Instance{Address: a, Weight: 1})
	}
	return list
}

func TestStaticRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		orders := &static.Config{
			Services: map[string][]static.Instance{"orders": instances("10.0.0.2:80", "10.0.0.1:80")},
			Dubbo: []static.DubboService{
				{Interface: "com.acme.Users", Version: "1.0", Instances: instances("10.0.0.3:20880")},
				{Interface: "com.acme.Users", Group: "g", Version: "2.0", Instances: instances("10.0.0.4:20880")},
			},
		}
		apply(t, c, map[string]registry.Config{"local": orders})
		var plain, exact, any, absent heard
		defer c.Subscribe(key("local", "orders"), plain.notify).Close()
		defer c.Subscribe(key("local", "nobody"), absent.notify).Close()
		defer c.Subscribe(Key{"local", registry.DubboService("com.acme.Users", "g", "2.0")}, exact.notify).Close()
		defer c.Subscribe(Key{"local", registry.DubboService("com.acme.Users", "*", "*")}, any.notify).Close()
		synctest.Wait()
		plain.want(t, "[10.0.0.1:80 10.0.0.2:80]", 1)
		exact.want(t, "[10.0.0.4:20880]", 1)
		any.want(t, "[10.0.0.3:20880 10.0.0.4:20880]", 1)
		absent.want(t, "[]", 1)
		if got := c.Waiting(); got != nil {
			t.Errorf("waiting for %q", got)
		}
		same := *orders
		apply(t, c, map[string]registry.Config{"local": &same})
		synctest.Wait()
		plain.want(t, "[10.0.0.1:80 10.0.0.2:80]", 1)
		apply(t, c, map[string]registry.Config{"local": &static.Config{
			Services: map[string][]static.Instance{"orders": instances("10.0.0.9:80")}, Dubbo: orders.Dubbo,
		}})
		synctest.Wait()
		plain.want(t, "[10.0.0.9:80]", 2)
		exact.want(t, "[10.0.0.4:20880]", 1) // other services of the changed section hear nothing
	})
}

func TestServiceLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		services := func(names ...string) *static.Config {
			cfg := &static.Config{Services: map[string][]static.Instance{}}
			for _, n := range names {
				cfg.Services[n] = instances("10.0.0.1:80")
			}
			return cfg
		}
		apply(t, c, map[string]registry.Config{"a": services("x", "y"), "b": services("z")})
		var mu sync.Mutex
		var got []string
		sub := c.SubscribeServices("a", func(s *registry.ServiceSet) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(s.Services))
		})
		settle()
		apply(t, c, map[string]registry.Config{"a": services("x", "y", "w"), "b": services("z")})
		settle()
		sub.Close()
		apply(t, c, map[string]registry.Config{"a": services("x")})
		settle()
		if want := "[[x y] [w x y]]"; fmt.Sprint(got) != want {
			t.Errorf("lists %v, want %s", got, want)
		}
	})
}

func TestRegistryThatCannotList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		cannot := w.config(1)
		cannot.ListErr = registry.ErrNotListable
		apply(t, c, map[string]registry.Config{"a": cannot})
		defer c.SubscribeServices("a", func(*registry.ServiceSet) { t.Error("a list was told") }).Close()
		synctest.Wait()
		w.last().opts.Report(registry.Live, nil)
		// Who reads the status learns why a route with {service} answers nothing.
		if st := c.Registries()[0]; st.LastError != registry.ErrNotListable.Error() || st.State != registry.Live {
			t.Errorf("status %+v", st)
		}
	})
}

func TestDefinitionsOfARegistryWithoutThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		apply(t, c, map[string]registry.Config{"local": static.Default()})
		var calls atomic.Int32
		var got atomic.Pointer[Definition]
		k := Key{"local", registry.DubboService("com.acme.Users", "", "")}
		defer c.SubscribeDefinition(k, func(d *Definition) { got.Store(d); calls.Add(1) }).Close()
		synctest.Wait()
		if d := got.Load(); d == nil || d.JSON != nil || calls.Load() != 1 {
			t.Errorf("definition %+v after %d calls: there is none, and that is told once", d, calls.Load())
		}
	})
}

func TestFileRegistry(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		temporary := filepath.Join(folder, "."+name)
		if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("orders.yaml", "services: {orders: [\"10.0.0.1:80\"]}\n")
	write("user.json", `{"canonicalName": "com.acme.Users"}`)
	write("users.yaml", "dubbo: [{interface: com.acme.Users, definition: user.json, instances: [\"10.0.0.5:20880\"]}]\n")

	c := newCatalogue(t)
	apply(t, c, map[string]registry.Config{"folder": &file.Config{Path: folder}})
	var orders, users heard
	user := Key{"folder", registry.DubboService("com.acme.Users", "", "")}
	sub := c.Subscribe(key("folder", "orders"), orders.notify)
	defer c.Subscribe(user, users.notify).Close()
	var definition atomic.Pointer[Definition]
	defer c.SubscribeDefinition(user, func(d *Definition) { definition.Store(d) }).Close()
	until(t, func() bool { return orders.ids() == "[10.0.0.1:80]" && users.ids() == "[10.0.0.5:20880]" })
	until(t, func() bool { return definition.Load() != nil })
	if got := string(definition.Load().JSON); got != `{"canonicalName": "com.acme.Users"}` {
		t.Errorf("definition %s", got)
	}
	until(t, func() bool { return len(c.Waiting()) == 0 })

	write("orders.yaml", "services: {orders: [\"10.0.0.1:80\", {address: \"10.0.0.2:80\", disabled: true}, \"10.0.0.3:80\"]}\n")
	until(t, func() bool { return orders.ids() == "[10.0.0.1:80 10.0.0.3:80]" })
	write("more.yaml", "services: {orders: [\"10.0.0.4:80\"]}\n")
	until(t, func() bool { return orders.ids() == "[10.0.0.1:80 10.0.0.3:80 10.0.0.4:80]" })
	write("user.json", `{"canonicalName": "com.acme.Users", "methods": []}`)
	until(t, func() bool { return len(definition.Load().JSON) > 40 })

	// A mistake hides nothing, and is to be read in the status.
	write("more.yaml", "services: {orders: [{adress: \"10.0.0.4:80\"}]}\n")
	until(t, func() bool { return c.Registries()[0].LastError != "" })
	until(t, func() bool { return c.Services()[1].Endpoints.SkippedCount == 1 })
	if got := orders.ids(); got != "[10.0.0.1:80 10.0.0.3:80 10.0.0.4:80]" {
		t.Errorf("instances %s", got)
	}

	sub.Close()
	before := orders.times()
	write("orders.yaml", "services: {orders: []}\n")
	write("users.yaml", "dubbo: [{interface: com.acme.Users, instances: []}]\n")
	until(t, func() bool { return users.ids() == "[]" })
	if orders.times() != before {
		t.Error("called after Close")
	}
}
