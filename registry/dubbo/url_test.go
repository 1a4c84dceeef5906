package dubbo

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/registry"
)

// dubboGo is what dubbo-go registers: its parameters are escaped before the whole is.
func dubboGo() string {
	params := url.Values{
		"IDL-mode": {"non-IDL"}, "anyhost": {"true"}, "application": {"goprov"}, "methods": {"add,Add"}, "release": {"dubbo-golang-3.3.2"},
		"weight": {"0"}, "version": {"1.0.0"}, "interface": {"com.sluice.UserProvider"}, "note": {"a&b=c %"},
	}
	return "dubbo://127.0.0.1:20880/com.sluice.UserProvider?" + params.Encode()
}

func TestProviderURLs(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want registry.Instance // without metadata
		meta map[string]string // some of it
	}{
		"dubbo-go": {dubboGo(), registry.Instance{Host: "127.0.0.1", Port: 20880, Protocol: "dubbo", Version: "1.0.0", Weight: 1, Path: "com.sluice.UserProvider"},
			map[string]string{"methods": "add,Add", "release": "dubbo-golang-3.3.2"}},
		"weight 0 of Java means none": {"dubbo://h:1/a.S?weight=0&release=3.3.6", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo"}, nil},
		"weights of a hundred are 1":  {"dubbo://h:1/a.S?weight=150", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1.5}, nil},
		"a weight that is no number":  {"dubbo://h:1/a.S?weight=x", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1}, nil},
		"default.weight of 2.6":       {"dubbo://h:1/a.S?default.weight=50", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 0.5}, nil},
		"2.7":                         {"dubbo://172.17.0.2:20880/a.S?anyhost=true&application=old&deprecated=false&dubbo=2.0.2&dynamic=true&generic=false&interface=a.S&methods=get&pid=1&release=2.7.23&side=provider&timestamp=1&tag=gray&warmup=600000", registry.Instance{Host: "172.17.0.2", Port: 20880, Protocol: "dubbo", Weight: 1}, map[string]string{"tag": "gray", "warmup": "600000", "timestamp": "1"}},
		"disabled":                    {"tri://h:1/a.S?disabled=true", registry.Instance{Host: "h", Port: 1, Protocol: "tri", Weight: 1, Disabled: true}, nil},
		"not enabled":                 {"tri://h:1/a.S?enabled=FALSE", registry.Instance{Host: "h", Port: 1, Protocol: "tri", Weight: 1, Disabled: true}, nil},
		"another path":                {"dubbo://h:1/ctx/a.S?group=g", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1, Group: "g", Path: "ctx/a.S"}, nil},
		"IPv6 in brackets":            {"dubbo://[2001:db8::1]:20880/a.S", registry.Instance{Host: "2001:db8::1", Port: 20880, Protocol: "dubbo", Weight: 1}, nil},
		"IPv6 as Java writes it":      {"dubbo://2001:db8:0:0:0:0:0:1:20880/a.S", registry.Instance{Host: "2001:db8:0:0:0:0:0:1", Port: 20880, Protocol: "dubbo", Weight: 1}, nil},
		"a user":                      {"dubbo://u:p@localhost.:1/a.S", registry.Instance{Host: "localhost.", Port: 1, Protocol: "dubbo", Weight: 1}, nil},
		"upper case":                  {"DUBBO://h:1/a.S", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1}, nil},
		"odd parameters":              {"dubbo://h:1/a.S?k=v=w&=z&m=a%2Cb&n=v%zz", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1}, map[string]string{"k": "v=w", "m": "a,b", "n": "v%zz"}},
		"neither on nor off":          {"dubbo://h:1/a.S?disabled=false&enabled=x", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1}, nil},
		"a plus and a percent sign":   {"dubbo://h:1/a.S?release=3.3+x&odd=50%&=x&empty", registry.Instance{Host: "h", Port: 1, Protocol: "dubbo", Weight: 1}, map[string]string{"release": "3.3+x", "odd": "50%", "empty": ""}},
	} {
		u, err := ParseEscaped(url.QueryEscape(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := u.Provider("a.S")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for k, v := range c.meta {
			if got.Metadata[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, got.Metadata[k], v)
			}
		}
		got.Metadata = nil
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestBadProviderURLs(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "not a URL",
		"garbage":                    "not a URL",
		"://h:1/a":                   "not a URL",
		"dubbo://h:x/a":              `port "x"`,
		"dubbo://h:70000/a":          `port "70000"`,
		"dubbo://h/a":                "no port",
		"dubbo://h:0/a":              "no port",
		"dubbo://:1/a":               "no host",
		"dubbo://a b:1/a":            "is not a name",
		"dubbo://0.0.0.0:1/a":        "no address of one machine",
		"rest://h:1/a":               `protocol "rest" is not spoken`,
		"dubbo://h\x00:1/a":          "control characters",
		strings.Repeat("x", maxURL):  "not a URL",
		strings.Repeat("%", maxURL):  "longer than",
		"dubbo://[::1/a":             "is not a name",
		"dubbo://[::1]/a?weight=1e9": "no port",
	} {
		name := url.QueryEscape(text)
		u, err := ParseEscaped(name)
		if err == nil {
			_, err = u.Provider("a")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := ParseEscaped("dubbo%3A%2F%2Fh%3A1%2"); err == nil {
		t.Error("half an escape was taken")
	}
}

func FuzzProviderURL(f *testing.F) {
	for _, seed := range []string{dubboGo(), "tri://192.0.2.2:21881/a.S?application=jprov&methods=hello,get&side=provider&group=g&version=1", "override://0.0.0.0/a?weight=5&disabled=true", "dubbo://[::1]:1/", "a://@:1?%"} {
		f.Add(url.QueryEscape(seed))
	}
	f.Fuzz(func(t *testing.T, name string) {
		_ = Readable(name)
		u, err := ParseEscaped(name)
		if err != nil {
			return
		}
		i, err := u.Provider("a.S")
		if err != nil {
			return
		}
		if err := i.Validate(); err != nil {
			t.Errorf("%q gave an instance that cannot be used: %v", name, err)
		}
	})
}
