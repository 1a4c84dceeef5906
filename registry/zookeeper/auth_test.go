package zookeeper

import (
	"slices"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// What only a user may read is read with the user's password, and reported without it.
func TestDigest(t *testing.T) {
	secret := spring("192.0.2.1", `"port":8080`, "")
	protect := func(r *rig) {
		r.writer.put(r.rservices("web/a"), secret)
		r.writer.put(r.rservices("web/open"), spring("192.0.2.2", `"port":8080`, ""))
		for _, path := range []string{r.rservices("web/a"), r.rservices("web")} {
			if _, err := r.writer.conn.SetACL(path, zk.DigestACL(zk.PermAll, "gateway", "secret"), -1); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("with", func(t *testing.T) {
		r := newRig(t, shared.get(t), func(c *Config, _ *registry.Options) { c.Username, c.Password = "gateway", "secret" })
		protect(r)
		r.Watch(registry.App("web")).Until("both", registrytest.Has("http://192.0.2.1:8080", "http://192.0.2.2:8080"))
	})
	t.Run("without", func(t *testing.T) {
		r := newRig(t, shared.get(t))
		protect(r)
		p := r.Watch(registry.App("web"))
		registrytest.Within(t, "the report", func() bool {
			return r.SawError("watch web: list " + r.rservices("web") + ": no permission (NoAuth)")
		})
		if p.Count() != 0 || r.State() != registry.Live {
			t.Errorf("%d pushes, %v", p.Count(), r.State())
		}
		// The list is opened: what may be read is used at the next attempt, the other one is named.
		admin := newWriter(t, shared.get(t).Addr())
		if err := admin.conn.AddAuth("digest", []byte("gateway:secret")); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.conn.SetACL(r.rservices("web"), zk.WorldACL(zk.PermAll), -1); err != nil {
			t.Fatal(err)
		}
		got := p.Until("the open one", registrytest.Has("http://192.0.2.2:8080"))
		if got.SkippedCount != 1 || got.Skipped[0].Entry != "web/a" || got.Skipped[0].Reason != "no permission (NoAuth)" {
			t.Errorf("%+v", got.Skipped)
		}
	})
}

// What is refused beside the point is reported and hides nothing else.
func TestRefusedParts(t *testing.T) {
	r := newRig(t, shared.get(t))
	r.writer.live(r.rdubbo("a.S/providers", encode(java33("dubbo", "192.0.2.1:20880", "a.S", ""))), "")
	r.writer.put(r.rservices("web/1"), spring("192.0.2.1", `"port":8080`, ""))
	r.writer.put(r.rdubbo("metadata/a.S/provider/a"), `{"n":1}`)
	r.writer.put(r.rdubbo("metadata/a.S/provider/b"), `{"n":2}`)
	for _, path := range []string{
		r.rdubbo("a.S/configurators"), r.rdubbo("mapping/a.S"), r.rdubbo("config/mapping/a.S"), r.rdubbo("b.S/providers"),
		r.rservices("secret"), r.rdubbo("metadata/a.S/provider/a"),
	} {
		r.writer.put(path, "")
		if _, err := r.writer.conn.SetACL(path, zk.DigestACL(zk.PermAll, "gateway", "secret"), -1); err != nil {
			t.Fatal(err)
		}
	}
	r.Watch(registry.DubboService("a.S", "", "")).Until("the provider", registrytest.Has("dubbo://192.0.2.1:20880"))
	r.WatchServices().Until("what may be read", func(s registry.ServiceSet) bool {
		return slices.Equal(s.Services, []registry.ServiceName{registry.App("web"), registry.DubboService("a.S", "", "")})
	})
	r.WatchDefinition(registry.DubboService("a.S", "", "")).Until("the readable one", func(s string) bool { return s == `{"n":2}` })
	for _, part := range []string{"a.S/configurators", "mapping/a.S", "config/mapping/a.S", "b.S/providers", "provider/a"} {
		registrytest.Within(t, part, func() bool {
			return r.SawError("read "+r.rdubbo(part)) || r.SawError("read "+r.rdubbo("metadata/a.S", part))
		})
	}
}

// A provider whose own node may not be read is in a list that may: it is seen to come and to go.
func TestUnreadableNodeInReadableList(t *testing.T) {
	r := newRig(t, shared.get(t))
	r.writer.put(r.rdubbo("a.S/providers"), "")
	p := r.Watch(registry.DubboService("a.S", "", ""))
	p.Last()
	owner := newWriter(t, shared.get(t).Addr())
	must(t, owner.conn.AddAuth("digest", []byte("provider:secret")))
	path := r.rdubbo("a.S/providers", encode(java33("dubbo", "192.0.2.1:20880", "a.S", "")))
	_, err := owner.conn.Create(path, nil, zk.FlagEphemeral, zk.AuthACL(zk.PermAll))
	must(t, err)
	p.Until("the provider", registrytest.Has("dubbo://192.0.2.1:20880"))
	must(t, owner.conn.Delete(path, -1))
	p.Until("nobody", registrytest.Has())
}
