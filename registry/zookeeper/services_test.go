package zookeeper

import (
	"slices"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

func TestWatchServices(t *testing.T) {
	a := &asker{answers: map[string]string{"app r1": metadataInfo("app", "r1", "g/a.T:2.0:tri=21881", "a.T:rest=80")}}
	r := newRig(t, shared.get(t), withAsker(a))
	p := r.WatchServices()
	if got := p.Last(); len(got.Services) != 0 {
		t.Errorf("an empty registry: %+v", got)
	}
	is := func(want ...registry.ServiceName) func(registry.ServiceSet) bool {
		return func(s registry.ServiceSet) bool { return slices.Equal(s.Services, want) }
	}
	web, s1, s2 := registry.App("web"), registry.DubboService("a.S", "", ""), registry.DubboService("a.S", "g1", "1.0.0")
	provider := func(protocol, address, more string) string {
		return r.rdubbo("a.S/providers", encode(java33(protocol, address, "a.S", more)))
	}
	r.writer.put(r.rdubbo("a.Dead/providers"), "")             // nobody provides it
	r.writer.put(r.rdubbo("goprov/r9"), "{}")                  // dubbo-go's metadata stands among the interfaces
	r.writer.put(r.rdubbo("metadata/a.X/provider/app"), "")    // no sign of life
	r.writer.put(r.rdubbo("mapping/a.X"), "app")               // nor this
	r.writer.put(r.rdubbo("config/dubbo/x.configurators"), "") // nor this
	r.writer.put(r.rservices("empty"), "")
	r.writer.live(provider("dubbo", "192.0.2.1:20880", ""), "")
	r.writer.live(provider("rest", "192.0.2.1:80", "&group=rest"), "")
	p.Until("one", is(s1))
	r.writer.live(provider("tri", "192.0.2.1:21881", "&group=g1&version=1.0.0"), "")
	r.writer.live(r.rservices("web/1"), spring("192.0.2.1", `"port":8080`, ""))
	p.Until("three", is(web, s1, s2))
	node := r.rservices("app/192.0.2.1:20880")
	r.writer.live(node, java33Node("app", "192.0.2.1", 20880, "r1", localTri))
	p.Until("four", is(web, s1, s2, registry.DubboService("a.T", "g", "2.0")))
	r.writer.remove(node)
	r.writer.remove(provider("dubbo", "192.0.2.1:20880", ""))
	p.Until("two", is(web, s2))
	before := p.Count()
	r.writer.live(provider("tri", "192.0.2.2:21881", "&group=g1&version=1.0.0"), "") // no new service
	r.writer.live(r.rservices("web2/1"), spring("192.0.2.1", `"port":8080`, ""))
	p.Until("three", is(web, registry.App("web2"), s2))
	if p.Count() != before+1 {
		t.Errorf("%d pushes, want 1", p.Count()-before)
	}
}
