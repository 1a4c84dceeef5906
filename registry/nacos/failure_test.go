package nacos

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
	"github.com/sluice-gateway/sluice/test/testbed"
)

// TestServerFails puts one private server through everything that can happen to one.
func TestServerFails(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: starts a private server three times")
	}
	server := testbed.StartNacos(t)
	kept, live := "kept", "live" // a persistent and an ephemeral instance
	provider := newProvider(t, server.Addr())
	provider.register(live, "10.0.0.2", 80, nil)
	if err := server.Register(t.Context(), testbed.Instance{Service: kept, IP: "10.0.0.1", Port: 80}); err != nil {
		t.Fatal(err)
	}
	if err := server.PublishConfig(t.Context(), "", mappingGroup, "some.I", "app"); err != nil {
		t.Fatal(err)
	}
	if err := server.PublishConfig(t.Context(), "", definitionGroup, "some.I:::provider:app", "{}"); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) {
		c.ListInterval = 300 * time.Millisecond
		c.Timeouts = Timeouts{Connect: time.Second, Request: time.Second, KeepAlive: 300 * time.Millisecond}
	})
	a, b, unknown := r.Watch(registry.App(kept)), r.Watch(registry.App(live)), r.Watch(registry.App("unknown"))
	set, definition := r.WatchServices(), r.WatchDefinition(registry.DubboService("some.I", "", ""))
	hasAll := lists(registry.ServiceName{Name: kept, Group: "DEFAULT_GROUP"}, registry.ServiceName{Name: live, Group: "DEFAULT_GROUP"})
	a.Until("the persistent instance", registrytest.Has("10.0.0.1:80"))
	b.Until("the ephemeral instance", registrytest.Has("10.0.0.2:80"))
	unknown.Until("nothing", registrytest.Has())
	set.Until("the list", hasAll)
	definition.Until("the definition", func(s string) bool { return s == "{}" })
	r.Await(registry.Live)
	truth := len(definition.All()) - 1 // the server may still have been storing it when we first asked

	// again checks that whatever was pushed in step was the truth, and that everything was confirmed.
	again := func(step string, counts [5]int) {
		t.Helper()
		began := time.Now()
		for n, count := range []func() int{
			func() int { return len(a.All()) }, func() int { return len(b.All()) }, func() int { return len(unknown.All()) },
			func() int { return len(set.All()) }, func() int { return len(definition.All()) },
		} {
			registrytest.Within(t, fmt.Sprintf("%s: confirmation of watch %d", step, n), func() bool { return count() > counts[n] })
		}
		t.Logf("%s: all confirmed %v after the connection", step, time.Since(began))
		for name, p := range map[string]*registrytest.Pushes[registry.Snapshot]{kept: a, live: b} {
			for n, s := range p.All() {
				if len(s.Instances) != 1 {
					t.Errorf("%s: push %d of %s has %d instances", step, n, name, len(s.Instances))
				}
			}
		}
		for n, s := range set.All() {
			if !hasAll(s) {
				t.Errorf("%s: push %d of the list has only %v", step, n, s.Services)
			}
		}
		for n, s := range definition.All()[truth:] {
			if s != "{}" {
				t.Errorf("%s: push %d of the definition is %q", step, n, s)
			}
		}
	}
	counts := func() [5]int {
		return [5]int{len(a.All()), len(b.All()), len(unknown.All()), len(set.All()), len(definition.All())}
	}

	t.Run("freeze", func(t *testing.T) {
		before, began := counts(), time.Now()
		freeze(t, server)
		r.Await(registry.Stale)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("noticed after %v", d)
		}
		thaw(t, server)
		r.Await(registry.Live)
		again("freeze", before)
	})
	t.Run("freeze for 20 seconds", func(t *testing.T) {
		before := counts()
		freeze(t, server)
		time.Sleep(20 * time.Second) // by then the server believes that everybody has left
		thaw(t, server)
		r.Await(registry.Live)
		again("freeze for 20 seconds", before)
	})
	t.Run("restart", func(t *testing.T) {
		before := counts()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		r.Await(registry.Live)
		again("restart", before)
	})
	t.Run("kill", func(t *testing.T) {
		server.Kill()
		r.Await(registry.Stale)
		late := r.Watch(registry.App(kept)) // begins while there is no server
		before := counts()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		r.Await(registry.Live)
		again("kill", before)
		late.Until("the instance for the late watch", registrytest.Has("10.0.0.1:80"))
	})
	t.Run("later changes", func(t *testing.T) {
		provider.register(live, "10.0.0.3", 80, nil)
		b.Until("the new address", registrytest.Has("10.0.0.3:80"))
		if err := server.Deregister(t.Context(), testbed.Instance{Service: kept, IP: "10.0.0.1", Port: 80}); err != nil {
			t.Fatal(err)
		}
		a.Until("nothing", registrytest.Has())
	})
	t.Run("limit of patterns", func(t *testing.T) {
		// The server's limit is 20 patterns: other clients use them up.
		other := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) {
			for n := range 20 {
				c.Groups = append(c.Groups, fmt.Sprintf("g%d", n))
			}
		})
		other.WatchServices().Until("the list", func(registry.ServiceSet) bool { return true })
		r.Stop()
		polled := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) {
			c.Groups, c.ListInterval = []string{"fresh"}, 200*time.Millisecond
		})
		set := polled.WatchServices()
		set.Until("an empty list", func(s registry.ServiceSet) bool { return len(s.Services) == 0 })
		registrytest.Within(t, "the refusal", func() bool {
			polled.reg.mu.Lock()
			defer polled.reg.mu.Unlock()
			l := polled.reg.lists["fresh"]
			return l.refused != nil && l.watched == nil
		})
		if err := server.Register(t.Context(), testbed.Instance{Group: "fresh", Service: "new", IP: "10.0.0.9", Port: 80}); err != nil {
			t.Fatal(err)
		}
		set.Until("the new service", lists(registry.ServiceName{Name: "new", Group: "fresh"}))
		polled.NoErrors()
	})
}

func TestLogin(t *testing.T) {
	if testing.Short() {
		t.Skip("slow: starts a private server")
	}
	ca := newAuthority(t, "ours")
	cert, key := ca.leaf("nacos")
	server := testbed.StartNacos(t, testbed.WithAuth("nacos", "right"), testbed.WithJVM(
		"-Dnacos.remote.server.rpc.tls.enableTls=true", "-Dnacos.remote.server.rpc.tls.compatibility=true", // beside no TLS
		"-Dnacos.remote.server.rpc.tls.certChainFile=file:"+cert, "-Dnacos.remote.server.rpc.tls.certPrivateKey=file:"+key,
	))
	if err := server.Register(t.Context(), testbed.Instance{Service: "svc", IP: "10.0.0.1", Port: 80}); err != nil {
		t.Fatal(err)
	}
	user := func(password string) func(*Config, *registry.Options) {
		return func(c *Config, _ *registry.Options) { c.Username, c.Password = "nacos", password }
	}
	right, wrong, nobody := newRig(t, server.Addr(), user("right")), newRig(t, server.Addr(), user("wrong")), newRig(t, server.Addr())
	a, b, c := right.Watch(registry.App("svc")), wrong.Watch(registry.App("svc")), nobody.Watch(registry.App("svc"))
	list := right.WatchServices()
	a.Until("the instance", registrytest.Has("10.0.0.1:80"))
	list.Until("the list", lists(registry.ServiceName{Name: "svc", Group: "DEFAULT_GROUP"}))
	right.NoErrors()

	registrytest.Within(t, "the wrong password's error", func() bool { return wrong.SawError("log in: http://" + server.Addr()) })
	if !wrong.SawError("check username and password") {
		t.Errorf("it is not said what to do: %v", wrong.Errors())
	}
	registrytest.Within(t, "a second try", func() bool { return len(wrong.Errors()) > 1 })
	if s := wrong.State(); s != registry.Connecting {
		t.Errorf("with a wrong password the state is %v", s)
	}
	registrytest.Within(t, "the missing password's error", func() bool { return nobody.SawError("refused: 403") })
	if n := len(b.All()) + len(c.All()); n != 0 {
		t.Errorf("%d states were pushed without a login", n)
	}

	t.Run("a token that is refused is replaced", func(t *testing.T) {
		au := right.reg.auth
		au.mu.Lock()
		au.current, au.since = "nonsense", time.Time{}
		au.mu.Unlock()
		right.Watch(registry.App("other")).Until("an answer", registrytest.Has())
		if got := au.token(); got == "nonsense" || got == "" {
			t.Errorf("the token is %q", got)
		}
		right.NoErrors()
	})
	t.Run("a token is renewed before it ends", func(t *testing.T) {
		au := right.reg.auth
		old := au.token()
		au.mu.Lock()
		au.renewAt, au.since = time.Now(), time.Time{}
		au.mu.Unlock()
		freeze(t, server) // a new session looks at renewAt
		right.Await(registry.Stale)
		thaw(t, server)
		right.Await(registry.Live)
		registrytest.Within(t, "a new token", func() bool { return au.token() != old })
	})
	t.Run("TLS on gRPC alone", func(t *testing.T) {
		byTLS := func(section registry.TLS) *rig {
			return newRig(t, "http://"+server.Addr(), user("right"), func(c *Config, _ *registry.Options) { c.TLS = &section })
		}
		byTLS(registry.TLS{CA: ca.file, ServerName: "server.test"}).Watch(registry.App("svc")).Until("the instance", registrytest.Has("10.0.0.1:80"))
		for want, section := range map[string]registry.TLS{
			"tls.ca must hold":       {CA: newAuthority(t, "theirs").file, ServerName: "server.test"},
			"tls.serverName must be": {CA: ca.file, ServerName: "other.test"},
		} {
			r := byTLS(section)
			registrytest.Within(t, "the error", func() bool { return r.SawError(want) })
		}
	})
	t.Run("a user without rights", func(t *testing.T) {
		if err := server.CreateUser(t.Context(), "guest", "guest"); err != nil {
			t.Fatal(err)
		}
		guest := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) { c.Username, c.Password = "guest", "guest" })
		p := guest.Watch(registry.App("svc"))
		registrytest.Within(t, "what to do", func() bool { return guest.SawError(`user "guest" may not read in namespace "public": grant it`) })
		if s := guest.State(); s != registry.Live || len(p.All()) > 0 {
			t.Errorf("state %v, %d pushes", s, len(p.All()))
		}
		other := newRig(t, server.Addr(), user("right"), in("nowhere"))
		registrytest.Within(t, "the administrator to be told", func() bool { return other.SawError(`namespace "nowhere" does not exist`) })
	})
	t.Run("the secret of tokens is changed", func(t *testing.T) {
		n := len(a.All())
		server.AddJVM(
			"-Dnacos.core.auth.plugin.nacos.token.secret.key="+base64.StdEncoding.EncodeToString([]byte("another secret of more than 32 bytes")),
			"-Dnacos.naming.fuzzy.watch.max.pattern.match.service.count=3", // for the next step
		)
		old := right.reg.auth.token()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		registrytest.Within(t, "a confirmation", func() bool { return len(a.All()) > n })
		if right.reg.auth.token() == old {
			t.Error("the old token is still in use")
		}
		for _, s := range a.All() {
			if len(s.Instances) != 1 {
				t.Errorf("pushed: %+v", s)
			}
		}
	})
	t.Run("the limit of a fuzzy watch", func(t *testing.T) {
		registrytest.Within(t, "the administrator's login", func() bool { return server.Login(t.Context()) == nil })
		quick := newRig(t, server.Addr(), user("right"), func(c *Config, _ *registry.Options) { c.ListInterval = 500 * time.Millisecond })
		set := quick.WatchServices()
		set.Until("the list", lists(inDefault("svc")))
		var want []registry.ServiceName
		for n := range 8 { // from within the limit to beyond it
			want = append(want, inDefault(fmt.Sprint("more", n)))
			i := testbed.Instance{Service: want[n].Name, IP: "10.0.0.1", Port: 80}
			if err := server.Register(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			set.Until("the new name", lists(want...))
		}
		registrytest.Within(t, "the pushes to be given up", func() bool {
			quick.reg.mu.Lock()
			defer quick.reg.mu.Unlock()
			return quick.reg.lists["DEFAULT_GROUP"].refused != nil
		})
		late := newRig(t, server.Addr(), user("right"))
		late.WatchServices().Until("all of them, though the server refuses to push", lists(want...))
	})
}

func freeze(t *testing.T, n *testbed.Nacos) {
	t.Helper()
	if err := n.Freeze(); err != nil {
		t.Fatal(err)
	}
}

func thaw(t *testing.T, n *testbed.Nacos) {
	t.Helper()
	if err := n.Thaw(); err != nil {
		t.Fatal(err)
	}
}
