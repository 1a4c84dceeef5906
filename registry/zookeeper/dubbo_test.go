package zookeeper

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

// java33 is what Dubbo 3.3 registers by interface.
func java33(protocol, address, iface, more string) string {
	return protocol + "://" + address + "/" + iface + "?application=jprov&deprecated=false&dubbo=2.0.2&dynamic=true&generic=false&interface=" +
		iface + "&metadata-type=local&methods=hello,get,async&prefer.serialization=hessian2,fastjson2&revision=1.0.0" +
		"&serialize.check.status=STRICT&service-name-mapping=true&side=provider&timestamp=1795369980045" + more
}

func TestProvidersByInterface(t *testing.T) {
	r := newRig(t, shared)
	const iface = "lab.UserService"
	all := r.watch(registry.DubboService(iface, "*", "*"))
	none := r.watch(registry.DubboService(iface, "", ""))
	g1 := r.watch(registry.DubboService(iface, "g1", "1.0.0"))
	if got := all.last(); len(got.Instances) != 0 || got.Service.Name != iface {
		t.Errorf("a service that does not exist: %+v", got)
	}
	first := r.dubbo(iface, "providers", url.QueryEscape(java33("dubbo", "192.0.2.2:21880", iface, "&group=g1&version=1.0.0")))
	r.writer.live(first, "192.0.2.2")
	got := g1.until("the first provider", has("dubbo://192.0.2.2:21880"))
	want := registry.Instance{
		Host: "192.0.2.2", Port: 21880, Protocol: "dubbo", Weight: 1, Group: "g1", Version: "1.0.0",
		Metadata: map[string]string{
			"application": "jprov", "deprecated": "false", "dubbo": "2.0.2", "dynamic": "true", "generic": "false", "interface": iface,
			"metadata-type": "local", "methods": "hello,get,async", "prefer.serialization": "hessian2,fastjson2", "revision": "1.0.0",
			"serialize.check.status": "STRICT", "service-name-mapping": "true", "side": "provider", "timestamp": "1795369980045",
			"group": "g1", "version": "1.0.0",
		},
	}
	if d := cmp.Diff(want, got.Instances[0]); d != "" {
		t.Error(d)
	}
	second := r.dubbo(iface, "providers", url.QueryEscape(java33("tri", "192.0.2.2:21881", iface, "")))
	r.writer.live(second, "192.0.2.2")
	all.until("both", has("dubbo://192.0.2.2:21880", "tri://192.0.2.2:21881"))
	none.until("the one without group", has("tri://192.0.2.2:21881"))
	r.writer.live(r.dubbo(iface, "providers", "garbage"), "")
	if got := all.until("the bad one skipped", func(s registry.Snapshot) bool { return s.SkippedCount == 1 }); len(got.Instances) != 2 || got.Skipped[0].Entry != "garbage" {
		t.Errorf("%+v", got)
	}
	r.writer.remove(first)
	r.writer.remove(second)
	all.until("nobody", has())
	g1.until("nobody", has())
}
