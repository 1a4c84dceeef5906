package discovery

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

func TestDenied(t *testing.T) {
	list := func(prefixes ...string) []netip.Prefix {
		var out []netip.Prefix
		for _, p := range prefixes {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	linkLocal, loopback, loopback6 := list("169.254.0.0/16", "fe80::/10"), list("127.0.0.0/8"), list("::1/128")
	for _, test := range []struct {
		host string
		deny []netip.Prefix
		want bool
	}{
		{"169.254.169.254", linkLocal, true},
		{"169.253.0.1", linkLocal, false},
		{"::ffff:169.254.169.254", linkLocal, true},
		{"::FFFF:a9fe:a9fe", linkLocal, true},
		{"169.254.169.254", list("::ffff:169.254.0.0/112"), true},
		{"fe80::1", linkLocal, true},
		{"169.254.169.254", nil, false},
		{"metadata.internal", linkLocal, false}, // a name cannot be judged
		{"localhost", loopback, true},
		{"LOCALHOST.", loopback6, true},
		{"db.localhost", loopback, true},
		{"localhost", linkLocal, false},
		{"localhost.example.com", loopback, false},
		{"0.0.0.0", loopback, true}, // connects to this machine
		{"::", loopback6, true},
		{"0.0.0.0", linkLocal, false},
		{"::1", loopback6, true},
		{"::1", loopback, false},
		{"127.1", loopback, true}, // spellings that resolvers take for addresses
		{"2130706433", loopback, true},
		{"0x7f000001", loopback, true},
		{"0177.0.0.1", loopback, true},
		{"0xA9.0xFE.43518", linkLocal, true},
		{"1.2.3.4.5", loopback, false},
		{"127.0.0.256", loopback, false},
		{"127.0.0.09", loopback, false},
		{"4294967296", list("0.0.0.0/0"), false},
		{"", list("0.0.0.0/0"), false},
		{"10.0.0.1", list("0.0.0.0/0"), true},
	} {
		if got := denied(test.host, test.deny); got != test.want {
			t.Errorf("%q in %v: %v", test.host, test.deny, got)
		}
	}
}

func TestDeniedAddressesAreExcluded(t *testing.T) {
	off := at("169.254.169.254", 81)
	off.Disabled = true
	s := registry.Snapshot{Instances: []registry.Instance{at("169.254.169.254", 80), off, at("10.0.0.1", 80), at("10.0.0.1", 80)}}
	e := fromSnapshot(key("a", "s"), s, testTime, []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")})
	want := []string{"use 10.0.0.1:80", "duplicate 10.0.0.1:80", "denied address 169.254.169.254:80", "denied address 169.254.169.254:81"}
	if diff := cmp.Diff(want, show(e)); diff != "" {
		t.Error(diff)
	}
	// Another list, and back.
	if diff := cmp.Diff([]string{"use 10.0.0.1:80", "use 169.254.169.254:80", "duplicate 10.0.0.1:80", "disabled 169.254.169.254:81"}, show(e.denying(nil))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, show(e.denying(nil).denying([]netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}))); diff != "" {
		t.Error(diff)
	}
}

// Whatever a registry calls a host is judged without a panic, and every spelling of an address as that address.
func FuzzDenied(f *testing.F) {
	for _, host := range []string{"127.0.0.1", "127.1", "0x7f.1", "017700000001", "::ffff:127.0.0.1", "localhost", "a.localhost.", "..", "0x", "-1"} {
		f.Add(host)
	}
	all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	f.Fuzz(func(t *testing.T, host string) {
		denied(host, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		if ip, err := netip.ParseAddr(host); err == nil && !denied(host, all) {
			t.Errorf("%s is not denied by everything", ip)
		}
		if ip := legacyIPv4(host); ip.IsValid() && !ip.Is4() {
			t.Errorf("%q is %s", host, ip)
		}
	})
}
