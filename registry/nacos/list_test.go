package nacos

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// TestNewNameByListing: where names are not pushed, a new one is there within 3 s by default.
func TestNewNameByListing(t *testing.T) {
	f := startFake(t)
	f.with(func() { f.fuzzy = false; f.services["DEFAULT_GROUP@@a"] = nil })
	r := f.rig(func(c *Config, _ *registry.Options) { c.ListInterval = Default().ListInterval })
	set := r.WatchServices()
	set.Until("the list", lists(inDefault("a")))
	began := time.Now()
	f.with(func() { f.services["DEFAULT_GROUP@@b"] = nil })
	set.Until("the new name", lists(inDefault("b")))
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("listed after %v", d)
	}
}

// TestHostileNames: what nobody could ask for is left out; the rest is plain data.
func TestHostileNames(t *testing.T) {
	f := startFake(t)
	good := []string{"a/b", "../../etc/passwd", "%2e%2e", "a?b#c", "наименование", "{svc}", strings.Repeat("n", 512)}
	bad := []string{"", "a b", "a\nb", "a\x00b", strings.Repeat("n", 513), "\x7f"}
	f.with(func() {
		for _, name := range append(good, bad...) {
			f.services["DEFAULT_GROUP@@"+name] = []any{aHost("10.0.0.1")}
		}
	})
	r := f.rig()
	set := r.WatchServices()
	set.Until("the good ones alone", func(s registry.ServiceSet) bool { return len(s.Services) == len(good) })
	for _, name := range good {
		set.Until(name, lists(inDefault(name)))
		r.Watch(registry.App(name)).Until("the instance of "+name, registrytest.Has("10.0.0.1:80"))
	}
	for _, name := range bad {
		f.push(typeFuzzyChange, map[string]any{"requestId": "1", "serviceKey": "public@@DEFAULT_GROUP@@" + name, "changedType": changeAdd})
	}
	f.push(typeFuzzyChange, map[string]any{"requestId": "1", "serviceKey": "public@@DEFAULT_GROUP@@last", "changedType": changeAdd})
	set.Until("nothing but the last", func(s registry.ServiceSet) bool {
		return len(s.Services) == len(good)+1 && lists(inDefault("last"))(s)
	})
	r.NoErrors()
}
