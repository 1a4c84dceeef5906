package zookeeper

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// A registry in which anybody may write holds anything. Each bad entry is named, all others are used, nothing is held up.
func TestHostileContent(t *testing.T) {
	r := newRig(t, shared.get(t))
	big := strings.Repeat("x", 1000<<10)
	node := func(id, data string) { r.writer.put(r.rservices("web", id), data) }
	node("good", spring("192.0.2.1", `"port":8080`, ""))
	node("name", spring("web-1.internal", `"port":8080`, ""))
	node("big metadata", spring("192.0.2.2", `"port":8080`, `"a":"`+big+`"`))
	node("big garbage", big)
	node("deep", strings.Repeat("[", 10_000))
	node("slash", spring("192.0.2.1/../x", `"port":8080`, ""))
	node("percent", spring("192.0.2.1%0d%0a", `"port":8080`, ""))
	node("newline", spring(`192.0.2.1\r\nHost: evil`, `"port":8080`, ""))
	node("nul", spring(`192.0.2.1\u0000`, `"port":8080`, ""))
	node("port", spring("192.0.2.1", `"port":99999`, ""))
	node("negative", spring("192.0.2.1", `"port":-1`, ""))
	node("types", `{"address":{"a":1},"port":"x","payload":[1],"uriSpec":7}`)
	node("%2e%2e", spring("192.0.2.3", `"port":8080`, ""))
	provider := func(host string) {
		r.writer.put(r.rdubbo("a.S/providers", encode(java33("dubbo", host, "a.S", ""))), "")
	}
	provider("192.0.2.1:20880")
	provider("host.internal:20880")
	provider("192.0.2.1 :20880")
	provider("a%b:20880")
	provider("0.0.0.0:20880")
	provider("192.0.2.2:0")
	provider("192.0.2.2:20880\r\n")
	for _, name := range []string{"%", "%zz", "dubbo%3A%2F%2F", "dubbo%3A%2F%2Fh%0A%3A0%2Fa.S", strings.Repeat("y", 60_000)} {
		r.writer.put(r.rdubbo("a.S/providers", name), "")
	}
	r.writer.put(r.rdubbo("config/dubbo/a.S::.configurators"), strings.Repeat("[", 500_000))
	r.writer.put(r.rdubbo("mapping/a.S"), "../../x,,a/b,"+strings.Repeat("z", 100_000))

	began := time.Now()
	plain := r.Watch(registry.App("web")).Until("all", func(s registry.Snapshot) bool { return len(s.Instances)+s.SkippedCount == 13 })
	want := []string{"http://192.0.2.1:8080", "http://192.0.2.2:8080", "http://192.0.2.3:8080", "http://web-1.internal:8080"}
	if got := registrytest.Addresses(plain); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	dubbo := r.Watch(registry.DubboService("a.S", "", "")).Last()
	if got := registrytest.Addresses(dubbo); !slices.Equal(got, []string{"dubbo://192.0.2.1:20880", "dubbo://host.internal:20880"}) {
		t.Errorf("%q", got)
	}
	if dubbo.SkippedCount != 11 {
		t.Errorf("%d skipped: %+v", dubbo.SkippedCount, dubbo.Skipped)
	}
	for _, s := range slices.Concat(plain.Skipped, dubbo.Skipped) {
		if strings.ContainsAny(s.Entry, "\r\n\x00") {
			t.Errorf("a note with control characters: %q", s.Entry)
		}
		if len(s.Entry) > 100 || len(s.Reason) > 200 {
			t.Errorf("a note of %d and %d bytes", len(s.Entry), len(s.Reason))
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v", took)
	}
}

// Names that mean something in other places are only names here; those that ZooKeeper cannot hold are refused.
func TestOddNames(t *testing.T) {
	r := newRig(t, shared.get(t))
	for n, name := range []string{"Web", "web", "web%2Fadmin", "web service", "wéb", "web;rm", "web?x=1#y", "..web", "{web}", "zookeeper"} {
		host := fmt.Sprintf("192.0.2.%d", n+1)
		r.writer.put(r.rservices(name, "1"), spring(host, `"port":8080`, ""))
		r.Watch(registry.App(name)).Until(name, registrytest.Has("http://"+host+":8080"))
	}
	for _, name := range []string{"", ".", "..", "a/b", "../x", "a\x00", "a\n", "\u0085", "\ufff0"} {
		if err := r.reg.Watch(t.Context(), registry.App(name), func(registry.Snapshot) { t.Errorf("%q: pushed", name) }); err == nil {
			t.Errorf("%q: watched", name)
		}
	}
	set := r.WatchServices().Until("all names", func(s registry.ServiceSet) bool { return len(s.Services) == 10 })
	if !slices.Contains(set.Services, registry.App("web%2Fadmin")) || !slices.Contains(set.Services, registry.App("Web")) {
		t.Errorf("%+v", set)
	}
}
