package zookeeper

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

func decode(text string) (*Config, error) {
	c := Default()
	err := yaml.UnmarshalWithOptions([]byte(text), c, yaml.Strict())
	return c, err
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                             "addresses: is missing",
		`{addresses: ["h:x"]}`:                           `addresses[0]: "h:x": port "x" is not in 1-65535`,
		`{addresses: ["h:1", "h:0"]}`:                    `addresses[1]: "h:0": port "0"`,
		`{addresses: [":1"]}`:                            `host "" is not a name`,
		`{addresses: ["::1"]}`:                           "IPv6 hosts in brackets",
		`{addresses: ["a b"]}`:                           `host "a b"`,
		`{addresses: ["h:1/chroot"]}`:                    `port "1/chroot"`,
		`{addresses: [h], username: u}`:                  "password: is missing",
		`{addresses: [h], password: p}`:                  "username: is missing",
		`{addresses: [h], username: "a:b", password: p}`: "username: must not contain a colon",
		`{addresses: [h], sessionTimeout: 1ms}`:          "sessionTimeout: 1ms is not in 1s-10m",
		`{addresses: [h], connectTimeout: 2h}`:           "connectTimeout: 2h0m0s is not in",
		`{addresses: [h], dubboRoot: dubbo}`:             `dubboRoot: "dubbo" must begin with a slash`,
		`{addresses: [h], dubboRoot: /}`:                 "dubboRoot: ",
		`{addresses: [h], dubboRoot: /a/}`:               "dubboRoot: ",
		`{addresses: [h], servicesRoot: /a/../b}`:        `servicesRoot: "/a/../b": ".." is not a node's name`,
		`{addresses: [h], adresses: [h]}`:                "adresses",
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

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{"h": "h:2181", "h:1": "h:1", "[::1]": "[::1]:2181", "[::1]:7": "[::1]:7", "10.0.0.1": "10.0.0.1:2181"} {
		if got, err := withPort(in); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
}

// The example of the README runs, but for its addresses.
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
	if b, err = yaml.Marshal(section); err != nil {
		t.Fatal(err)
	}
	c, err := decode(string(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.Addresses = []string{shared.get(t).Addr()}
	live := make(chan struct{}, 1)
	reg, err := c.Build(registry.Options{Logger: slog.New(slog.DiscardHandler), Report: func(s registry.State, _ error) {
		if s == registry.Live {
			live <- struct{}{}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), registrytest.Deadline)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- reg.Run(ctx) }()
	select {
	case <-live:
	case <-ctx.Done():
		t.Error("not live")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
