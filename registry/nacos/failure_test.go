package nacos

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
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
	a, b, unknown := r.watch(registry.App(kept)), r.watch(registry.App(live)), r.watch(registry.App("unknown"))
	set, definition := r.watchServices(), r.watchDefinition(registry.DubboService("some.I", "", ""))
	hasAll := lists(registry.ServiceName{Name: kept, Group: "DEFAULT_GROUP"}, registry.ServiceName{Name: live, Group: "DEFAULT_GROUP"})
	a.until("the persistent instance", has("10.0.0.1:80"))
	b.until("the ephemeral instance", has("10.0.0.2:80"))
	unknown.until("nothing", has())
	set.until("the list", hasAll)
	definition.until("the definition", func(s string) bool { return s == "{}" })
	r.await(registry.Live)
	truth := len(definition.seen()) - 1 // the server may still have been storing it when we first asked

	// again checks that whatever was pushed in step was the truth, and that everything was confirmed.
	again := func(step string, counts [5]int) {
		t.Helper()
		began := time.Now()
		for n, count := range []func() int{
			func() int { return len(a.seen()) }, func() int { return len(b.seen()) }, func() int { return len(unknown.seen()) },
			func() int { return len(set.seen()) }, func() int { return len(definition.seen()) },
		} {
			within(t, fmt.Sprintf("%s: confirmation of watch %d", step, n), func() bool { return count() > counts[n] })
		}
		t.Logf("%s: all confirmed %v after the connection", step, time.Since(began))
		for name, p := range map[string]*pushes[registry.Snapshot]{kept: a, live: b} {
			for n, s := range p.seen() {
				if len(s.Instances) != 1 {
					t.Errorf("%s: push %d of %s has %d instances", step, n, name, len(s.Instances))
				}
			}
		}
		for n, s := range set.seen() {
			if !hasAll(s) {
				t.Errorf("%s: push %d of the list has only %v", step, n, s.Services)
			}
		}
		for n, s := range definition.seen()[truth:] {
			if s != "{}" {
				t.Errorf("%s: push %d of the definition is %q", step, n, s)
			}
		}
	}
	counts := func() [5]int {
		return [5]int{len(a.seen()), len(b.seen()), len(unknown.seen()), len(set.seen()), len(definition.seen())}
	}

	t.Run("freeze", func(t *testing.T) {
		before, began := counts(), time.Now()
		freeze(t, server)
		r.await(registry.Stale)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("noticed after %v", d)
		}
		thaw(t, server)
		r.await(registry.Live)
		again("freeze", before)
	})
	t.Run("freeze for 20 seconds", func(t *testing.T) {
		before := counts()
		freeze(t, server)
		time.Sleep(20 * time.Second) // by then the server believes that everybody has left
		thaw(t, server)
		r.await(registry.Live)
		again("freeze for 20 seconds", before)
	})
	t.Run("restart", func(t *testing.T) {
		before := counts()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		r.await(registry.Live)
		again("restart", before)
	})
	t.Run("kill", func(t *testing.T) {
		server.Kill()
		r.await(registry.Stale)
		late := r.watch(registry.App(kept)) // begins while there is no server
		before := counts()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		r.await(registry.Live)
		again("kill", before)
		late.until("the instance for the late watch", has("10.0.0.1:80"))
	})
	t.Run("later changes", func(t *testing.T) {
		provider.register(live, "10.0.0.3", 80, nil)
		b.until("the new address", has("10.0.0.3:80"))
		if err := server.Deregister(t.Context(), testbed.Instance{Service: kept, IP: "10.0.0.1", Port: 80}); err != nil {
			t.Fatal(err)
		}
		a.until("nothing", has())
	})
	t.Run("limit of patterns", func(t *testing.T) {
		// The server's limit is 20 patterns: other clients use them up.
		other := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) {
			for n := range 20 {
				c.Groups = append(c.Groups, fmt.Sprintf("g%d", n))
			}
		})
		other.watchServices().until("the list", func(registry.ServiceSet) bool { return true })
		r.stop()
		polled := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) {
			c.Groups, c.ListInterval = []string{"fresh"}, 200*time.Millisecond
		})
		set := polled.watchServices()
		set.until("an empty list", func(s registry.ServiceSet) bool { return len(s.Services) == 0 })
		within(t, "the refusal", func() bool {
			polled.reg.mu.Lock()
			defer polled.reg.mu.Unlock()
			l := polled.reg.lists["fresh"]
			return l.refused != nil && l.watched == nil
		})
		if err := server.Register(t.Context(), testbed.Instance{Group: "fresh", Service: "new", IP: "10.0.0.9", Port: 80}); err != nil {
			t.Fatal(err)
		}
		set.until("the new service", lists(registry.ServiceName{Name: "new", Group: "fresh"}))
		polled.noErrors()
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
	a, b, c := right.watch(registry.App("svc")), wrong.watch(registry.App("svc")), nobody.watch(registry.App("svc"))
	list := right.watchServices()
	a.until("the instance", has("10.0.0.1:80"))
	list.until("the list", lists(registry.ServiceName{Name: "svc", Group: "DEFAULT_GROUP"}))
	right.noErrors()

	within(t, "the wrong password's error", func() bool { return wrong.sawError("log in: http://" + server.Addr()) })
	if !wrong.sawError("check username and password") {
		t.Errorf("it is not said what to do: %v", wrong.firstError())
	}
	within(t, "a second try", func() bool { wrong.mu.Lock(); defer wrong.mu.Unlock(); return len(wrong.errs) > 1 })
	if s := wrong.state(); s != registry.Connecting {
		t.Errorf("with a wrong password the state is %v", s)
	}
	within(t, "the missing password's error", func() bool { return nobody.sawError("refused: 403") })
	if n := len(b.seen()) + len(c.seen()); n != 0 {
		t.Errorf("%d states were pushed without a login", n)
	}

	t.Run("a token that is refused is replaced", func(t *testing.T) {
		au := right.reg.auth
		au.mu.Lock()
		au.current, au.since = "nonsense", time.Time{}
		au.mu.Unlock()
		right.watch(registry.App("other")).until("an answer", has())
		if got := au.token(); got == "nonsense" || got == "" {
			t.Errorf("the token is %q", got)
		}
		right.noErrors()
	})
	t.Run("a token is renewed before it ends", func(t *testing.T) {
		au := right.reg.auth
		old := au.token()
		au.mu.Lock()
		au.renewAt, au.since = time.Now(), time.Time{}
		au.mu.Unlock()
		freeze(t, server) // a new session looks at renewAt
		right.await(registry.Stale)
		thaw(t, server)
		right.await(registry.Live)
		within(t, "a new token", func() bool { return au.token() != old })
	})
	t.Run("TLS on gRPC alone", func(t *testing.T) {
		byTLS := func(section registry.TLS) *rig {
			return newRig(t, "http://"+server.Addr(), user("right"), func(c *Config, _ *registry.Options) { c.TLS = &section })
		}
		byTLS(registry.TLS{CA: ca.file, ServerName: "server.test"}).watch(registry.App("svc")).until("the instance", has("10.0.0.1:80"))
		for want, section := range map[string]registry.TLS{
			"tls.ca must hold":       {CA: newAuthority(t, "theirs").file, ServerName: "server.test"},
			"tls.serverName must be": {CA: ca.file, ServerName: "other.test"},
		} {
			r := byTLS(section)
			within(t, "the error", func() bool { return r.sawError(want) })
		}
	})
	t.Run("a user without rights", func(t *testing.T) {
		if err := server.CreateUser(t.Context(), "guest", "guest"); err != nil {
			t.Fatal(err)
		}
		guest := newRig(t, server.Addr(), func(c *Config, _ *registry.Options) { c.Username, c.Password = "guest", "guest" })
		p := guest.watch(registry.App("svc"))
		within(t, "what to do", func() bool { return guest.sawError(`user "guest" may not read in namespace "public": grant it`) })
		if s := guest.state(); s != registry.Live || len(p.seen()) > 0 {
			t.Errorf("state %v, %d pushes", s, len(p.seen()))
		}
		other := newRig(t, server.Addr(), user("right"), in("nowhere"))
		within(t, "the administrator to be told", func() bool { return other.sawError(`namespace "nowhere" does not exist`) })
	})
	t.Run("the secret of tokens is changed", func(t *testing.T) {
		n := len(a.seen())
		server.AddJVM(
			"-Dnacos.core.auth.plugin.nacos.token.secret.key="+base64.StdEncoding.EncodeToString([]byte("another secret of more than 32 bytes")),
			"-Dnacos.naming.fuzzy.watch.max.pattern.match.service.count=3", // for the next step
		)
		old := right.reg.auth.token()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		within(t, "a confirmation", func() bool { return len(a.seen()) > n })
		if right.reg.auth.token() == old {
			t.Error("the old token is still in use")
		}
		for _, s := range a.seen() {
			if len(s.Instances) != 1 {
				t.Errorf("pushed: %+v", s)
			}
		}
	})
	t.Run("the limit of a fuzzy watch", func(t *testing.T) {
		within(t, "the administrator's login", func() bool { return server.Login(t.Context()) == nil })
		quick := newRig(t, server.Addr(), user("right"), func(c *Config, _ *registry.Options) { c.ListInterval = 500 * time.Millisecond })
		set := quick.watchServices()
		set.until("the list", lists(inDefault("svc")))
		var want []registry.ServiceName
		for n := range 8 { // from within the limit to beyond it
			want = append(want, inDefault(fmt.Sprint("more", n)))
			i := testbed.Instance{Service: want[n].Name, IP: "10.0.0.1", Port: 80}
			if err := server.Register(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			set.until("the new name", lists(want...))
		}
		within(t, "the pushes to be given up", func() bool {
			quick.reg.mu.Lock()
			defer quick.reg.mu.Unlock()
			return quick.reg.lists["DEFAULT_GROUP"].refused != nil
		})
		late := newRig(t, server.Addr(), user("right"))
		late.watchServices().until("all of them, though the server refuses to push", lists(want...))
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
