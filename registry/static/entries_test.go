package static

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

// TestAsks has who is meant by a watch: a plain service by its name alone, a Dubbo service by group and version, too, of
// which each may be any.
func TestAsks(t *testing.T) {
	for _, c := range []struct {
		asked, listed registry.ServiceName
		want          bool
	}{
		{registry.App("a"), registry.App("a"), true},
		{registry.App("a"), registry.App("A"), false},
		{registry.App("*"), registry.App("a"), false},
		{registry.App("a"), registry.DubboService("a", "", ""), false},
		{registry.DubboService("a", "", ""), registry.App("a"), false},
		{registry.DubboService("a", "", ""), registry.DubboService("a", "", ""), true},
		{registry.DubboService("a", "", ""), registry.DubboService("a", "g", ""), false},
		{registry.DubboService("a", "", ""), registry.DubboService("a", "", "1"), false},
		{registry.DubboService("a", "*", ""), registry.DubboService("a", "g", ""), true},
		{registry.DubboService("a", "*", ""), registry.DubboService("a", "g", "1"), false},
		{registry.DubboService("a", "", "*"), registry.DubboService("a", "", "1"), true},
		{registry.DubboService("a", "*", "*"), registry.DubboService("a", "g", "1"), true},
		{registry.DubboService("a", "*", "*"), registry.DubboService("b", "g", "1"), false},
	} {
		if got := Asks(c.asked, c.listed); got != c.want {
			t.Errorf("%v asks for %v: %v", c.asked, c.listed, got)
		}
	}
}

// TestSnapshotsOfRandomEntries: whoever asks gets every instance of each entry that is meant, once, in the entries' order;
// each further one is told.
func TestSnapshotsOfRandomEntries(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		word := func() string { return []string{"", "g", "h"}[r.IntN(3)] }
		var entries []Entry
		for range r.IntN(8) {
			e := Entry{Name: registry.App("a" + word())}
			if r.IntN(2) == 0 {
				e.Name = registry.DubboService("a"+word(), word(), word())
			}
			for range r.IntN(5) {
				e.Instances = append(e.Instances, registry.Instance{
					Host: "h", Port: 1 + r.IntN(3), Weight: 1, Group: e.Name.Group, Version: e.Name.Version, Protocol: []string{"", "tri"}[r.IntN(2)],
				})
			}
			entries = append(entries, e)
		}
		Sort(entries)
		asked := registry.App("a")
		if r.IntN(2) == 0 {
			asked = registry.DubboService("a", []string{"", "g", "*"}[r.IntN(3)], []string{"", "g", "*"}[r.IntN(3)])
		}
		var want []registry.Instance
		twice := 0
		for _, e := range entries {
			if !Asks(asked, e.Name) {
				continue
			}
		next:
			for _, i := range e.Instances {
				for _, known := range want {
					if known.Port == i.Port && known.Protocol == i.Protocol && known.Group == i.Group && known.Version == i.Version {
						twice++
						continue next
					}
				}
				want = append(want, i)
			}
		}
		got := Snapshot(entries, asked)
		if d := cmp.Diff(want, got.Instances); d != "" || len(got.Skipped) != twice || got.Service != asked {
			t.Fatalf("seed %d, %v of %v: %d skipped, want %d\n%s", seed, asked, entries, len(got.Skipped), twice, d)
		}
		names := map[registry.ServiceName]bool{}
		for _, e := range entries {
			names[e.Name] = true
		}
		services := Services(entries).Services
		if len(services) != len(names) {
			t.Fatalf("seed %d: %v of %v", seed, services, entries)
		}
	}
}

// TestEntriesDoNotDependOnMaps: the document's services are a map, what is pushed is always in one order.
func TestEntriesDoNotDependOnMaps(t *testing.T) {
	var text strings.Builder
	text.WriteString("services:\n")
	for i := range 30 {
		fmt.Fprintf(&text, "  s%d: ['h:%d', 'h:%d']\n", i*7%30, i+1, i+100)
	}
	text.WriteString("dubbo: [{interface: z}, {interface: b, version: '2'}, {interface: b, group: g}, {interface: b}]\n")
	first, err := decode(text.String())
	if err != nil {
		t.Fatal(err)
	}
	want := first.Entries()
	for range 20 {
		if d := cmp.Diff(want, first.Entries()); d != "" {
			t.Fatal(d)
		}
	}
	last := want[len(want)-4:]
	for i, name := range []registry.ServiceName{
		registry.DubboService("b", "", ""), registry.DubboService("b", "", "2"), registry.DubboService("b", "g", ""), registry.DubboService("z", "", ""),
	} {
		if last[i].Name != name {
			t.Errorf("%v, want %v", last[i].Name, name)
		}
	}
}

// TestProtocolsOfDubboInstances: the instance's own word, the service's, Dubbo's; a plain service has no default.
func TestProtocolsOfDubboInstances(t *testing.T) {
	r := build(t, `
services: {p: ["h:1", {address: "h:2", protocol: https}]}
dubbo:
- {interface: a, instances: ["h:1", {address: "h:2", protocol: tri}, {address: "h:1", protocol: tri}]}
- {interface: b, protocol: tri, instances: ["h:1", {address: "h:2", protocol: dubbo}]}
`)
	for name, want := range map[registry.ServiceName]string{
		registry.App("p"): " https", registry.DubboService("a", "", ""): "dubbo tri tri", registry.DubboService("b", "", ""): "tri dubbo",
	} {
		var got []string
		for _, i := range snapshotOf(t, r, name).Instances {
			got = append(got, i.Protocol)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %q, want %q", name, got, want)
		}
	}
}

// TestManyWatchersAtOnce read the same entries; the race detector looks on.
func TestManyWatchersAtOnce(t *testing.T) {
	r := build(t, section)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if n := len(snapshotOf(t, r, registry.DubboService("a.B", "*", "*")).Instances); n != 3 {
				t.Errorf("%d instances", n)
			}
		})
	}
	all.Wait()
}
