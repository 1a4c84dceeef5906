package zookeeper

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/sluice-gateway/sluice/registry"
)

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = encode(manyProvider(7, i, ""))
	}
	return names
}

// A list that is read again keeps what it knew: only names that are new are parsed.
func TestProvidersAreParsedOnce(t *testing.T) {
	names := manyNames(20)
	first := parseProviders(manyName(7), slices.Clone(names[:19]), nil)
	if first.len() != 19 || len(first.services) != 1 || first.services[0] != registry.DubboService(manyName(7), "", "") {
		t.Fatalf("%d, %v", first.len(), first.services)
	}
	gone := names[3]
	again := parseProviders(manyName(7), slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == gone }), first)
	known := first.byName()
	fresh := 0
	for _, p := range again.all {
		if known[p.name] != p {
			fresh++
		}
	}
	if again.len() != 19 || fresh != 1 {
		t.Errorf("%d providers, %d parsed again", again.len(), fresh)
	}
	if parseProviders("a.S", nil, again).len() != 0 || (*providerList)(nil).len() != 0 {
		t.Error("none is none")
	}
}

// What many providers say is in memory once, also what a later reading adds, and nothing keeps the long names.
func TestProvidersShareStrings(t *testing.T) {
	names := manyNames(2)
	l := parseProviders(manyName(7), names[:1], nil)
	l = parseProviders(manyName(7), names, l)
	a, b := l.all[0].instance.Metadata, l.all[1].instance.Metadata
	for _, key := range []string{"methods", "application", "revision"} {
		if a[key] == "" || unsafe.StringData(a[key]) != unsafe.StringData(b[key]) {
			t.Errorf("%s is there twice", key)
		}
	}
	if a["timestamp"] == b["timestamp"] {
		t.Error("what is one's own was shared")
	}
	for _, key := range []string{"pid", "side", "anyhost", "interface"} {
		if _, there := a[key]; there {
			t.Errorf("%s was kept", key)
		}
	}
	const many = 2000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	big := parseProviders(manyName(7), manyNames(many), nil)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / many; each > 1000 {
		t.Errorf("%d bytes a provider", each)
	}
	runtime.KeepAlive(big)
}

func TestServicesOfProviders(t *testing.T) {
	var names []string
	for n, more := range []string{"", "&group=g", "&group=g", "&version=1.0", "&group=g&version=1.0"} {
		names = append(names, encode(java33("dubbo", fmt.Sprintf("192.0.2.%d:20880", n), "a.S", more)))
	}
	names = append(names, "garbage", encode(java33("rest", "192.0.2.1:80", "a.S", "&group=rest")))
	l := parseProviders("a.S", names, nil)
	var got []string
	for _, s := range l.services {
		got = append(got, s.String())
	}
	slices.Sort(got)
	if want := "a.S a.S:1.0 g/a.S g/a.S:1.0"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
	apps := l.applications([]string{"other"})
	if _, ok := apps["jprov"]; !ok || len(apps) != 2 {
		t.Errorf("%v", apps)
	}
	if got := interfaceAbove("/my/dubbo/a.S/providers"); got != "a.S" {
		t.Errorf("%q", got)
	}
}

// Whatever the names are, each is an instance that can be used or has a reason, and reading twice is reading once.
func FuzzProviders(f *testing.F) {
	f.Add(encode(java33("dubbo", "192.0.2.1:20880", "a.S", "&group=g")), "garbage")
	f.Add("dubbo%3A%2F%2Fh%3A1%2Fa.S", "dubbo%3A%2F%2F%5B%3A%3A1%5D%3A1%2Fa.S%3Fpid%3D1")
	f.Fuzz(func(t *testing.T, a, b string) {
		l := parseProviders("a.S", []string{a, b}, nil)
		for _, p := range l.all {
			if (p.err == nil) != (p.instance.Validate() == nil) && p.err == nil {
				t.Errorf("%+v", p)
			}
			if p.err != nil && len(p.entry) > 50 {
				t.Errorf("a note of %d bytes", len(p.entry))
			}
		}
		again := parseProviders("a.S", []string{a, b}, l)
		for i, p := range again.all {
			if a != b && p != l.all[i] {
				t.Error("parsed again")
			}
		}
	})
}

func BenchmarkProviders(b *testing.B) {
	names := manyNames(10)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			parseProviders(manyName(7), names, nil)
		}
	})
	b.Run("again", func(b *testing.B) {
		known := parseProviders(manyName(7), names, nil)
		b.ReportAllocs()
		for b.Loop() {
			parseProviders(manyName(7), names, known)
		}
	})
}
