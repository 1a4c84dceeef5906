package zookeeper

import (
	"testing"

	"github.com/sluice-gateway/sluice/registry"
)

func TestWatchDefinition(t *testing.T) {
	r := newRig(t, shared.get(t))
	plain := r.watchDefinition(registry.DubboService("a.S", "", ""))
	exact := r.watchDefinition(registry.DubboService("a.S", "g1", "1.0.0"))
	group := r.watchDefinition(registry.DubboService("a.S", "g1", ""))
	is := func(want string) func(string) bool { return func(s string) bool { return s == want } }
	for _, p := range []*pushes[string]{plain, exact, group} {
		if got := p.last(); got != "" {
			t.Errorf("a definition that nobody wrote: %q", got)
		}
	}
	r.writer.put(r.rdubbo("metadata/a.S/1.0.0/g1/provider/jprov"), `{"n":1}`)
	r.writer.put(r.rdubbo("metadata/a.S/g1/provider/jprov"), `{"n":2}`)
	r.writer.put(r.rdubbo("metadata/a.S/provider/jprov"), `{"n":3}`)
	r.writer.put(r.rdubbo("metadata/a.S/consumer/jcons"), `{"n":4}`)
	exact.until("version and group", is(`{"n":1}`))
	group.until("group", is(`{"n":2}`))
	plain.until("neither", is(`{"n":3}`))
	r.writer.put(r.rdubbo("metadata/a.S/provider/jprov"), `{"n":5}`)
	plain.until("changed", is(`{"n":5}`))

	// Of several applications, one that is alive, by name.
	r.writer.put(r.rdubbo("metadata/a.S/provider/a-dead"), `{"n":6}`)
	plain.until("nobody is alive: the first by name", is(`{"n":6}`))
	live := r.rservices("jprov/192.0.2.1:20880")
	r.writer.live(live, java33Node("jprov", "192.0.2.1", 20880, "r1", localTri))
	plain.until("alive by application", is(`{"n":5}`))
	r.writer.put(r.rdubbo("metadata/a.S/provider/b-live"), `{"n":7}`)
	provider := r.rdubbo("a.S/providers", encode("dubbo://192.0.2.1:20880/a.S?application=b-live&interface=a.S"))
	r.writer.live(provider, "")
	plain.until("alive by interface", is(`{"n":7}`))
	r.writer.put(r.rdubbo("metadata/a.S/provider/b-live"), `{"n":`) // not JSON: the next one
	plain.until("the next one", is(`{"n":5}`))
	within(t, "the report", func() bool { return r.sawError("/metadata/a.S/provider/b-live: not JSON") })
	for _, app := range []string{"a-dead", "b-live", "jprov"} {
		r.writer.remove(r.rdubbo("metadata/a.S/provider", app))
	}
	plain.until("none", is(""))
	if exact.count() != 2 || group.count() != 2 {
		t.Errorf("%d and %d pushes of what changed once", exact.count(), group.count())
	}
}
