package nacos

import (
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sluice-gateway/sluice/registry"
)

// section reads a section as the document's reader does.
func section(t *testing.T, text string) (*Config, error) {
	t.Helper()
	c := Default()
	if err := yaml.UnmarshalWithOptions([]byte(text), c, yaml.Strict()); err != nil {
		return nil, err
	}
	return c, c.Validate()
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                                             "addresses: is missing",
		`addresses: ["a b:1"]`:                                           "addresses[0]: ",
		`addresses: ["h:x"]`:                                             `addresses[0]: "h:x": port "x" is not a number`,
		`addresses: ["h:0"]`:                                             "port 0 is not in 1-65535",
		`addresses: ["h:65000"]`:                                         "grpcPortOffset 1000: port 66000",
		`addresses: ["ftp://h:1"]`:                                       "addresses[0]: ",
		`addresses: ["https://h:1/nacos"]`:                               "addresses[0]: ",
		`addresses: [h, h]`:                                              `addresses[1]: "h" is already listed at [0]`,
		`{addresses: [h], groups: []}`:                                   "groups: is empty",
		`{addresses: [h], groups: [""]}`:                                 "groups[0]: name is empty",
		`{addresses: [h], groups: [a, b, a]}`:                            `groups[2]: "a" is already listed at [0]`,
		`{addresses: [h], groups: ["a b"]}`:                              "groups[0]: ",
		`{addresses: [h], clusters: ["a,b"]}`:                            "clusters[0]: ",
		`{addresses: [h], namespace: "a b"}`:                             "namespace: ",
		`{addresses: [h], password: x}`:                                  "username: is missing",
		`{addresses: [h], passwordFile: x}`:                              "username: is missing",
		`{addresses: [h], username: u, password: x, passwordFile: y}`:    "passwordFile: is given beside password",
		`{addresses: [h], accessKey: x}`:                                 "secretKey: is missing",
		`{addresses: [h], secretKey: x}`:                                 "accessKey: is missing",
		`{addresses: [h], secretKeyFile: x}`:                             "accessKey: is missing",
		`{addresses: [h], accessKey: x, secretKey: y, secretKeyFile: z}`: "secretKeyFile: is given beside secretKey",
		`{addresses: [h], tls: {cert: x}}`:                               "tls: cert and key",
		`{addresses: [h], tls: {CA: x}}`:                                 "CA",
		`{addresses: [h], contextPath: "/a?b"}`:                          "contextPath: ",
		`{addresses: [h], listInterval: 1ms}`:                            "listInterval: 1ms is less than 100ms",
		`{addresses: [h], settle: -1s}`:                                  "settle: ",
		`{addresses: [h], timeouts: {connect: 0s}}`:                      "timeouts.connect: ",
		`{addresses: [h], timeouts: {request: 0s}}`:                      "timeouts.request: ",
		`{addresses: [h], timeouts: {keepAlive: -1s}}`:                   "timeouts.keepAlive: ",
		`{addresses: [h], adresses: [h]}`:                                "adresses",
		`{addresses: [h], timeouts: {keepalive: 1s}}`:                    "keepalive",
		`{addresses: [h], timeouts: {connect: "in a minute"}}`:           "",
	} {
		c, err := section(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if c != nil {
			if _, err := c.Build(registry.Options{}); err == nil {
				t.Errorf("%s: is built", text)
			}
		}
	}
}

func TestEndpoints(t *testing.T) {
	c := Default()
	for address, want := range map[string][2]string{
		"127.0.0.1:8848": {"127.0.0.1:8848", "127.0.0.1:9848"},
		"nacos":          {"nacos:8848", "nacos:9848"},
		"[::1]:80":       {"[::1]:80", "[::1]:1080"},
		"[::1]":          {"[::1]:8848", "[::1]:9848"},

		"https://nacos.example:443/": {"nacos.example:443", "nacos.example:1443"},
		"http://[::1]":               {"[::1]:8848", "[::1]:9848"},
	} {
		http, grpc, err := c.endpoints(address)
		if err != nil || http != want[0] || grpc != want[1] {
			t.Errorf("%s: %s %s %v", address, http, grpc, err)
		}
	}
}

// FuzzEndpoints: what is taken as an address can be dialled, and written as a URL.
func FuzzEndpoints(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:8848", "nacos", "[::1]:80", "https://n:443/", "http://", "a:b:c", "h:65535", "h:-1"} {
		f.Add(seed)
	}
	c := Default()
	f.Fuzz(func(t *testing.T, address string) {
		http, grpc, err := c.endpoints(address)
		if err != nil {
			return
		}
		for _, a := range []string{http, grpc} {
			if _, _, err := net.SplitHostPort(a); err != nil {
				t.Errorf("%q becomes %q: %v", address, a, err)
			}
		}
		base, err := c.loginBase(address)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := url.Parse(base); err != nil || u.Host != http || u.User != nil {
			t.Errorf("%q becomes %q: %v", address, base, err)
		}
	})
}

func TestReadme(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	_, rest, _ := strings.Cut(text, "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	var doc struct {
		Registries []map[string]any `yaml:"registries"`
	}
	if err := yaml.Unmarshal([]byte(example), &doc); err != nil {
		t.Fatal(err)
	}
	entry := doc.Registries[0]
	delete(entry, "name")
	delete(entry, "type")
	if b, err = yaml.Marshal(entry); err != nil {
		t.Fatal(err)
	}
	c, err := section(t, string(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Addresses) != 2 || c.Timeouts.KeepAlive != 5*time.Second || c.Username != "sluice" {
		t.Errorf("%+v", c)
	}
	// The example names every key.
	d := Default()
	all, err := yaml.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(all)), "\n") {
		key, _, _ := strings.Cut(strings.TrimLeft(line, " -"), ":")
		if !strings.HasPrefix(strings.TrimSpace(line), "-") && !strings.Contains(example, key+":") {
			t.Errorf("the example lacks %s", key)
		}
	}
}

func TestBackoff(t *testing.T) {
	for fails, ms := range map[int]int{0: 100, 1: 100, 2: 200, 3: 400, 6: 3000, 60: 3000} {
		most := time.Duration(ms) * time.Millisecond
		for range 100 {
			if d := backoff(fails, dialPause); d < most/2 || d > most {
				t.Fatalf("%d fails: %v, want within the upper half of %v", fails, d, most)
			}
		}
	}
}
