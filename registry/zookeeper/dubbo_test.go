package zookeeper

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// java33 is what Dubbo 3.3 registers by interface.
func java33(protocol, address, iface, more string) string {
	return protocol + "://" + address + "/" + iface + "?application=jprov&deprecated=false&dubbo=2.0.2&dynamic=true&generic=false&interface=" +
		iface + "&metadata-type=local&methods=hello,get,async&prefer.serialization=hessian2,fastjson2&revision=1.0.0" +
		"&serialize.check.status=STRICT&service-name-mapping=true&side=provider&timestamp=1795369980045" + more
}

func TestProvidersByInterface(t *testing.T) {
	r := newRig(t, shared.get(t))
	const iface = "lab.UserService"
	all := r.Watch(registry.DubboService(iface, "*", "*"))
	none := r.Watch(registry.DubboService(iface, "", ""))
	g1 := r.Watch(registry.DubboService(iface, "g1", "1.0.0"))
	if got := all.Last(); len(got.Instances) != 0 || got.Service.Name != iface {
		t.Errorf("a service that does not exist: %+v", got)
	}
	first := r.rdubbo(iface, "providers", encode(java33("dubbo", "192.0.2.2:21880", iface, "&group=g1&version=1.0.0")))
	r.writer.live(first, "192.0.2.2")
	got := g1.Until("the first provider", registrytest.Has("dubbo://192.0.2.2:21880"))
	want := registry.Instance{
		Host: "192.0.2.2", Port: 21880, Protocol: "dubbo", Weight: 1, Group: "g1", Version: "1.0.0",
		Metadata: map[string]string{
			"application": "jprov", "methods": "hello,get,async", "prefer.serialization": "hessian2,fastjson2",
			"revision": "1.0.0", "serialize.check.status": "STRICT", "timestamp": "1795369980045",
			"group": "g1", "version": "1.0.0",
		},
	}
	if d := cmp.Diff(want, got.Instances[0]); d != "" {
		t.Error(d)
	}
	second := r.rdubbo(iface, "providers", encode(java33("tri", "192.0.2.2:21881", iface, "")))
	r.writer.live(second, "192.0.2.2")
	all.Until("both", registrytest.Has("dubbo://192.0.2.2:21880", "tri://192.0.2.2:21881"))
	none.Until("the one without group", registrytest.Has("tri://192.0.2.2:21881"))
	r.writer.live(r.rdubbo(iface, "providers", "garbage"), "")
	if got := all.Until("the bad one skipped", func(s registry.Snapshot) bool { return s.SkippedCount == 1 }); len(got.Instances) != 2 || got.Skipped[0].Entry != "garbage" {
		t.Errorf("%+v", got)
	}
	r.writer.remove(first)
	r.writer.remove(second)
	all.Until("nobody", registrytest.Has())
	g1.Until("nobody", registrytest.Has())
}

// encode names a node as Dubbo does.
func encode(provider string) string { return url.QueryEscape(provider) }

func TestOverrides(t *testing.T) {
	r := newRig(t, shared.get(t))
	const iface = "a.S"
	for _, address := range []string{"192.0.2.1:20880", "192.0.2.2:20880"} {
		r.writer.live(r.rdubbo(iface, "providers", encode(java33("dubbo", address, iface, "&weight=200"))), "")
	}
	rule := func(text string) string { return r.rdubbo(iface, "configurators", encode(text)) }
	p := r.Watch(registry.DubboService(iface, "", ""))
	state := func(want string) func(registry.Snapshot) bool {
		return func(s registry.Snapshot) bool {
			got := ""
			for _, i := range s.Instances {
				got += fmt.Sprintf("%s %v %v;", i.Host, i.Weight, i.Disabled)
			}
			return got == want
		}
	}
	p.Until("as registered", state("192.0.2.1 2 false;192.0.2.2 2 false;"))
	off := rule("override://192.0.2.2:20880/a.S?category=configurators&dynamic=false&enabled=true&disabled=true")
	r.writer.put(off, "")
	p.Until("one disabled", state("192.0.2.1 2 false;192.0.2.2 2 true;"))
	r.writer.put(rule("override://0.0.0.0/a.S?category=configurators&weight=50&application=jprov"), "")
	p.Until("half the weight", state("192.0.2.1 0.5 false;192.0.2.2 0.5 true;"))
	r.writer.put(rule("override://0.0.0.0/a.S?weight=1000&application=other"), "")
	r.writer.put(rule("override://0.0.0.0/a.S?weight=1000&group=g"), "")
	r.writer.put(rule("override://0.0.0.0/a.S?weight=1000&enabled=false"), "")
	r.writer.put(rule("absent://0.0.0.0/a.S?weight=1000"), "")
	r.writer.put(r.rdubbo(iface, "configurators/garbage"), "")
	r.writer.remove(off)
	p.Until("enabled again", state("192.0.2.1 0.5 false;192.0.2.2 0.5 false;"))
}

func TestNamesThatCannotBeWatched(t *testing.T) {
	r := newRig(t, shared.get(t))
	ctx := t.Context()
	for _, name := range []string{"", "a/b", "..", "a\x00b"} {
		for _, kind := range []registry.Kind{registry.Plain, registry.Dubbo} {
			if err := r.reg.Watch(ctx, registry.ServiceName{Kind: kind, Name: name}, func(registry.Snapshot) {}); err == nil {
				t.Errorf("%q was watched", name)
			}
		}
		if err := r.reg.WatchDefinition(ctx, registry.DubboService(name, "", ""), func([]byte) {}); err == nil {
			t.Errorf("definition of %q was watched", name)
		}
	}
	for _, s := range []registry.ServiceName{
		registry.App("a"), registry.DubboService("a", "*", ""), registry.DubboService("a", "", "*"), registry.DubboService("a", "x/y", ""),
	} {
		if err := r.reg.WatchDefinition(ctx, s, func([]byte) {}); err == nil {
			t.Errorf("definition of %v was watched", s)
		}
	}
}

// A provider that was killed and started again stands there twice until its old session ends; the newer start counts.
func TestRestartedProvider(t *testing.T) {
	r := newRig(t, shared.get(t))
	node := func(pid, timestamp string) string {
		return r.rdubbo("a.S/providers", encode("dubbo://192.0.2.1:20880/a.S?interface=a.S&pid="+pid+"&timestamp="+timestamp))
	}
	p := r.Watch(registry.DubboService("a.S", "", ""))
	started := func(want string) func(registry.Snapshot) bool {
		return func(s registry.Snapshot) bool {
			return len(s.Instances) == 1 && s.Instances[0].Metadata["timestamp"] == want
		}
	}
	r.writer.live(node("5", "1700000000000"), "")
	p.Until("the first start", started("1700000000000"))
	r.writer.live(node("7", "1700000060000"), "")
	p.Until("the second start", started("1700000060000"))
	r.writer.live(node("6", "1700000030000"), "")
	r.writer.remove(node("7", "1700000060000"))
	p.Until("the newest of the rest", started("1700000030000"))
}
