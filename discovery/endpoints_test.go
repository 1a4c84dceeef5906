package discovery

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// show is one line an endpoint: who may be picked, and who not and why.
func show(e *Endpoints) []string {
	var out []string
	for _, u := range e.Usable {
		out = append(out, "use "+describe(&u))
	}
	for _, x := range e.Excluded {
		out = append(out, x.Reason+" "+describe(&x.Endpoint))
	}
	for _, s := range e.Skipped {
		out = append(out, "skip "+s.Entry+": "+s.Reason)
	}
	return out
}

func describe(e *Endpoint) string {
	out := e.ID
	for _, v := range []string{e.Protocol, e.Group, e.Version} {
		if v != "" {
			out += " " + v
		}
	}
	return out
}

func TestWhoMayBePicked(t *testing.T) {
	with := func(i registry.Instance, change func(*registry.Instance)) registry.Instance {
		change(&i)
		return i
	}
	h := at("h", 80)
	disabled := func(i *registry.Instance) { i.Disabled = true }
	unhealthy := func(i *registry.Instance) { i.Unhealthy = true }
	weightless := func(i *registry.Instance) { i.Weight = 0 }
	dubbo := func(proto, group, version string) registry.Instance {
		return with(h, func(i *registry.Instance) { i.Protocol, i.Group, i.Version = proto, group, version })
	}
	for _, test := range []struct {
		name      string
		instances []registry.Instance
		want      []string
	}{
		{"nobody", nil, nil},
		{"in order of their ids", []registry.Instance{at("h", 82), at("h", 80), at("a", 81), at("::1", 80)},
			[]string{"use [::1]:80", "use a:81", "use h:80", "use h:82"}},
		{"disabled", []registry.Instance{with(h, disabled), at("i", 80)}, []string{"use i:80", "disabled h:80"}},
		{"unhealthy", []registry.Instance{with(h, unhealthy), at("i", 80)}, []string{"use i:80", "unhealthy h:80"}},
		{"weight 0", []registry.Instance{with(h, weightless), at("i", 80)}, []string{"use i:80", "weight 0 h:80"}},
		{"the first reason counts", []registry.Instance{with(with(with(h, weightless), unhealthy), disabled)}, []string{"disabled h:80"}},
		{"twice", []registry.Instance{h, with(h, func(i *registry.Instance) { i.Weight = 9 })}, []string{"use h:80", "duplicate h:80"}},
		{"out of service in one entry, in service in another", []registry.Instance{with(h, disabled), h}, []string{"use h:80", "disabled h:80"}},
		{"one address, several services", []registry.Instance{dubbo("tri", "", ""), dubbo("dubbo", "g", "2"), dubbo("dubbo", "", ""), dubbo("dubbo", "g", "1"), dubbo("dubbo", "g", "1")},
			[]string{"use h:80 dubbo", "use h:80 dubbo g 1", "use h:80 dubbo g 2", "use h:80 tri", "duplicate h:80 dubbo g 1"}},
		{"nobody left", []registry.Instance{with(h, unhealthy)}, []string{"unhealthy h:80"}},
		{"what cannot be dialled", []registry.Instance{at("h", 0), at("", 80), h},
			[]string{"use h:80", "skip h:0: port 0 is not in 1-65535", "skip :80: no host"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			snapshot := registry.Snapshot{Service: registry.App("s")}
			for _, i := range test.instances {
				snapshot.Add(i.Address(), i)
			}
			before := fmt.Sprint(snapshot)
			e := fromSnapshot(key("r", "s"), snapshot, testTime, nil)
			if diff := cmp.Diff(test.want, show(e)); diff != "" {
				t.Error(diff)
			}
			if e.Key != key("r", "s") || !e.At.Equal(testTime) {
				t.Errorf("key %v, at %v", e.Key, e.At)
			}
			if fmt.Sprint(snapshot) != before {
				t.Error("the registry's snapshot was written to")
			}
		})
	}
}

func TestSkippedAreBounded(t *testing.T) {
	snapshot := registry.Snapshot{}
	for n := range 70_000 {
		snapshot.Add(fmt.Sprint("entry ", n), at("h", 0))
	}
	e := fromSnapshot(Key{}, snapshot, testTime, nil)
	if e.SkippedCount != 70_000 || len(e.Skipped) != registry.MaxSkipped {
		t.Errorf("%d skipped, %d kept", e.SkippedCount, len(e.Skipped))
	}
}

func TestKeyString(t *testing.T) {
	for want, k := range map[string]Key{
		"orders@nacos":         key("nacos", "orders"),
		"g/com.acme.Api:1.0@z": {Registry: "z", Service: registry.DubboService("com.acme.Api", "g", "1.0")},
	} {
		if got := k.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func BenchmarkFromSnapshot(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			snapshot := registry.Snapshot{}
			for i := range n {
				snapshot.Add("", at(fmt.Sprintf("10.0.%d.%d", i/250, i%250), 80))
			}
			b.ReportAllocs()
			for b.Loop() {
				fromSnapshot(Key{}, snapshot, testTime, nil)
			}
		})
	}
}
