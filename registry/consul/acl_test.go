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
		r.Watch(registry.App("web")).Until("one", has("192.0.2.1:80"))
		r.Watch(registry.App("web-unknown")).Until("nothing there", has())
	})
	t.Run("wrong token", func(t *testing.T) {
		r := newRig(t, server.Addr(), withToken("00000000-0000-4000-8000-000000000000"))
		w := r.Watch(registry.App("web"))
		r.AwaitError("403", "set token anew")
		if r.State() != registry.Connecting || w.Count() != 0 {
			t.Errorf("%v, %d pushes", r.State(), w.Count())
		}
	})
	t.Run("nothing may be read", func(t *testing.T) {
		token, _ := a.token("nothing", `node_prefix "" { policy = "read" }`)
		r := newRig(t, server.Addr(), withToken(token))
		w := r.Watch(registry.App("web"))
		r.AwaitError("service web", "the ACLs hide a part")
		if w.Count() != 0 {
			t.Errorf("pushed %v", addresses(w.Last()))
		}
	})
	t.Run("anonymous", func(t *testing.T) {
		r := newRig(t, server.Addr())
		w, list := r.Watch(registry.App("web")), r.WatchServices()
		r.AwaitError("service web", "hide everything from anonymous callers")
		r.AwaitError("list of services", "hide everything from anonymous callers")
		if w.Count() != 0 || list.Count() != 0 {
			t.Error("what an anonymous caller sees was believed")
		}
	})
	t.Run("filtered list", func(t *testing.T) {
		token, _ := a.token("some", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		s := r.WatchServices().Last()
		if len(s.Services) != 1 || s.Services[0] != registry.App("web") {
			t.Errorf("%v", s.Services)
		}
		r.AwaitError("list of services", "hide a part")
	})
	t.Run("token deleted", func(t *testing.T) {
		token, accessor := a.token("deleted", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		w := r.Watch(registry.App("web"))
		w.Until("one", has("192.0.2.1:80"))
		_, err := a.api.ACL().TokenDelete(accessor, nil)
		must(t, err)
		r.Await(registry.Stale)
		r.AwaitError("403", "set token anew")
		a.register("web", "192.0.2.3", 80)
		defer a.deregister("web-192.0.2.3-80")
		if !has("192.0.2.1:80")(w.Last()) {
			t.Errorf("without a right it pushed %v", addresses(w.Last()))
		}
	})
	t.Run("token loses a right", func(t *testing.T) {
		token, _ := a.token("shrinking", readsWeb)
		r := newRig(t, server.Addr(), withToken(token))
		w, list := r.Watch(registry.App("web")), r.WatchServices()
		w.Until("one", has("192.0.2.1:80"))
		list.Last()
		policy, _, err := a.api.ACL().PolicyReadByName("shrinking", nil)
		must(t, err)
		policy.Rules = `service "webber" { policy = "read" }`
		_, _, err = a.api.ACL().PolicyUpdate(policy, nil)
		must(t, err)
		r.AwaitError("service web", "the ACLs hide a part")
		if !has("192.0.2.1:80")(w.Last()) {
			t.Errorf("a hidden service became %v", addresses(w.Last()))
		}
		policy.Rules = readsWeb
		_, _, err = a.api.ACL().PolicyUpdate(policy, nil)
		must(t, err)
		n := w.Count()
		w.More(n)
		w.Until("as before", has("192.0.2.1:80"))
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
		r.Watch(registry.App("web")).Until("one", has("192.0.2.1:80"))
		r.Watch(registry.App("web-unknown")).Until("nothing, truly", has())
		w := r.Watch(registry.App("secret"))
		r.AwaitError("service secret", "hide everything from anonymous callers")
		if w.Count() != 0 {
			t.Errorf("pushed %v", addresses(w.Last()))
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
	w := r.Watch(registry.App("web"))
	r.AwaitError("403", "set tokenFile anew")
	write(first)
	w.Until("one", has("192.0.2.1:80"))

	// Renewed before the old one ends: nobody notices.
	second, _ := a.token("second", readsWeb)
	n := w.Count()
	write(second)
	w.More(n)
	if r.State() != registry.Live || len(r.Errors("changed")) > 0 {
		t.Errorf("%v, %v", r.State(), r.Errors())
	}
	_, err := a.api.ACL().TokenDelete(accessor, nil)
	must(t, err)
	a.register("web", "192.0.2.2", 80)
	w.Until("two", has("192.0.2.1:80", "192.0.2.2:80"))

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
	r.Await(registry.Stale)
	third, _ := a.token("third", readsWeb)
	write(third)
	r.Await(registry.Live)
	a.register("web", "192.0.2.3", 80)
	w.Until("three", has("192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"))
}
