package discovery

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sluice-gateway/sluice/registry"
)

func TestSubscribersShareOneWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		orders := registry.App("orders")
		var first, second, other heard
		one := c.Subscribe(key("a", "orders"), first.notify)
		synctest.Wait()
		reg := w.last()
		reg.push(orders, at("10.0.0.1", 80))
		two := c.Subscribe(key("a", "orders"), second.notify)
		second.want(t, "[10.0.0.1:80]", 1) // what is known is told before Subscribe returns
		three := c.Subscribe(key("a", "users"), other.notify)
		synctest.Wait()
		if _, begun, open := reg.watching(); begun != 2 || open != 2 {
			t.Fatalf("%d watches begun, %d open, want 2: one a service", begun, open)
		}
		reg.push(orders, at("10.0.0.2", 80))
		first.want(t, "[10.0.0.2:80]", 2)
		second.want(t, "[10.0.0.2:80]", 2)
		other.want(t, "silence", 0)

		one.Close()
		one.Close() // once is enough
		synctest.Wait()
		if _, _, open := reg.watching(); open != 2 {
			t.Errorf("%d watches open: the first of two subscribers ended the watch", open)
		}
		reg.push(orders, at("10.0.0.3", 80))
		first.want(t, "[10.0.0.2:80]", 2)
		second.want(t, "[10.0.0.3:80]", 3)

		two.Close()
		synctest.Wait()
		if _, _, open := reg.watching(); open != 1 {
			t.Errorf("%d watches open: the last subscriber has left", open)
		}
		reg.push(orders, at("10.6.6.6", 666)) // a registry that does not notice that its ctx has ended
		second.want(t, "[10.0.0.3:80]", 3)

		// Who comes later does not get an old state: nobody kept it up to date.
		var late heard
		four := c.Subscribe(key("a", "orders"), late.notify)
		late.want(t, "silence", 0)
		synctest.Wait()
		if _, begun, open := reg.watching(); begun != 3 || open != 2 {
			t.Errorf("%d watches begun, %d open", begun, open)
		}
		four.Close()
		three.Close()
		if got := c.Services(); len(got) != 0 {
			t.Errorf("services %+v", got)
		}
	})
}

func TestSubscribeBeforeTheRegistryRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		if got := c.Waiting(); len(got) != 1 || got[0] != "registry a has not told the instances of orders" {
			t.Errorf("waiting for %q", got)
		}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		synctest.Wait()
		w.last().push(registry.App("orders"), at("10.0.0.1", 80))
		h.want(t, "[10.0.0.1:80]", 1)
	})
}

func TestNothingIsPublishedWhenNothingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := newCatalogue(t), &world{}
		apply(t, c, map[string]registry.Config{"a": w.config(1)})
		var h heard
		defer c.Subscribe(key("a", "orders"), h.notify).Close()
		synctest.Wait()
		orders, push := registry.App("orders"), w.last().push
		a, b := at("10.0.0.1", 80), at("10.0.0.2", 80)
		b.Metadata = map[string]string{"rack": "r7"}
		down := at("10.0.0.3", 80)
		down.Unhealthy = true
		off := at("10.0.0.4", 80)
		off.Disabled = true
		push(orders, a, b, down, off)
		h.want(t, "[10.0.0.1:80 10.0.0.2:80]", 1)
		again := b
		again.Metadata = map[string]string{"rack": "r7"}
		push(orders, off, again, down, a) // another order, another map
		h.want(t, "[10.0.0.1:80 10.0.0.2:80]", 1)

		// An empty answer is a state like any other, and different from silence.
		push(orders)
		h.want(t, "[]", 2)
		push(orders)
		h.want(t, "[]", 2)
	})
}

func TestEveryDifferenceIsPublished(t *testing.T) {
	base := registry.Instance{Host: "h", Port: 1, Weight: 1, Metadata: map[string]string{"k": "v"}}
	for name, change := range map[string]func(*registry.Instance){
		"host":           func(i *registry.Instance) { i.Host = "g" },
		"port":           func(i *registry.Instance) { i.Port = 2 },
		"weight":         func(i *registry.Instance) { i.Weight = 2 },
		"protocol":       func(i *registry.Instance) { i.Protocol = "https" },
		"zone":           func(i *registry.Instance) { i.Zone = "b" },
		"group":          func(i *registry.Instance) { i.Group = "g" },
		"version":        func(i *registry.Instance) { i.Version = "1" },
		"path":           func(i *registry.Instance) { i.Path = "p" },
		"disabled":       func(i *registry.Instance) { i.Disabled = true },
		"unhealthy":      func(i *registry.Instance) { i.Unhealthy = true },
		"metadata value": func(i *registry.Instance) { i.Metadata = map[string]string{"k": "w"} },
		"metadata key":   func(i *registry.Instance) { i.Metadata = map[string]string{"l": "v"} },
		"more metadata":  func(i *registry.Instance) { i.Metadata = map[string]string{"k": "v", "l": "v"} },
		"skipped":        func(i *registry.Instance) { i.Port = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			changed := base
			change(&changed)
			var one, two registry.Snapshot
			one.Add("x", base)
			two.Add("x", changed)
			a, b := fromSnapshot(Key{}, one, testTime, nil), fromSnapshot(Key{}, two, testTime, nil)
			if a.sameAs(b) || b.sameAs(a) {
				t.Error("the change would go unnoticed")
			}
			if !a.sameAs(fromSnapshot(Key{}, one, testTime.Add(1), nil)) {
				t.Error("the time alone is a change")
			}
		})
	}
	var e Endpoints
	if e.sameAs(nil) {
		t.Error("an empty state is the same as none")
	}
	one, two := registry.Snapshot{}, registry.Snapshot{}
	one.Skip("x", "no host")
	two.Skip("y", "no host")
	if fromSnapshot(Key{}, one, testTime, nil).sameAs(fromSnapshot(Key{}, two, testTime, nil)) {
		t.Error("another skipped entry would go unnoticed")
	}
}

// No callback runs or begins once Close has returned.
func TestNoCallbackAfterClose(t *testing.T) {
	c, w := newCatalogue(t), &world{}
	apply(t, c, map[string]registry.Config{"a": w.config(1)})
	orders := registry.App("orders")
	reg := w.last()
	var hold heard
	defer c.Subscribe(key("a", "orders"), hold.notify).Close()
	until(t, func() bool { return reg.pushed(orders) != nil })
	stop := make(chan struct{})
	var pusher sync.WaitGroup
	pusher.Go(func() {
		for port := 1; ; port = port%60000 + 1 {
			select {
			case <-stop:
				return
			default:
				reg.push(orders, at("h", port))
			}
		}
	})
	for range 300 {
		var closed atomic.Bool
		sub := c.Subscribe(key("a", "orders"), func(*Endpoints) {
			if closed.Load() {
				t.Error("called after Close")
			}
		})
		sub.Close()
		closed.Store(true)
	}
	close(stop)
	pusher.Wait()
}

// Everything at once, for the race detector: pushes, subscribers, reloads, status.
func TestConcurrentUse(t *testing.T) {
	c, w := newCatalogue(t), &world{}
	apply(t, c, map[string]registry.Config{"a": w.config(0)})
	stop := make(chan struct{})
	var tasks sync.WaitGroup
	busy := func(work func(r *rand.Rand)) {
		tasks.Go(func() {
			r := rand.New(rand.NewPCG(1, 2))
			for {
				select {
				case <-stop:
					return
				default:
					work(r)
				}
			}
		})
	}
	name := func(r *rand.Rand) string { return fmt.Sprint("s", r.IntN(3)) }
	busy(func(r *rand.Rand) {
		service := registry.App(name(r))
		if push := w.last().pushed(service); push != nil {
			push(registry.Snapshot{Service: service, Instances: []registry.Instance{at("h", 1+r.IntN(5))}})
		}
	})
	for range 2 {
		busy(func(r *rand.Rand) {
			var lock sync.Mutex
			n := 0
			s := c.Subscribe(key("a", name(r)), func(*Endpoints) { lock.Lock(); n++; lock.Unlock() })
			l := c.SubscribeServices("a", func(*registry.ServiceSet) {})
			d := c.SubscribeDefinition(key("a", name(r)), func(*Definition) {})
			s.Close()
			l.Close()
			d.Close()
		})
	}
	busy(func(*rand.Rand) { c.Waiting(); c.Services(); c.Registries() })
	for rev := range 20 {
		apply(t, c, map[string]registry.Config{"a": w.config(rev / 2), "b": w.config(rev % 3)})
	}
	close(stop)
	tasks.Wait()
	if got := c.Services(); len(got) != 0 {
		t.Errorf("services nobody wants: %+v", got)
	}
}
