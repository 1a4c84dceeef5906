package consul

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/test/testbed"
)

const management = "5f7ae9a0-3a42-4b8b-9d4d-0f3a53e7a4f1"

// token makes a token with a policy of these rules.
func (a *agent) token(name, rules string) (token, accessor string) {
	a.t.Helper()
	_, _, err := a.api.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	must(a.t, err)
	made, _, err := a.api.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
	must(a.t, err)
	return made.SecretID, made.AccessorID
}

const readsWeb = `service_prefix "web" { policy = "read" } node_prefix "" { policy = "read" }`

func withToken(token string) func(*Config) { return func(c *Config) { c.Token = token } }

func TestACL(t *testing.T) {
	server := testbed.StartConsul(t, testbed.WithACL(management))
	a := newAgent(t, server)
	a.register("web", "192.0.2.1", 80)
	a.register("secret", "192.0.2.2", 80)

	t.Run("good token", func(t *testing.T) {
		token, _ := a.token("good", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		r.watch(registry.App("web")).until("one", has("192.0.2.1:80"))
		r.watch(registry.App("web-unknown")).until("nothing there", has())
	})
	t.Run("wrong token", func(t *testing.T) {
		r := newRig(t, server.Addr(), withToken("00000000-0000-4000-8000-000000000000"))
		w := r.watch(registry.App("web"))
		r.waitError("403", "set token anew")
		if r.state() != registry.Connecting || w.count() != 0 {
			t.Errorf("%v, %d pushes", r.state(), w.count())
		}
	})
	t.Run("nothing may be read", func(t *testing.T) {
		token, _ := a.token("nothing", `node_prefix "" { policy = "read" }`)
		r := newRig(t, server.Addr(), withToken(token))
		w := r.watch(registry.App("web"))
		r.waitError("service web", "the ACLs hide a part")
		if w.count() != 0 {
			t.Errorf("pushed %v", addresses(w.last()))
		}
	})
	t.Run("anonymous", func(t *testing.T) {
		r := newRig(t, server.Addr())
		w, list := r.watch(registry.App("web")), r.watchServices()
		r.waitError("service web", "hide everything from anonymous callers")
		r.waitError("list of services", "hide everything from anonymous callers")
		if w.count() != 0 || list.count() != 0 {
			t.Error("what an anonymous caller sees was believed")
		}
	})
	t.Run("filtered list", func(t *testing.T) {
		token, _ := a.token("some", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		s := r.watchServices().last()
		if len(s.Services) != 1 || s.Services[0] != registry.App("web") {
			t.Errorf("%v", s.Services)
		}
		r.waitError("list of services", "hide a part")
	})
	t.Run("token deleted", func(t *testing.T) {
		token, accessor := a.token("deleted", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		w := r.watch(registry.App("web"))
		w.until("one", has("192.0.2.1:80"))
		_, err := a.api.ACL().TokenDelete(accessor, nil)
		must(t, err)
		r.waitFor(registry.Stale)
		r.waitError("403", "set token anew")
		a.register("web", "192.0.2.3", 80)
		defer a.deregister("web-192.0.2.3-80")
		if !has("192.0.2.1:80")(w.last()) {
			t.Errorf("without a right it pushed %v", addresses(w.last()))
		}
	})
	t.Run("token loses a right", func(t *testing.T) {
		token, _ := a.token("shrinking", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		w, list := r.watch(registry.App("web")), r.watchServices()
		w.until("one", has("192.0.2.1:80"))
		list.last()
		policy, _, err := a.api.ACL().PolicyReadByName("shrinking", nil)
		must(t, err)
		policy.Rules = `service "webber" { policy = "read" }`
		_, _, err = a.api.ACL().PolicyUpdate(policy, nil)
		must(t, err)
		r.waitError("service web", "the ACLs hide a part")
		if !has("192.0.2.1:80")(w.last()) {
			t.Errorf("a hidden service became %v", addresses(w.last()))
		}
		policy.Rules = readsWeb
		_, _, err = a.api.ACL().PolicyUpdate(policy, nil)
		must(t, err)
		n := w.count()
		w.more(n)
		w.until("as before", has("192.0.2.1:80"))
	})
	t.Run("anonymous with rights", func(t *testing.T) {
		_, _, err := a.api.ACL().PolicyCreate(&api.ACLPolicy{Name: "everybody", Rules: readsWeb}, nil)
		must(t, err)
		anonymous, _, err := a.api.ACL().TokenRead("00000000-0000-0000-0000-000000000002", nil)
		must(t, err)
		anonymous.Policies = []*api.ACLTokenPolicyLink{{Name: "everybody"}}
		_, _, err = a.api.ACL().TokenUpdate(anonymous, nil)
		must(t, err)
		time.Sleep(1100 * time.Millisecond) // the server caches what anonymous callers may do
		r := newRig(t, server.Addr())
		r.watch(registry.App("web")).until("one", has("192.0.2.1:80"))
		r.watch(registry.App("web-unknown")).until("nothing, truly", has())
		w := r.watch(registry.App("secret"))
		r.waitError("service secret", "hide everything from anonymous callers")
		if w.count() != 0 {
			t.Errorf("pushed %v", addresses(w.last()))
		}
	})
}

func TestTokenFileIsRotated(t *testing.T) {
	server := testbed.StartConsul(t, testbed.WithACL(management))
	a := newAgent(t, server)
	a.register("web", "192.0.2.1", 80)
	first, accessor := a.token("first", readsWeb)
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) { must(t, os.WriteFile(path, []byte(token+"\n"), 0o600)) }
	write("not-yet-there")
	r := newRig(t, server.Addr(), func(c *Config) { c.TokenFile = path })
	w := r.watch(registry.App("web"))
	r.waitError("403", "set tokenFile anew")
	write(first)
	w.until("one", has("192.0.2.1:80"))

	// Renewed before the old one ends: nobody notices.
	second, _ := a.token("second", readsWeb)
	n := w.count()
	write(second)
	w.more(n)
	if r.state() != registry.Live || len(r.errors("changed")) > 0 {
		t.Errorf("%v, %v", r.state(), r.errors())
	}
	_, err := a.api.ACL().TokenDelete(accessor, nil)
	must(t, err)
	a.register("web", "192.0.2.2", 80)
	w.until("two", has("192.0.2.1:80", "192.0.2.2:80"))

	// Deleted first, renewed afterwards.
	tokens, _, err := a.api.ACL().TokenList(nil)
	must(t, err)
	for _, token := range tokens {
		for _, policy := range token.Policies {
			if policy.Name == "second" {
				_, err := a.api.ACL().TokenDelete(token.AccessorID, nil)
				must(t, err)
			}
		}
	}
	r.waitFor(registry.Stale)
	third, _ := a.token("third", readsWeb)
	write(third)
	r.waitFor(registry.Live)
	a.register("web", "192.0.2.3", 80)
	w.until("three", has("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"))
}
