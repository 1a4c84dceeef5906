package consul

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestKilledAndRestartedWithItsData(t *testing.T) {
	server := testbed.StartConsul(t, testbed.WithData())
	a := newAgent(t, server)
	one := a.register("web", "192.0.2.1", 80)
	a.register("web", "192.0.2.2", 80)
	r := newRig(t, server.Addr())
	w, list := r.Watch(registry.App("web")), r.WatchServices()
	w.Until("both", has("192.0.2.1:80", "192.0.2.2:80"))
	list.Last()

	server.Kill()
	r.Await(registry.Stale)
	before, lists := w.Count(), list.Count()
	must(t, server.Restart())
	began := time.Now()
	r.Await(registry.Live)
	w.More(before)
	list.More(lists)
	t.Logf("live and pushed %v after the server was", time.Since(began))
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
	w.Until("both, as before", has("192.0.2.1:80", "192.0.2.2:80"))
	a.deregister(one)
	w.Until("one", has("192.0.2.2:80"))
	if len(r.Errors("nothing listens there")) == 0 {
		t.Errorf("nothing says so: %v", r.Errors())
	}
}

// The index of the new server is lower than ours: asked with it, it would keep us waiting.
func TestKilledAndRestartedWithoutItsData(t *testing.T) {
	server := testbed.StartConsul(t)
	a := newAgent(t, server)
	for n := range 30 {
		a.register("web", "192.0.2.1", 80+n)
	}
	r := newRig(t, server.Addr(), func(c *Config) { c.Wait = time.Minute })
	w := r.Watch(registry.App("web"))
	w.Until("all", func(s registry.Snapshot) bool { return len(s.Instances) == 30 })
	server.Kill()
	r.Await(registry.Stale)
	if has()(w.Last()) {
		t.Error("an outage was pushed as an empty service")
	}
	must(t, server.Restart())
	began := time.Now()
	w.Until("an empty catalogue is the truth now", has())
	t.Logf("noticed after %v", time.Since(began))
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
	newAgent(t, server).register("web", "192.0.2.3", 80)
	w.Until("the new one", has("192.0.2.3:80"))
}

func TestFrozenServer(t *testing.T) {
	server := testbed.StartConsul(t)
	a := newAgent(t, server)
	a.register("web", "192.0.2.1", 80)
	r := newRig(t, server.Addr())
	w := r.Watch(registry.App("web"))
	w.Until("one", has("192.0.2.1:80"))
	must(t, server.Freeze())
	time.AfterFunc(5*time.Second, func() { _ = server.Thaw() })
	began := time.Now()
	r.Await(registry.Stale)
	if d := time.Since(began); d > 4*time.Second { // keepAlive and one request
		t.Errorf("noticed after %v", d)
	}
	before := w.Count()
	r.Await(registry.Live)
	w.More(before) // the same again, as proof that it is live
	a.register("web", "192.0.2.2", 80)
	w.Until("two", has("192.0.2.1:80", "192.0.2.2:80"))
	if len(r.Errors("no answer in time")) == 0 {
		t.Errorf("nothing says so: %v", r.Errors())
	}
}

func TestFailover(t *testing.T) {
	cluster := testbed.StartConsulCluster(t)
	first, second := cluster.Nodes[0], cluster.Nodes[1]
	r := newRig(t, "", func(c *Config) { c.Address, c.Addresses = "", []string{first.Addr(), second.Addr()} })
	w := r.Watch(registry.App("web"))
	a := newAgent(t, cluster.Nodes[2])
	a.register("web", "192.0.2.1", 80)
	w.Until("one", has("192.0.2.1:80"))
	first.Kill()
	a.register("web", "192.0.2.2", 80)
	w.Until("two, by the second address", has("192.0.2.1:80", "192.0.2.2:80"))
	r.Await(registry.Live)
}

// Two of three servers are gone: what is left answers, but knows nothing for sure.
func TestLeaderLost(t *testing.T) {
	cluster := testbed.StartConsulCluster(t)
	asked := cluster.Nodes[0]
	leader, err := cluster.Leader(t.Context(), asked)
	must(t, err)
	if leader == asked {
		asked = cluster.Nodes[1]
	}
	r := newRig(t, asked.Addr())
	w := r.Watch(registry.App("web"))
	a := newAgent(t, asked)
	a.register("web", "192.0.2.1", 80)
	w.Until("one", has("192.0.2.1:80"))

	// An election of a second or two may be bridged by Consul itself, which holds questions back for so long: it need not be
	// seen, but nothing may be lost by it.
	leader.Kill()
	began := time.Now()
	a.register("web", "192.0.2.2", 80) // the agent keeps it until there is a leader
	w.Until("two", has("192.0.2.1:80", "192.0.2.2:80"))
	t.Logf("over an election: %v", time.Since(began))
	r.Await(registry.Live)

	for _, n := range cluster.Nodes {
		if n != asked {
			n.Kill()
		}
	}
	r.Await(registry.Stale)
	if !has("192.0.2.1:80", "192.0.2.2:80")(w.Last()) {
		t.Errorf("without a leader it pushed %v", addresses(w.Last()))
	}
	if len(r.Errors("no leader")) == 0 {
		t.Errorf("nothing says so: %v", r.Errors())
	}
	must(t, leader.Restart())
	r.Await(registry.Live)
}

func TestUnknownDatacenter(t *testing.T) {
	r := newRig(t, shared.get(t).Addr(), func(c *Config) { c.Datacenter = "atlantis" })
	w := r.Watch(registry.App("web"))
	r.AwaitError("datacenter \"atlantis\" is not known")
	if r.State() != registry.Connecting || w.Count() != 0 {
		t.Errorf("%v, %d pushes", r.State(), w.Count())
	}
}

func TestNothingListens(t *testing.T) {
	r := newRig(t, fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t)))
	r.AwaitError("nothing listens there")
	r2 := newRig(t, "no-such-host.invalid")
	r2.AwaitError("check the names in addresses")
}

// The library below takes addresses, tokens and namespaces out of the environment. None may reach us.
func TestEnvironmentChangesNothing(t *testing.T) {
	for _, name := range []string{
		api.HTTPAddrEnvName, api.HTTPTokenEnvName, api.HTTPAuthEnvName, api.HTTPNamespaceEnvName, api.HTTPPartitionEnvName, api.HTTPTLSServerName,
	} {
		t.Setenv(name, "elsewhere:1")
	}
	t.Setenv(api.HTTPTokenFileEnvName, "/no/such/file")
	t.Setenv(api.HTTPSSLEnvName, "true")
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	s := newScripted(t)
	r := newRig(t, s.addr)
	r.Watch(registry.App("web")).Until("an empty service", has())
	for _, q := range s.asked() {
		if q.Header.Get("X-Consul-Token") != "" || q.Header.Get("Authorization") != "" || q.URL.Query().Has("ns") || q.URL.Query().Has("partition") {
			t.Errorf("%s %v", q.URL, q.Header)
		}
	}
}

func TestDatacenterNamespaceAndPartitionAreSent(t *testing.T) {
	s := newScripted(t)
	r := newRig(t, "http://"+s.addr+"/behind/a/proxy", func(c *Config) {
		c.Datacenter, c.Namespace, c.Partition, c.Token = "dc7", "team", "edge", "t0ken"
	})
	r.Watch(registry.App("web")).Until("an empty service", has())
	q := s.asked()[len(s.asked())-1]
	if v := q.URL.Query(); v.Get("dc") != "dc7" || v.Get("ns") != "team" || v.Get("partition") != "edge" || v.Get("near") != "_agent" ||
		q.Header.Get("X-Consul-Token") != "t0ken" || q.URL.Path != "/behind/a/proxy/v1/health/service/web" {
		t.Errorf("%s %v", q.URL, q.Header)
	}
}

// A push that takes its time holds up this watch alone.
func TestSlowConsumer(t *testing.T) {
	server := shared.get(t)
	a := newAgent(t, server)
	r := newRig(t, server.Addr())
	name := uniqueName(t)
	release := make(chan struct{})
	slow := &registrytest.Pushes[registry.Snapshot]{T: t}
	r.Background(func(ctx context.Context) error {
		return r.reg.Watch(ctx, registry.App(name), func(s registry.Snapshot) {
			if slow.Count() == 1 {
				<-release
			}
			slow.Push(s)
		})
	})
	fast := r.Watch(registry.App(name))
	slow.Last()
	for port := range 20 {
		defer a.deregister(a.register(name, "192.0.2.1", 80+port))
		fast.Until("the fast one has all", func(s registry.Snapshot) bool { return len(s.Instances) == port+1 })
	}
	close(release)
	slow.Until("the slow one has the newest", func(s registry.Snapshot) bool { return len(s.Instances) == 20 })
	if n := slow.Count(); n > 4 {
		t.Errorf("%d pushes, the old ones were of no use", n)
	}
}

func TestCancelledAtAnyMoment(t *testing.T) {
	server := shared.get(t)
	for n := range 30 {
		r := newRig(t, server.Addr())
		var ends []func()
		for i := range 5 {
			ends = append(ends, r.Watch(registry.App(fmt.Sprint("web-", i))).Stop)
		}
		ends = append(ends, r.WatchServices().Stop)
		time.Sleep(time.Duration(n) * time.Millisecond)
		if n%2 == 0 {
			r.Stop()
		}
		for _, end := range ends {
			end()
		}
		r.Stop()
	}
	// goleak looks at the end for goroutines, and each connection has two.
}
