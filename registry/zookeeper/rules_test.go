package zookeeper

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

func first[A, B any](a A, _ B) A { return a }

// What rules of the configuration centre make of a provider of a.S, group g, version 1, of the application app.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		of, rule string
		weight   float64
		disabled bool
		more     bool
	}{
		{"a.S:1:g", "configs: [{side: provider, addresses: ['192.0.2.1:20880'], parameters: {weight: 200}}]", 2, false, false},
		{"a.S:1:g", "configs: [{addresses: ['192.0.2.1'], parameters: {disabled: true}}]", 1, true, false},
		{"a.S:1:g", "configs: [{addresses: ['0.0.0.0:20881'], parameters: {disabled: true}}]", 1, false, false},
		{"a.S:1:g", "configs: [{parameters: {weight: '0'}}]", 0, false, false},
		{"a.S:1:g", "configs: [{parameters: {weight: many}}]", 1, false, false},
		{"a.S:1:g", "enabled: false\nconfigs: [{parameters: {disabled: true}}]", 1, false, false},
		{"a.S:1:g", "configs: [{enabled: false, parameters: {disabled: true}}, {parameters: {weight: 50}}]", 0.5, false, false},
		{"a.S:1:g", "configs: [{applications: [other], parameters: {disabled: true}}, {applications: [x, app], parameters: {weight: 300}}]", 3, false, false},
		{"a.S:1:g", "configs: [{side: consumer, addresses: [192.0.2.50], parameters: {disabled: true}}]", 1, false, false},
		{"a.S:1:g", "configs: [{side: consumer, addresses: [0.0.0.0], providerAddresses: ['192.0.2.1:20880'], parameters: {disabled: true}}]", 1, true, false},
		{"a.S:1:g", "configs: [{side: consumer, parameters: {timeout: 100, weight: 50}}]", 0.5, false, true},
		{"a.S:1:g", "configs: [{match: {address: {cidr: 192.0.2.0/24}}, parameters: {disabled: true}}]", 1, false, true},
		{"g*a.S:1", "configs: [{parameters: {disabled: true}}]", 1, true, false},
		{"a.S::", "configs: [{parameters: {disabled: true}}]", 1, false, false},
		{"app", "configs: [{services: [b.T], parameters: {disabled: true}}]", 1, false, false},
		{"app", "configs: [{services: ['g/a.S:1', c.U], parameters: {disabled: true}}]", 1, true, false},
		{"app", "configVersion: v3.0\nscope: application\nkey: app\nenabled: true\nconfigs:\n- side: provider\n  parameters:\n    disabled: true\n    weight: 70", 0.7, true, false},
		{"app", "", 1, false, false},
	} {
		i := registry.Instance{Host: "192.0.2.1", Port: 20880, Weight: 1, Group: "g", Version: "1", Metadata: map[string]string{"application": "app"}}
		rules, more, err := parseRule([]byte(c.rule), parseScope(c.of), "a.S")
		must(t, err)
		rules.apply(&i)
		if i.Weight != c.weight || i.Disabled != c.disabled || more != c.more {
			t.Errorf("%s: %s: weight %v, disabled %v, more %v", c.of, c.rule, i.Weight, i.Disabled, more)
		}
	}
	for rule, want := range map[string]string{
		"configs: {": "not a rule", "configs: 7": "not a rule", "[]": "not a rule", strings.Repeat("#", maxRule+1): "longer than",
	} {
		if _, _, err := parseRule([]byte(rule), ruleScope{}, "a.S"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", rule, err)
		}
	}
}

func TestScopes(t *testing.T) {
	apps := map[string]struct{}{"app": {}}
	for of, want := range map[string]bool{
		"a.S::": true, "a.S": true, "app": true, "a.S:1:": false, "a.S::g": false, "*a.S": true, "g*a.S": false, "a.T::": false, "app:1:": false, "other": false, "": false,
	} {
		if got := parseScope(of).concerns(registry.DubboService("a.S", "", ""), apps); got != want {
			t.Errorf("%s: %v", of, got)
		}
	}
	if !parseScope("a.S:1:g").concerns(registry.DubboService("a.S", "*", "*"), nil) {
		t.Error("every group and version")
	}
}

// Rules come, change and go, by service and by application; what cannot be applied is named.
func TestConfigurationCentre(t *testing.T) {
	r := newRig(t, shared.get(t))
	r.writer.live(r.rdubbo("a.S/providers", encode(java33("dubbo", "192.0.2.1:20880", "a.S", ""))), "")
	r.writer.live(r.rdubbo("a.T/providers", encode(strings.Replace(java33("dubbo", "192.0.2.2:20880", "a.T", ""), "=jprov", "=other", 1))), "")
	s, other := r.Watch(registry.DubboService("a.S", "", "")), r.Watch(registry.DubboService("a.T", "", ""))
	s.Until("the provider", registrytest.Has("dubbo://192.0.2.1:20880"))
	other.Until("the provider", registrytest.Has("dubbo://192.0.2.2:20880"))
	before := other.Count()
	weight := func(want float64) {
		t.Helper()
		s.Until(fmt.Sprint("weight ", want), func(s registry.Snapshot) bool { return s.Instances[0].Weight == want })
	}
	service, app := r.rdubbo("config/dubbo/a.S::.configurators"), r.rdubbo("config/dubbo/jprov.configurators")
	r.writer.put(service, "configs: [{parameters: {weight: 200}}]")
	weight(2)
	r.writer.put(service, "configs: [{parameters: {weight: 300}}]")
	weight(3)
	r.writer.put(app, "configs: [{parameters: {weight: 50, disabled: true}}]")
	s.Until("disabled by its application, with the service's weight", func(s registry.Snapshot) bool {
		return s.Instances[0].Disabled && s.Instances[0].Weight == 3
	})
	r.writer.remove(service)
	weight(0.5)
	r.writer.put(app, "configs: {")
	r.writer.put(r.rdubbo("config/dubbo/a.S::.condition-router"), "x")
	r.writer.put(r.rdubbo("config/dubbo/jprov.tag-router"), "x")
	r.writer.put(r.rdubbo("a.S/routers", encode("route://0.0.0.0/a.S?rule=x")), "")
	r.writer.put(r.rdubbo("a.S/configurators", encode("override://0.0.0.0/a.S?timeout=5&weight=400")), "")
	got := s.Until("all named", func(s registry.Snapshot) bool { return s.SkippedCount == 5 && s.Instances[0].Weight == 4 })
	for _, entry := range []string{"jprov.configurators", "a.S::.condition-router", "jprov.tag-router", "routers/route://0.0.0.0", "configurators/override://0.0.0.0"} {
		if !slices.ContainsFunc(got.Skipped, func(s registry.Skipped) bool { return strings.HasPrefix(s.Entry, entry) }) {
			t.Errorf("%s is not among %+v", entry, got.Skipped)
		}
	}
	if n := other.Count() - before; n != 0 {
		t.Errorf("%d pushes of a service that no rule is for", n)
	}
}

// Whatever stands in a rule, reading it ends and changes weights only within their limits.
func FuzzRule(f *testing.F) {
	f.Add("configs: [{addresses: ['0.0.0.0:20880'], parameters: {weight: 200, disabled: true}}]", "a.S:1:g")
	f.Add("a: &a [x, x]\nconfigs: [*a, *a]", "app")
	f.Fuzz(func(t *testing.T, rule, of string) {
		rules, _, err := parseRule([]byte(rule), parseScope(of), "a.S")
		if err != nil {
			return
		}
		i := registry.Instance{Host: "192.0.2.1", Port: 1, Weight: 1}
		rules.apply(&i)
		if i.Validate() != nil {
			t.Errorf("%+v", i)
		}
	})
}
