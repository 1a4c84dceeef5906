package etcd

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestKilled: a server that was killed and comes back with its data. What it says is pushed again as proof.
func TestKilled(t *testing.T) {
	e := testbed.StartEtcd(t)
	c := section(t, e.Addr())
	p := produce(t, e.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")
	e.Kill()
	r.Await(registry.Stale)
	r.AwaitError(e.Addr(), "connection refused")
	seen := w.Count()
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	r.Await(registry.Live)
	w.More(seen)
	shows(t, w, "10.0.0.1:80")
	p.put(c.Prefix+"/orders/b", "10.0.0.2:80")
	shows(t, w, "10.0.0.1:80", "10.0.0.2:80")
}

// TestWiped: a server that comes back empty, so that its revisions run backwards. What it does not have is gone.
func TestWiped(t *testing.T) {
	e := testbed.StartEtcd(t)
	c := section(t, e.Addr())
	p := produce(t, e.Addr())
	for i := range 50 {
		p.put(fmt.Sprintf("%s/orders/%d", c.Prefix, i%2), "10.0.0.1:80")
	}
	r := run(t, c)
	w, list := r.Watch(registry.App("orders")), r.WatchServices()
	shows(t, w, "10.0.0.1:80", "10.0.0.1:80")
	if err := e.Wipe(); err != nil {
		t.Fatal(err)
	}
	shows(t, w)
	list.Until("nothing", func(s registry.ServiceSet) bool { return len(s.Services) == 0 })
	p.put(c.Prefix+"/orders/a", "10.0.0.2:80")
	shows(t, w, "10.0.0.2:80")
}

// TestMissed: what happens while the connection is cut is seen after it.
func TestMissed(t *testing.T) {
	proxy := testbed.StartToxiproxy(t).Proxy("etcd", shared.Addr())
	c := section(t, proxy.Addr())
	p := produce(t, shared.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	p.put(c.Prefix+"/orders/b", "10.0.0.2:80")
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80", "10.0.0.2:80")
	proxy.Down()
	r.Await(registry.Stale)
	seen := w.Count()
	p.remove(c.Prefix + "/orders/a")
	p.put(c.Prefix+"/orders/c", "10.0.0.3:80")
	if err := shared.Compact(t.Context()); err != nil { // and nobody can tell it any more
		t.Fatal(err)
	}
	if w.Count() != seen {
		t.Error("pushed while there was no connection")
	}
	late := r.Watch(registry.App("orders"))
	proxy.Up()
	shows(t, w, "10.0.0.2:80", "10.0.0.3:80")
	shows(t, late, "10.0.0.2:80", "10.0.0.3:80")
	if first := late.All()[0]; len(first.Instances) != 2 {
		t.Errorf("a watch that began meanwhile first heard %v", first)
	}
}

// TestSilent: connections that stay open while nothing comes through, and a server that stands still.
func TestSilent(t *testing.T) {
	e := testbed.StartEtcd(t)
	proxy := testbed.StartToxiproxy(t).Proxy("etcd", e.Addr())
	c := section(t, proxy.Addr())
	p := produce(t, e.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")

	proxy.Vanish()
	r.Await(registry.Stale)
	r.AwaitError("no answer within")
	p.put(c.Prefix+"/orders/a", "10.0.0.2:80")
	proxy.Heal()
	shows(t, w, "10.0.0.2:80")
	r.Await(registry.Live)

	if err := e.Freeze(); err != nil {
		t.Fatal(err)
	}
	r.Await(registry.Stale)
	if err := e.Thaw(); err != nil {
		t.Fatal(err)
	}
	p.put(c.Prefix+"/orders/a", "10.0.0.3:80")
	shows(t, w, "10.0.0.3:80")
	r.Await(registry.Live)

	proxy.Reset()
	r.Await(registry.Stale)
	proxy.Heal()
	r.Await(registry.Live)
}

// TestSlow: a server 300 ms away is no trouble.
func TestSlow(t *testing.T) {
	proxy := testbed.StartToxiproxy(t).Proxy("etcd", shared.Addr())
	c := section(t, proxy.Addr())
	c.Timeouts.Request = 2 * time.Second
	p := produce(t, shared.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	proxy.Latency(300 * time.Millisecond)
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")
	for i := range 3 {
		start := time.Now()
		p.put(c.Prefix+"/orders/a", fmt.Sprintf("10.0.1.%d:80", i))
		shows(t, w, fmt.Sprintf("10.0.1.%d:80", i))
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a change took %v", took)
		}
	}
	if r.saw(registry.Stale) {
		t.Error("it was taken for dead")
	}
}

// TestFlapping: whatever the connection does, in the end the state is right.
func TestFlapping(t *testing.T) {
	proxy := testbed.StartToxiproxy(t).Proxy("etcd", shared.Addr())
	c := section(t, proxy.Addr())
	p := produce(t, shared.Addr())
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	for i := range 20 {
		proxy.Down()
		p.put(fmt.Sprintf("%s/orders/%d", c.Prefix, i%3), fmt.Sprintf("10.0.0.%d:80", i))
		proxy.Up()
		time.Sleep(time.Duration(i) * 5 * time.Millisecond) // into every phase of a start
	}
	p.remove(c.Prefix + "/orders/0")
	shows(t, w, "10.0.0.19:80", "10.0.0.17:80")
}

// TestFailover: dead servers among the addresses cost an attempt, and a server that dies is replaced by another one.
func TestFailover(t *testing.T) {
	toxi := testbed.StartToxiproxy(t)
	one, two := toxi.Proxy("one", shared.Addr()), toxi.Proxy("two", shared.Addr())
	c := section(t, one.Addr(), two.Addr())
	p := produce(t, shared.Addr())
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	one.Down()
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")
	one.Up()
	seen := w.Count()
	two.Down()
	w.More(seen)
	r.Await(registry.Live)
	p.put(c.Prefix+"/orders/a", "10.0.0.2:80")
	shows(t, w, "10.0.0.2:80")
}

// TestLeaderLost: a member that has no leader is left, and believed again when there is one.
func TestLeaderLost(t *testing.T) {
	members := testbed.StartEtcdCluster(t)
	addresses := []string{members[0].Addr(), members[1].Addr(), members[2].Addr()}
	c := section(t, addresses...)
	p := produce(t, addresses[0])
	p.put(c.Prefix+"/orders/a", "10.0.0.1:80")
	r := run(t, c)
	w := r.Watch(registry.App("orders"))
	shows(t, w, "10.0.0.1:80")

	leads := func() int {
		for i, m := range members {
			if is, err := m.Leader(t.Context()); err == nil && is {
				return i
			}
		}
		t.Fatal("nobody leads")
		return -1
	}
	first := leads()
	members[first].Kill() // two are enough
	rest := produce(t, addresses[(first+1)%3])
	rest.put(c.Prefix+"/orders/a", "10.0.0.2:80")
	shows(t, w, "10.0.0.2:80")
	r.Await(registry.Live)

	members[(first+1)%3].Kill() // one is not
	r.Await(registry.Stale)
	r.AwaitError("no leader", addresses[(first+2)%3])
	if err := members[first].Restart(); err != nil {
		t.Fatal(err)
	}
	r.Await(registry.Live)
	produce(t, addresses[first]).put(c.Prefix+"/orders/a", "10.0.0.3:80")
	shows(t, w, "10.0.0.3:80")
}
