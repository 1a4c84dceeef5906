package static

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/strictyaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// decode reads a section as the document's reader does.
func decode(text string) (*Config, error) {
	c := Default()
	root, problems := strictyaml.Read("", []byte(text), nil)
	if problems != nil {
		return c, problems
	}
	var d strictyaml.Decoder
	d.Decode(root, nil, c)
	return c, d.Problems().Err()
}

func build(t *testing.T, text string) registry.Registry {
	t.Helper()
	c, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Build(registry.Options{Report: func(registry.State, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func snapshotOf(t *testing.T, r registry.Registry, name registry.ServiceName) registry.Snapshot {
	t.Helper()
	var got registry.Snapshot
	pushes := 0
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.Watch(ctx, name, func(s registry.Snapshot) { got, pushes = s, pushes+1; cancel() }); err != nil {
		t.Fatal(err)
	}
	if pushes != 1 {
		t.Fatalf("%d pushes, want 1", pushes)
	}
	return got
}

const section = `
services:
  legacy: ["10.0.0.7:8080", {address: "10.0.0.8:8080", weight: 2, zone: b, protocol: https, metadata: {v: "1", n: 7}, disabled: true}]
  none: []
dubbo:
  - {interface: a.B, group: g, version: 1.0.0, path: x/a.B, instances: ["[::1]:20880", {address: "h:1", protocol: tri, weight: 0}]}
  - {interface: a.B, instances: ["h:2"]}
`

func TestWatch(t *testing.T) {
	r := build(t, section)
	got := snapshotOf(t, r, registry.App("legacy")).Instances
	want := []registry.Instance{
		{Host: "10.0.0.7", Port: 8080, Weight: 1},
		{Host: "10.0.0.8", Port: 8080, Weight: 2, Zone: "b", Protocol: "https", Disabled: true, Metadata: map[string]string{"v": "1", "n": "7"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	exact := []registry.Instance{
		{Host: "::1", Port: 20880, Weight: 1, Protocol: "dubbo", Group: "g", Version: "1.0.0", Path: "x/a.B"},
		{Host: "h", Port: 1, Weight: 0, Protocol: "tri", Group: "g", Version: "1.0.0", Path: "x/a.B"},
	}
	if d := cmp.Diff(exact, snapshotOf(t, r, registry.DubboService("a.B", "g", "1.0.0")).Instances); d != "" {
		t.Error(d)
	}
	for name, n := range map[registry.ServiceName]int{
		registry.DubboService("a.B", "", ""):   1,
		registry.DubboService("a.B", "*", "*"): 3,
		registry.DubboService("a.B", "g", ""):  0,
		registry.DubboService("a.C", "*", "*"): 0,
		registry.App("a.B"):                    0,
		registry.App("none"):                   0,
		registry.App("missing"):                0,
	} {
		if got := snapshotOf(t, r, name); len(got.Instances) != n || got.Service != name {
			t.Errorf("%v: %+v, want %d instances", name, got, n)
		}
	}
}

func TestWatchServices(t *testing.T) {
	r := build(t, section)
	var got registry.ServiceSet
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.WatchServices(ctx, func(s registry.ServiceSet) { got = s; cancel() }); err != nil {
		t.Fatal(err)
	}
	want := []registry.ServiceName{
		registry.App("legacy"), registry.App("none"), registry.DubboService("a.B", "", ""), registry.DubboService("a.B", "g", "1.0.0"),
	}
	if d := cmp.Diff(want, got.Services); d != "" {
		t.Error(d)
	}
}

func TestRunIsLiveUntilCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []registry.State
		r, err := Default().Build(registry.Options{Report: func(s registry.State, err error) { states = append(states, s) }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		if len(states) != 1 || states[0] != registry.Live {
			t.Errorf("states %v, want live", states)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`services: {a: ["10.0.0.7"]}`:                                        `services.a[0]: address "10.0.0.7"`,
		`services: {a: ["h:0"]}`:                                             "port 0 is not in 1-65535",
		`services: {a: ["h:99999"]}`:                                         "port 99999",
		`services: {a: ["h:1", "h:1"]}`:                                      `services.a[1]: address "h:1" is already listed at [0]`,
		`services: {a: [{weight: 2}]}`:                                       "address: is missing",
		`services: {a: [{address: "h:1", weight: two}]}`:                     "weight: must be a number",
		`services: {a: [{address: "h:1", weight: -1}]}`:                      "weight -1",
		`services: {a: [{address: 7}]}`:                                      "address \"7\": must be host:port",
		`services: {a: [{address: "h:1", disabled: 1}]}`:                     "disabled: must be true or false",
		`services: {a: [{address: "h:1", metadata: [x]}]}`:                   "metadata: must be a mapping",
		`services: {a: [{address: "h:1", metadata: {x: {}}}]}`:               "metadata.x: must be a text, not a mapping",
		`services: {a: [{address: "h:1", wieght: 1}]}`:                       `services.a[0].wieght: unknown key "wieght"; did you mean "weight"?`,
		`services: {a: [7]}`:                                                 "address \"7\": must be host:port",
		`services: {"": ["h:1"]}`:                                            "services: a name is empty",
		`dubbo: [{instances: ["h:1"]}]`:                                      "dubbo[0].interface: is missing",
		`dubbo: [{interface: a/b}]`:                                          "dubbo[0].interface: ",
		`dubbo: [{interface: a, group: "*"}]`:                                "dubbo[0].group: ",
		`dubbo: [{interface: a, version: "*"}]`:                              "dubbo[0].version: ",
		`dubbo: [{interface: a, group: g}, {interface: a, group: g}]`:        "dubbo[1]: service g/a is already listed in dubbo[0]",
		`dubbo: [{interface: a, instances: ["h:x"]}]`:                        "dubbo[0].instances[0]: ",
		`dubbo: [{interface: a, adresses: ["h:1"]}]`:                         "adresses",
		`services: {a: ["bad host:1"]}`:                                      "is not a name or an address",
		`services: {a: ["h:1"], b: [":2"]}`:                                  "services.b[0]",
		`services: {a: [{address: "h:1", zone: [1]}]}`:                       "zone: must be a text",
		`services: {a: [{address: "h:1", protocol: [dubbo], zone: {x: 1}}]}`: "protocol: must be a text",
	} {
		c, err := decode(text)
		if err == nil {
			err = c.Validate()
			if _, buildErr := c.Build(registry.Options{}); (buildErr == nil) != (err == nil) {
				t.Errorf("%s: Build says %v, Validate %v", text, buildErr, err)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	var doc struct {
		Registries []map[string]any `yaml:"registries"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	section := doc.Registries[0]
	delete(section, "name")
	delete(section, "type")
	b, err = yaml.Marshal(section)
	if err != nil {
		t.Fatal(err)
	}
	r := build(t, string(b))
	if n := len(snapshotOf(t, r, registry.App("legacy")).Instances); n != 2 {
		t.Errorf("%d instances of legacy, want 2", n)
	}
	if n := len(snapshotOf(t, r, registry.DubboService("com.example.UserService", "*", "*")).Instances); n != 2 {
		t.Errorf("%d instances of the Dubbo service, want 2", n)
	}
}
