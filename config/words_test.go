package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestToken holds token to RFC 9110 §5.6.2, byte by byte.
func TestToken(t *testing.T) {
	const tchar = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for c := range 256 {
		want := c < 0x80 && strings.ContainsRune(tchar, rune(c))
		for _, s := range []string{string([]byte{byte(c)}), "X" + string([]byte{byte(c)}) + "y"} {
			if token(s) != want {
				t.Errorf("%q: %v", s, !want)
			}
		}
	}
	if token("") {
		t.Error("nothing is a token")
	}
}

// TestHostName holds names to the lengths of RFC 1035 §2.3.4.
func TestHostName(t *testing.T) {
	label := strings.Repeat("a", 63)
	for name, ok := range map[string]bool{
		"a": true, "a.b": true, "a.b.": true, "9.a": true, "a-b": true, "_x._tcp.a": true, "xn--bcher-kva.example": true,
		label: true, label + "a": false, label + "." + label + "." + label + "." + label[:61]: true,
		label + "." + label + "." + label + "." + label[:62]: false,
		"": false, ".": false, "a..b": false, ".a": false, "-a": false, "a-": false, "a.-b.c": false, "a b": false, "bücher": false, "a/b": false, "*.a": false,
	} {
		if got := hostName(name); got != ok {
			t.Errorf("%s (%d): %v", name, len(name), got)
		}
	}
}

func TestSplitAddress(t *testing.T) {
	for address, want := range map[string]string{
		":8080": " 8080", "127.0.0.1:80": "127.0.0.1 80", "[::1]:80": "::1 80", "[fe80::1%eth0]:80": "fe80::1%eth0 80", "h:0": "h 0", "a.b:65535": "a.b 65535",
		"0.0.0.0:1": "0.0.0.0 1",
		"":          "", ":": "", "80": "", "h": "", "h:": "", "h:65536": "", "h:-1": "", "h:+1": "", "h:08": "", "h:http": "", "::1:80": "", "[::1]": "", "a b:80": "",
		"http://h:80": "", "h:80/": "", "h:80:81": "", "[x]:80": "x 80", "-h:80": "",
	} {
		host, port, err := splitAddress(address)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("not %q", address)) {
				t.Errorf("%q: %s %s %v", address, host, port, err)
			}
			continue
		}
		if err != nil || host+" "+port != want {
			t.Errorf("%q: %s %s %v, want %s", address, host, port, err, want)
		}
	}
}

// TestTheSameAddressWrittenTwice: an address may be spelt in several ways, and is one address.
func TestTheSameAddressWrittenTwice(t *testing.T) {
	for pair, meet := range map[[2]string]bool{
		{"[::1]:80", "[0:0:0:0:0:0:0:1]:80"}:      true,
		{"127.0.0.1:80", "[::ffff:127.0.0.1]:80"}: true,
		{"[0::0]:80", "127.0.0.1:80"}:             true,
		{"LOCALHOST:80", "localhost:80"}:          true,
		{"[::1]:80", "127.0.0.1:80"}:              false,
		{"[fe80::1%a]:80", "[fe80::1%b]:80"}:      false,
	} {
		text := fmt.Sprintf("listeners: [{name: a, address: %q}]\nadmin: {address: %q}", pair[0], pair[1])
		_, problems := Parse("f.yaml", []byte(text), testKinds())
		if (len(problems) == 1) != meet {
			t.Errorf("%v: %v", pair, problems)
		}
		if meet && problems != nil && !strings.Contains(problems[0].Message, "is already taken by listeners[0].address") {
			t.Error(problems)
		}
	}
}

// TestRouteOf: only what is inside a route is the route's own mistake.
func TestRouteOf(t *testing.T) {
	for path, want := range map[string]int{
		"routes[0]": 0, "routes[12].to": 12, "routes[3].filters[1]": 3,
		"routes": -1, "routes[": -1, "routes[]": -1, "routes[x]": -1, "routes[1": -1, "": -1, "services[0]": -1, "xroutes[0]": -1,
	} {
		if i, ok := routeOf(path); ok != (want >= 0) || ok && i != want {
			t.Errorf("%q: %d %v", path, i, ok)
		}
	}
}

// TestValueMatches has the conditions that a route may set on one value.
func TestValueMatches(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		match ValueMatch
		ok    bool
	}{
		{ValueMatch{}, true},
		{ValueMatch{Present: &yes}, true},
		{ValueMatch{Present: &no}, true},
		{ValueMatch{Exact: "a", Present: &yes}, true},
		{ValueMatch{Exact: "a", Present: &no}, false},
		{ValueMatch{Prefix: "a", Regex: "b"}, false},
		{ValueMatch{Exact: "a", Prefix: "b", Regex: "c"}, false},
		{ValueMatch{Regex: "(a|b)+"}, true},
		{ValueMatch{Regex: "(?=a)"}, false}, // no look-ahead in RE2
		{ValueMatch{Regex: `(a)\1`}, false}, // nor back-references
		{ValueMatch{Regex: "a{1,1001}"}, false},
	} {
		if err := c.match.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.match, err)
		}
	}
}
