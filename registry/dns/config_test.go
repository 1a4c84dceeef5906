package dns

import (
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/miekg/dns"

	"github.com/sluice-gateway/sluice/registry"
)

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                 "",
		`{servers: [a, "b:54", "[::1]:53"]}`: "",
		`{servers: ["::1"]}`:                 "",
		`{servers: ["a:x"]}`:                 "servers[0]:",
		`{servers: ["a b"]}`:                 "servers[0]:",
		`{servers: [a, "a:53"]}`:             `servers[1]: "a:53" is already listed at [0]`,
		`{resolvConf: ""}`:                   "servers: is empty",
		`{port: 70000}`:                      "port:",
		`{family: ipv5}`:                     "family:",
		`{minTTL: 1ms}`:                      "minTTL:",
		`{maxTTL: 500ms}`:                    "maxTTL:",
		`{timeout: 0s}`:                      "timeout:",
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
	if c.Resolve("/etc/sluice"); c.ResolvConf != "/etc/resolv.conf" || c.Identity() != "dns /etc/resolv.conf any" {
		t.Error(c.Identity())
	}
	c.ResolvConf, c.Family = "my.conf", "ipv4"
	if c.Resolve("/etc/sluice"); c.Identity() != "dns /etc/sluice/my.conf ipv4" {
		t.Error(c.Identity())
	}
	if c.Servers = []string{"a"}; c.Identity() != "dns [a] ipv4" {
		t.Error(c.Identity())
	}
}

func TestNames(t *testing.T) {
	c := Default()
	for _, bad := range []string{
		"", ".", "a", "a:0", "a:x", "a:70000", "a..b:1", "a b:1", "a/b:1", "a\x00:1", "a\\.b:1", "é.test:1", "_http._tcp.a:80",
		strings.Repeat("a", 64) + ":1", strings.Repeat("a.", 127) + "a:1", "a:1:2",
	} {
		if _, err := c.parseTarget(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
		r := newResolver(c, registry.Options{})
		if err := r.Watch(t.Context(), registry.App(bad), nil); err == nil {
			t.Errorf("%q is watched", bad)
		}
	}
	for good, want := range map[string]target{
		"a:1":            {"a.", 1, false},
		"a.test.:1":      {"a.test.", 1, false},
		"_x._udp.a.test": {"_x._udp.a.test.", 0, true},
	} {
		if got, err := c.parseTarget(good); err != nil || got != want {
			t.Errorf("%q: %+v, %v", good, got, err)
		}
	}
	r := newResolver(c, registry.Options{})
	if err := r.Watch(t.Context(), registry.DubboService("a.B", "", ""), nil); err == nil {
		t.Error("a Dubbo service is watched")
	}
	if err := r.WatchServices(t.Context(), nil); !errors.Is(err, registry.ErrNotListable) {
		t.Error(err)
	}
}

// FuzzRead: whatever a server sends, reading it ends, and finds nothing that is not of the name.
func FuzzRead(f *testing.F) {
	for _, lines := range [][]string{
		{a("x.test.", 1, "10.0.0.1"), aaaa("x.test.", 1, "::1")},
		{cname("x.test.", "y.test."), cname("y.test.", "x.test.")},
		{cname("x.test.", "y.test."), a("y.test.", 4294967295, "10.0.0.1")},
		{srv("x.test.", "1 2 3 t.test."), srv("x.test.", "0 0 0 .")},
		{"test. 1 IN SOA a. b. 1 2 3 4 5"},
	} {
		m := new(dns.Msg).SetQuestion("x.test.", dns.TypeA)
		m.Response = true
		for _, l := range lines {
			rr, err := dns.NewRR(l)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer, m.Ns, m.Extra = append(m.Answer, rr), append(m.Ns, rr), append(m.Extra, rr)
		}
		text, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	r := newResolver(Default(), registry.Options{})
	f.Fuzz(func(t *testing.T, text []byte) {
		m := new(dns.Msg)
		if m.Unpack(text) != nil {
			return
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV} {
			got, err := read(m, "x.test.", kind)
			if err != nil && (len(got.records) > 0 || got.alias != "") {
				t.Errorf("an error and %+v", got)
			}
			if got.alias != "" && len(got.records) > 0 {
				t.Errorf("both an end and an alias: %+v", got)
			}
			for _, rr := range got.records {
				if rr.Header().Rrtype != kind {
					t.Errorf("%v is no %s", rr, dns.TypeToString[kind])
				}
				_ = host(rr)
			}
		}
		r.carried(m.Extra, "x.test.")
	})
}
