package route

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func table(t testing.TB, matches ...config.Match) *Table[int] {
	t.Helper()
	b := NewBuilder[int]()
	for i, m := range matches {
		if err := b.Add(Entry[int]{Match: m, Value: i}); err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
	}
	return b.Table()
}

func paths(patterns ...string) []config.Match {
	var out []config.Match
	for _, p := range patterns {
		out = append(out, config.Match{Path: p})
	}
	return out
}

func request(method, url string) *protocol.Request {
	req := &protocol.Request{Method: method}
	host, path, _ := strings.Cut(url, "/")
	path, query, has := strings.Cut("/"+path, "?")
	req.Authority, req.Path, req.RawQuery, req.HasQuery = host, path, query, has
	return req
}

// look returns "index name=value ..." or "-" with the allowed methods.
func look(tb *Table[int], req *protocol.Request) string {
	v, ok, allow := tb.Match(req)
	if !ok {
		return strings.TrimSpace("- " + allow)
	}
	out := fmt.Sprint(v)
	for _, p := range req.Params {
		if p.Name != "" {
			out += " " + p.Name + "=" + p.Value
		}
	}
	return out
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		pattern string
		path    string
		want    string
	}{
		{"/", "/", "0"},
		{"/", "/a", "-"},
		{"/a", "/a", "0"},
		{"/a", "/a/", "-"},
		{"/a/", "/a/", "0"},
		{"/a/", "/a", "-"},
		{"/a", "/A", "-"},
		{"/a/{id}", "/a/7", "0 id=7"},
		{"/a/{id}", "/a/", "-"},
		{"/a/{id}", "/a/7/", "-"},
		{"/a/{id}", "/a/x%2Fy", "0 id=x%2Fy"},
		{"/a/{id}/b", "/a/7/b", "0 id=7"},
		{"/a/*", "/a/7", "0"},
		{"/a/*", "/a", "-"},
		{"/a/*/c", "/a/b/c", "0"},
		{"/a/**", "/a", "0"},
		{"/a/**", "/a/", "0"},
		{"/a/**", "/a/b/c", "0"},
		{"/a/**", "/ab", "-"},
		{"/**", "/", "0"},
		{"/**", "/x/y", "0"},
		{"/a/{*rest}", "/a", "0 rest="},
		{"/a/{*rest}", "/a/", "0 rest=/"},
		{"/a/{*rest}", "/a/b/c", "0 rest=/b/c"},
		{"/{*rest}", "/", "0 rest=/"},
		{"/{*rest}", "/a", "0 rest=/a"},
		{"/{s}/**", "/orders/1", "0 s=orders"},
		{"/a/{n:[0-9]+}", "/a/42", "0 n=42"},
		{"/a/{n:[0-9]+}", "/a/42x", "-"},
		{"/a/{n:[0-9]{2,3}}", "/a/42", "0 n=42"},
		{"/a/{n:a|b}", "/a/ab", "-"},
		{"/a/{n:x/y}", "/a/x/y", "-"}, // a segment holds no slash, so this matches nothing, and is no mistake either
		{"/files/*.txt", "/files/a.txt", "0"},
		{"/files/*.txt", "/files/.txt", "-"},
		{"/v{major}/x", "/v2/x", "0 major=2"},
		{"/{a}-{b}", "/1-2", "0 a=1 b=2"},
		{"/{a}-{b:[0-9]+}", "/x-y-2", "0 a=x-y b=2"},
		{"/{a}-{b:[0-9]+}", "/x-y", "-"},
		{"/caf\u00e9", "/caf%C3%A9", "0"},
		{"/a%2fb", "/a%2Fb", "0"},
		{"/%7Euser", "/~user", "0"},
		{"/a b", "/a%20b", "0"},
		{"/a", "*", "-"},
		{"/**", "*", "-"},
	} {
		req := request("GET", "h/")
		req.Path = c.path
		if got := look(table(t, config.Match{Path: c.pattern}), req); got != c.want {
			t.Errorf("%s on %s: %q, want %q", c.pattern, c.path, got, c.want)
		}
	}
}

func TestMostSpecificPathWins(t *testing.T) {
	// From the most specific to the least; each path is served by the first pattern that can.
	patterns := []string{
		"/a/b", "/a/report-{name}.csv", "/a/v{n}", "/a/{n:[0-9]+}", "/a/{id}", "/a/{id}/c", "/a/**", "/{x}/b", "/**",
	}
	for path, want := range map[string]string{
		"/a/b":             "0",
		"/a/report-x.csv":  "1 name=x",
		"/a/vx":            "2 n=x",
		"/a/12":            "3 n=12",
		"/a/zz":            "4 id=zz",
		"/a/zz/c":          "5 id=zz",
		"/a/zz/d":          "6",
		"/a/b/c":           "5 id=b", // comes back from the literal b, which leads nowhere
		"/q/b":             "7 x=q",
		"/q/c":             "8",
		"/a/report-x.csv/": "6",
	} {
		// The order in the document must not matter.
		for _, reversed := range []bool{false, true} {
			matches := paths(patterns...)
			if reversed {
				for i, j := 0, len(matches)-1; i < j; i, j = i+1, j-1 {
					matches[i], matches[j] = matches[j], matches[i]
				}
			}
			b := NewBuilder[int]()
			for i, m := range matches {
				if reversed {
					i = len(matches) - 1 - i
				}
				if err := b.Add(Entry[int]{Match: m, Value: i}); err != nil {
					t.Fatal(err)
				}
			}
			if got := look(b.Table(), request("GET", "h"+path)); got != want {
				t.Errorf("%s: %q, want %q (reversed %v)", path, got, want, reversed)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	tb := table(t,
		config.Match{Path: "/**"},
		config.Match{Path: "/**", Hosts: []string{"*.example.com"}},
		config.Match{Path: "/**", Hosts: []string{"*.api.example.com"}},
		config.Match{Path: "/x", Hosts: []string{"Shop.Example.com"}},
		config.Match{Path: "/v6", Hosts: []string{"[::1]"}},
	)
	for url, want := range map[string]string{
		"other.org/x":               "0",
		"example.com/x":             "0",
		"a.example.com/x":           "1",
		"a.b.example.com/x":         "1",
		"A.EXAMPLE.COM:8443/x":      "1",
		"v1.api.example.com/x":      "2",
		"shop.example.com/x":        "3",
		"shop.example.com./x":       "3",
		"shop.example.com:80/other": "1", // the exact host has no such path: the next best host serves
		"[::1]:8080/v6":             "4",
		"/x":                        "0",
	} {
		if got := look(tb, request("GET", url)); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	long := request("GET", strings.Repeat("a", 300)+".example.com/x")
	if got := look(tb, long); got != "0" {
		t.Errorf("a host that is too long: %q", got)
	}
}

func TestMethods(t *testing.T) {
	tb := table(t,
		config.Match{Path: "/a", Methods: []string{"GET"}},
		config.Match{Path: "/a", Methods: []string{"POST", "PUT"}},
		config.Match{Path: "/b/{id}", Methods: []string{"DELETE"}},
		config.Match{Path: "/c", Methods: []string{"POST"}, Headers: map[string]config.ValueMatch{"X-V": {Exact: "2"}}},
	)
	for in, want := range map[string]string{
		"GET h/a":     "0",
		"HEAD h/a":    "0",
		"PUT h/a":     "1",
		"PATCH h/a":   "- GET, HEAD, POST, PUT",
		"GET h/b/1":   "- DELETE",
		"GET h/c":     "-", // another condition fails too: there is nothing here
		"GET h/d":     "-",
		"OPTIONS h/a": "- GET, HEAD, POST, PUT",
	} {
		method, url, _ := strings.Cut(in, " ")
		if got := look(tb, request(method, url)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestPreflightReachesRoutesThatAnswerIt(t *testing.T) {
	b := NewBuilder[int]()
	for i, pre := range []bool{true, false} {
		m := config.Match{Path: fmt.Sprintf("/%d", i), Methods: []string{"POST"}}
		if err := b.Add(Entry[int]{Match: m, Preflight: pre, Value: i}); err != nil {
			t.Fatal(err)
		}
	}
	tb := b.Table()
	req := request("OPTIONS", "h/0")
	if got := look(tb, req); got != "- POST" {
		t.Errorf("a plain OPTIONS: %q", got)
	}
	req.Header.Add("Origin", "https://a")
	req.Header.Add("Access-Control-Request-Method", "POST")
	if got := look(tb, req); got != "0" {
		t.Errorf("a preflight: %q", got)
	}
	req.Path = "/1"
	if got := look(tb, req); got != "- POST" {
		t.Errorf("a preflight where nobody answers it: %q", got)
	}
}

func TestConditions(t *testing.T) {
	no := false
	tb := table(t,
		config.Match{Path: "/p"},
		config.Match{Path: "/p", Headers: map[string]config.ValueMatch{"X-Version": {Exact: "2"}}},
		config.Match{Path: "/p", Headers: map[string]config.ValueMatch{"x-version": {Exact: "2"}}, Query: map[string]config.ValueMatch{"debug": {}}},
		config.Match{Path: "/p", Cookies: map[string]config.ValueMatch{"group": {Regex: "be.a"}}},
		config.Match{Path: "/p", Query: map[string]config.ValueMatch{"q": {Prefix: "a b"}}},
		config.Match{Path: "/q", Headers: map[string]config.ValueMatch{"Authorization": {Present: &no}}},
		config.Match{Path: "/r", Headers: map[string]config.ValueMatch{"Host": {Prefix: "h"}}},
		config.Match{Path: "/s", Query: map[string]config.ValueMatch{"x": {Present: &no}}, Cookies: map[string]config.ValueMatch{"x": {Present: &no}}},
	)
	for in, want := range map[string]string{
		"/p":                                "0",
		"/p|X-VERSION: 2":                   "1",
		"/p|X-Version: 3":                   "0",
		"/p|X-Version: 3|X-Version: 2":      "1",
		"/p?debug|X-Version: 2":             "2",
		"/p?a=1&debug=&b|X-Version: 2":      "2",
		"/p|Cookie: a=b; group=beta":        "3",
		"/p|Cookie: group=\"beta\"":         "3",
		"/p|Cookie: group=betaa":            "0",
		"/p|Cookie: a=1|Cookie: group=beta": "3",
		"/p?q=a+bc":                         "4",
		"/p?q=a%20b":                        "4",
		"/p?%71=a%20b":                      "4",
		"/p?q=b":                            "0",
		"/q":                                "5",
		"/q|Authorization: x":               "-",
		"/r":                                "6",
		"/s":                                "7",
		"/s?x":                              "-",
		"/s|Cookie: x=1":                    "-",
	} {
		parts := strings.Split(in, "|")
		req := request("GET", "h"+parts[0])
		for _, line := range parts[1:] {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Add(name, value)
		}
		if got := look(tb, req); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestEquallySpecificRoutesKeepTheirOrder(t *testing.T) {
	tb := table(t, paths("/a/{x}", "/a/{y}", "/a/*")...)
	if got := look(tb, request("GET", "h/a/1")); got != "0 x=1" {
		t.Errorf("%q", got)
	}
}

func TestMistakes(t *testing.T) {
	for pattern, want := range map[string]string{
		"":              `begins with "/"`,
		"a":             `begins with "/"`,
		"/{":            `"{" without "}"`,
		"/}":            `"}" without "{"`,
		"/{}":           "needs a name",
		"/{1a}":         "is not a name",
		"/{a}/{a}":      `capture "a" stands twice`,
		"/**/a":         "only at the end",
		"/a**":          "whole segment",
		"/{*rest}/a":    "only at the end",
		"/x{*rest}":     "whole segment",
		"/{a:[}":        "missing closing",
		"/{a:(x)}":      "must not capture",
		"/a?b":          "not part of a path",
		"/a/../b":       "dot segments",
		"/%2e%2e":       "dot segments",
		"/%zz":          "hexadecimal",
		"/a/{x:[0-9]+/": `"{" without "}"`,
	} {
		_, err := ParsePattern(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
	b := NewBuilder[int]()
	for _, m := range []config.Match{
		{Path: "/a", Hosts: []string{"a*.com"}},
		{Path: "/a", Hosts: []string{"a:80"}},
		{Path: "/a", Hosts: []string{""}},
		{Path: "/a", Headers: map[string]config.ValueMatch{"a": {Regex: "("}}},
		{Path: "x"},
	} {
		if err := b.Add(Entry[int]{Match: m}); err == nil {
			t.Errorf("%+v: no error", m)
		}
	}
	if _, ok, _ := b.Table().Match(request("GET", "h/a")); ok {
		t.Error("a refused entry matches")
	}
}

func TestNames(t *testing.T) {
	p, err := ParsePattern("/{a}/*/x{b}y/{*c}")
	if err != nil || strings.Join(p.Names(), " ") != "a b c" || p.String() != "/{a}/*/x{b}y/{*c}" {
		t.Errorf("%v %v %v", p.Names(), p, err)
	}
}

// many is a table as a large installation has it: many hosts' worth of paths, captures and conditions.
func many(t testing.TB, n int) *Table[int] {
	matches := make([]config.Match, 0, n)
	for i := range n {
		m := config.Match{Path: fmt.Sprintf("/team-%d/service-%d/{id}/items/**", i%50, i)}
		switch i % 4 {
		case 1:
			m.Methods = []string{"GET", "POST"}
		case 2:
			m.Hosts = []string{fmt.Sprintf("h%d.example.com", i%200)}
		case 3:
			m.Path = fmt.Sprintf("/team-%d/service-%d/{id:[0-9]+}", i%50, i)
		}
		matches = append(matches, m)
	}
	return table(t, matches...)
}

func TestMatchAllocatesNothing(t *testing.T) {
	tb := many(t, 10000)
	for _, url := range []string{
		"x/team-1/service-5001/77/items/3", "h34.example.com/team-34/service-8034/77/items", "x/team-3/service-5003/77",
		"x/team-3/service-5003/none",
	} {
		req := request("GET", url)
		_, ok, _ := tb.Match(req)
		if ok == strings.HasSuffix(url, "none") {
			t.Errorf("%s: found %v", url, ok)
		}
		if n := testing.AllocsPerRun(1000, func() { tb.Match(req) }); n != 0 {
			t.Errorf("%s: %v allocations", url, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	tb := many(b, 10000)
	for name, url := range map[string]string{
		"capture": "x/team-1/service-5001/77/items/3",
		"host":    "h34.example.com/team-34/service-8034/77/items",
		"regex":   "x/team-3/service-5003/77",
		"none":    "x/team-3/service-5003/none",
	} {
		req := request("GET", url)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tb.Match(req)
			}
		})
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"/a/{id}", "/{a:[0-9]{2}}/**", "/*.txt", "/{a}-{b}", "/%41", "/{*r}", "/a\\{"} {
		f.Add(s, "/a/1")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		b := NewBuilder[int]()
		if err := b.Add(Entry[int]{Match: config.Match{Path: pattern}}); err != nil {
			t.Fatalf("%q parses but cannot be added: %v", pattern, err)
		}
		req := &protocol.Request{Method: "GET", Path: path}
		if _, ok, _ := b.Table().Match(req); ok {
			for _, param := range req.Params {
				if !strings.Contains(path, param.Value) {
					t.Fatalf("captured %q of %q", param.Value, path)
				}
			}
			if len(p.Names()) > len(req.Params) {
				t.Fatalf("%d captures of %v", len(req.Params), p.Names())
			}
		}
	})
}
