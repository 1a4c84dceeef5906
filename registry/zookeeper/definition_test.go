package zookeeper

import (
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

func TestWatchDefinition(t *testing.T) {
	r := newRig(t, shared.get(t))
	plain := r.WatchDefinition(registry.DubboService("a.S", "", ""))
	exact := r.WatchDefinition(registry.DubboService("a.S", "g1", "1.0.0"))
	group := r.WatchDefinition(registry.DubboService("a.S", "g1", ""))
	is := func(want string) func(string) bool { return func(s string) bool { return s == want } }
	for _, p := range []*registrytest.Pushes[string]{plain, exact, group} {
		if got := p.Last(); got != "" {
			t.Errorf("a definition that nobody wrote: %q", got)
		}
	}
	r.writer.put(r.rdubbo("metadata/a.S/1.0.0/g1/provider/jprov"), `{"n":1}`)
	r.writer.put(r.rdubbo("metadata/a.S/g1/provider/jprov"), `{"n":2}`)
	r.writer.put(r.rdubbo("metadata/a.S/provider/jprov"), `{"n":3}`)
	r.writer.put(r.rdubbo("metadata/a.S/consumer/jcons"), `{"n":4}`)
	exact.Until("version and group", is(`{"n":1}`))
	group.Until("group", is(`{"n":2}`))
	plain.Until("neither", is(`{"n":3}`))
	r.writer.put(r.rdubbo("metadata/a.S/provider/jprov"), `{"n":5}`)
	plain.Until("changed", is(`{"n":5}`))

	// Of several applications, one that is alive, by name.
	r.writer.put(r.rdubbo("metadata/a.S/provider/a-dead"), `{"n":6}`)
	plain.Until("nobody is alive: the first by name", is(`{"n":6}`))
	live := r.rservices("jprov/192.0.2.1:20880")
	r.writer.live(live, java33Node("jprov", "192.0.2.1", 20880, "r1", localTri))
	plain.Until("alive by application", is(`{"n":5}`))
	r.writer.put(r.rdubbo("metadata/a.S/provider/b-live"), `{"n":7}`)
	provider := r.rdubbo("a.S/providers", encode("dubbo://192.0.2.1:20880/a.S?application=b-live&interface=a.S"))
	r.writer.live(provider, "")
	plain.Until("alive by interface", is(`{"n":7}`))
	r.writer.put(r.rdubbo("metadata/a.S/provider/b-live"), `{"n":`) // not JSON: the next one
	plain.Until("the next one", is(`{"n":5}`))
	registrytest.Within(t, "the report", func() bool { return r.SawError("/metadata/a.S/provider/b-live: not JSON") })
	for _, app := range []string{"a-dead", "b-live", "jprov"} {
		r.writer.remove(r.rdubbo("metadata/a.S/provider", app))
	}
	plain.Until("none", is(""))
	if exact.Count() != 2 || group.Count() != 2 {
		t.Errorf("%d and %d pushes of what changed once", exact.Count(), group.Count())
	}
}
