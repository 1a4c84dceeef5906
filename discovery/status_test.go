package discovery

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		want := func(lines ...string) {
			t.Helper()
			if diff := cmp.Diff(lines, c.Waiting()); diff != "" {
				t.Error(diff)
			}
		}
		want()
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		a := w.last()
		want("registry a has not answered (connecting)")
		apply(t, c, map[string]registry.Config{"a": w.config(1), "b": w.config(1)})
		b := w.last()
		var h heard
		defer c.Subscribe(key("b", "users"), h.notify).Close()
		defer c.Subscribe(key("b", "orders"), h.notify).Close()
		defer c.Subscribe(key("a", "carts"), h.notify).Close()
		synctest.Wait()
		b.opts.Report(registry.Stale, errors.New("dial 10.0.0.1:2181: connection refused"))
		want("registry a has not answered (connecting)",
			"registry b has not answered (stale): dial 10.0.0.1:2181: connection refused")
		b.opts.Report(registry.Live, nil)
		want("registry a has not answered (connecting)",
			"registry b has not told the instances of orders", "registry b has not told the instances of users")
		b.push(registry.App("orders"), at("h", 1))
		b.push(registry.App("users")) // no instance is an answer
		want("registry a has not answered (connecting)")
		a.push(registry.App("carts"), at("h", 1)) // an answer counts though the state was never reported
		want()
		b.opts.Report(registry.Stale, errors.New("gone"))
		want() // it has answered once
	})
}

func TestRegistriesStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		began := time.Now()
		apply(t, c, map[string]registry.Config{"b": w.config(1), "a": w.config(2)})
		var h heard
		defer c.Subscribe(key("b", "orders"), h.notify).Close()
		synctest.Wait()
		b := w.last()
		if b.opts.Name != "b" || b.opts.Logger == nil {
			t.Fatalf("options %+v", b.opts)
		}
		time.Sleep(time.Second)
		b.opts.Report(registry.Live, nil)
		time.Sleep(time.Second)
		b.push(registry.App("orders"), at("h", 1))
		time.Sleep(time.Second)
		b.opts.Report(registry.Live, errors.New("cannot read node x"))
		time.Sleep(time.Second)
		b.push(registry.App("orders"), at("h", 1)) // the same again is an answer, too
		want := []RegistryStatus{
			{Name: "a", State: registry.Connecting, Since: began},
			{Name: "b", State: registry.Live, Since: began.Add(time.Second), LastPush: began.Add(4 * time.Second),
				LastError: "cannot read node x", LastErrorAt: began.Add(3 * time.Second), Answered: true,
				Counts: Counts{Services: 1, Usable: 1}},
		}
		if diff := cmp.Diff(want, c.Registries()); diff != "" {
			t.Error(diff)
		}
		services := c.Services()
		if len(services) != 1 || services[0].Key != key("b", "orders") || !services[0].Endpoints.At.Equal(began.Add(4*time.Second)) {
			t.Errorf("services %+v", services)
		}
	})
}

func TestServicesAreSorted(t *testing.T) {
	c := newCatalogue(t)
	var got []string
	for _, k := range []Key{key("b", "x"), key("a", "x"), key("a", "a")} {
		defer c.Subscribe(k, func(*Endpoints) {}).Close()
	}
	for _, s := range c.Services() {
		got = append(got, s.Key.String())
	}
	if diff := cmp.Diff([]string{"a@a", "x@a", "x@b"}, got); diff != "" {
		t.Error(diff)
	}
}
