package eureka

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

func TestConfig(t *testing.T) {
	good := func() *Config {
		c := Default()
		c.URLs = []string{"http://ada:secret@10.0.0.1:8761/eureka/", "https://[::1]/eureka/v2"}
		return c
	}
	if err := good().Validate(); err != nil {
		t.Error(err)
	}
	if id := good().Identity(); id != "eureka [http://10.0.0.1:8761/eureka https://[::1]/eureka/v2]" {
		t.Errorf("identity %q", id)
	}
	for want, change := range map[string]func(*Config){
		"urls: is missing":                       func(c *Config) { c.URLs = nil },
		"urls[0]: holds a comma":                 func(c *Config) { c.URLs = []string{"http://a/eureka,http://b/eureka"} },
		"urls[1]: is already listed at [0]":      func(c *Config) { c.URLs = []string{"http://a", "http://a"} },
		"urls[0]: is not a URL":                  func(c *Config) { c.URLs = []string{"http://ada:se%cret@a"} },
		"urls[0]: must be http://host:port/path": func(c *Config) { c.URLs = []string{"localhost:8761"} },
		"urls[0]: must be http://":               func(c *Config) { c.URLs = []string{"ftp://a/eureka"} },
		"urls[0]: must end with its path":        func(c *Config) { c.URLs = []string{"http://a/eureka?x=1"} },
		"username: is missing":                   func(c *Config) { c.Password = "x" },
		"username: must not contain a colon":     func(c *Config) { c.Username = "a:b" },
		"tls: cert and key":                      func(c *Config) { c.TLS = &registry.TLS{Cert: "x"} },
		"interval: 1ms is not in":                func(c *Config) { c.Interval = time.Millisecond },
		"fullInterval: 0s":                       func(c *Config) { c.FullInterval = 0 },
		"deltaRetention: 0s":                     func(c *Config) { c.DeltaRetention = 0 },
		"connectTimeout: 2m0s":                   func(c *Config) { c.ConnectTimeout = 2 * time.Minute },
		"timeout: 0s":                            func(c *Config) { c.Timeout = 0 },
		"heartbeat: 0s":                          func(c *Config) { c.Heartbeat = 0 },
		"lease: 15s is less than two heartbeats": func(c *Config) { c.Lease = 15 * time.Second },
		"maxBodyMB: 0":                           func(c *Config) { c.MaxBodyMB = 0 },
	} {
		c := good()
		change(c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("a password is in %v", err)
		}
		if _, err := c.Build(registry.Options{}); err == nil {
			t.Errorf("%s: built", want)
		}
	}
	c := good()
	c.TLS = &registry.TLS{CA: "ca.pem"}
	c.Resolve("/etc/sluice")
	if c.TLS.CA != "/etc/sluice/ca.pem" {
		t.Errorf("%+v", c.TLS)
	}
	if _, err := c.Build(registry.Options{}); err == nil || !strings.Contains(err.Error(), "tls: ca: open /etc/sluice/ca.pem") {
		t.Errorf("a certificate that is not there: %v", err)
	}
	good().Resolve("/etc/sluice") // without a TLS section
}

// TestUserOfURL shows whose user counts.
func TestUserOfURL(t *testing.T) {
	c := Default()
	c.Username, c.Password = "eve", "x"
	for text, want := range map[string]string{
		"http://a:1/eureka//":          "http://a:1/eureka eve x",
		"http://ada@a:1/eureka":        "http://a:1/eureka ada ",
		"http://ada:p%40s%3As@a:1":     "http://a:1 ada p@s:s",
		"https://a/x%2Fy/":             "https://a/x%2Fy eve x",
		"http://ada:p@[fe80::1%25e0]/": "http://[fe80::1%25e0] ada p",
	} {
		s, err := c.server(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.name + " " + s.username + " " + s.password; got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}
