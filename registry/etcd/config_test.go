package etcd

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sluice-gateway/sluice/registry"
)

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		`{addresses: [h, "h:1", "https://i", "http://[::1]:2379/"]}`:    "",
		`{addresses: [h], prefix: /services/, servicesRoot: /services}`: "",
		`{addresses: [h], prefix: "", dubboRoot: "", servicesRoot: ""}`: "",
		`{addresses: [h], prefix: /services-2}`:                         "",
		`{}`:                                                            "addresses: is missing",
		`{addresses: ["h:x"]}`:                                          "addresses[0]:",
		`{addresses: ["ftp://h"]}`:                                      "addresses[0]:",
		`{addresses: [h, "https://h:2379"]}`:                            "addresses[1]: \"https://h:2379\" is already listed at [0]",
		`{addresses: ["http://h"], tls: {ca: x}}`:                       "says http:// while there is a tls section",
		`{addresses: [h], tls: {cert: x}}`:                              "tls: cert and key",
		`{addresses: [h], password: x}`:                                 "username: is missing",
		`{addresses: [h], username: u, passwordFile: x, password: y}`:   "passwordFile: there is a password as well",
		`{addresses: [h], prefix: ""}`:                                  `lies inside prefix ""`,
		`{addresses: [h], prefix: /dubbo/x}`:                            `prefix: "/dubbo/x/" lies inside dubboRoot "/dubbo/"`,
		`{addresses: [h], prefix: /dubbo}`:                              "prefix: ",
		`{addresses: [h], dubboRoot: /}`:                                "dubboRoot: \"/\" is every key",
		`{addresses: [h], dubboRoot: /services}`:                        "servicesRoot: \"/services\" is dubboRoot as well",
		`{addresses: [h], leaseTTL: 1500ms}`:                            "leaseTTL:",
		`{addresses: [h], timeouts: {request: 0s, keepAlive: 1s}}`:      "timeouts.request:",
	} {
		c := Default()
		if err := yaml.Unmarshal([]byte(text), c); err != nil {
			t.Fatal(err)
		}
		err := c.Validate()
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if _, built := c.Build(registry.Options{}); (built == nil) != (want == "") {
			t.Errorf("%s: Build says %v", text, built)
		}
	}
}

func TestIdentity(t *testing.T) {
	c := Default()
	c.Addresses, c.Username, c.Password, c.PasswordFile = []string{"a", "b:1"}, "u", "secret", "pw"
	c.TLS = &registry.TLS{CA: "ca.pem"}
	c.Resolve("/etc/sluice")
	if c.PasswordFile != "/etc/sluice/pw" || c.TLS.CA != "/etc/sluice/ca.pem" {
		t.Errorf("%+v", c)
	}
	if id := c.Identity(); strings.Contains(id, "secret") || id != `etcd [a b:1] prefix "/services" dubbo "/dubbo" services "/services"` {
		t.Error(id)
	}
}

func TestRunsOnce(t *testing.T) {
	r := run(t, section(t, shared.Addr()))
	r.Await(registry.Live)
	if err := r.reg.Run(t.Context()); err == nil {
		t.Error("it runs twice")
	}
}
