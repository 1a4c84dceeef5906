package consul

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', 6, 64) }

func formatInt(n int) string { return strconv.Itoa(n) }

func TestEndpoints(t *testing.T) {
	for address, want := range map[string]string{
		"consul.example.com":               "http://consul.example.com:8500",
		"127.0.0.1:1":                      "http://127.0.0.1:1",
		"[::1]":                            "http://[::1]:8500",
		"[::1]:9":                          "http://[::1]:9",
		"http://a":                         "http://a:8500",
		"https://a":                        "https://a:8501",
		"https://a:7/":                     "https://a:7",
		"https://a:7/consul/":              "https://a:7/consul",
		"a:0":                              "",
		"a:x":                              "",
		"::1":                              "",
		"ftp://a":                          "",
		"a b":                              "",
		"http://":                          "",
		"user@a":                           "",
		"http://a/b?c":                     "",
		"http://a:1/" + "%zz":              "",
		"http://a/#b":                      "",
		strings.Repeat("a", 300) + ":8500": "",
	} {
		e, err := Default().endpoint(address)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken as %s", address, e)
		case want != "" && (err != nil || e.String() != want):
			t.Errorf("%q: %s, %v, want %s", address, e, err, want)
		}
	}
	c := Default()
	c.TLS = &registry.TLS{}
	if e, err := c.endpoint("a"); err != nil || e.String() != "https://a:8501" {
		t.Errorf("%s, %v", e, err)
	}
	if _, err := c.endpoint("http://a"); err == nil {
		t.Error("http beside tls is taken")
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"":                                     func(*Config) {},
		"addresses: is missing":                func(c *Config) { c.Address = "" },
		"address: is given beside addresses":   func(c *Config) { c.Addresses = []string{"b"} },
		"address: \"x y\"":                     func(c *Config) { c.Address = "x y" },
		"addresses[1]: \"a\" is already":       func(c *Config) { c.Address, c.Addresses = "", []string{"a", "a"} },
		"addresses[0]: \"::\"":                 func(c *Config) { c.Address, c.Addresses = "", []string{"::"} },
		"tls: cert and key":                    func(c *Config) { c.TLS = &registry.TLS{Cert: "x"} },
		"token: is given beside tokenFile":     func(c *Config) { c.Token, c.TokenFile = "a", "b" },
		"token: holds spaces":                  func(c *Config) { c.Token = "a\nb" },
		"tags[0]: is empty":                    func(c *Config) { c.Tags = []string{""} },
		"wait: 500ms":                          func(c *Config) { c.Wait = 500 * time.Millisecond },
		"wait: 1h0m0s":                         func(c *Config) { c.Wait = time.Hour },
		"maxPolls: 0":                          func(c *Config) { c.MaxPolls = 0 },
		"timeouts.connect: 0s":                 func(c *Config) { c.Timeouts.Connect = 0 },
		"timeouts.request: 2m0s":               func(c *Config) { c.Timeouts.Request = 2 * time.Minute },
		"timeouts.keepAlive: 1ms is not in 10": func(c *Config) { c.Timeouts.KeepAlive = time.Millisecond },
	} {
		c := Default()
		c.Address = "a"
		change(c)
		err := c.Validate()
		switch {
		case want == "" && err != nil:
			t.Error(err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v, want %q", err, want)
		}
		if _, built := c.Build(registry.Options{Logger: slog.New(slog.DiscardHandler)}); (built == nil) != (err == nil) {
			t.Errorf("%q: Build says %v", want, built)
		}
	}
	c := Default()
	c.Address, c.TLS = "a", &registry.TLS{CA: filepath.Join(t.TempDir(), "none.pem")}
	if _, err := c.Build(registry.Options{}); err == nil || !strings.Contains(err.Error(), "tls: ca:") {
		t.Errorf("%v", err)
	}
}

func TestIdentityHoldsNoSecret(t *testing.T) {
	c := Default()
	c.Address, c.Token, c.Datacenter = "a", "hush", "dc2"
	if id := c.Identity(); strings.Contains(id, "hush") || !strings.Contains(id, "dc2") || !strings.HasPrefix(id, "consul [a]") {
		t.Error(id)
	}
}

func TestResolve(t *testing.T) {
	c := Default()
	c.TokenFile, c.TLS = "token", &registry.TLS{CA: "ca.pem"}
	c.Resolve("/etc/sluice")
	if c.TokenFile != "/etc/sluice/token" || c.TLS.CA != "/etc/sluice/ca.pem" {
		t.Errorf("%+v", c)
	}
}

func TestReadToken(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want, fails string }{
		"good":   {text: "  abc-1\n", want: "abc-1"},
		"empty":  {text: "\n", fails: "is empty"},
		"two":    {text: "a\nb", fails: "more than a token"},
		"binary": {text: "a\x00b", fails: "more than a token"},
		"large":  {text: strings.Repeat("x", maxToken+1), fails: "larger than"},
	} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(c.text), 0o600))
		got, err := (&Config{TokenFile: path}).readToken()
		if got != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := (&Config{TokenFile: filepath.Join(dir, "none")}).readToken(); err == nil {
		t.Error("no file, no error")
	}
}
