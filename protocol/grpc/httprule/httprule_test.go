package httprule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "does not begin with a slash",
		"v1":                     "does not begin with a slash",
		"/v1//x":                 "a segment is empty",
		"/v1/":                   "a segment is empty",
		"/{a":                    "a brace is not closed",
		"/{a}b":                  "text follows a variable",
		"/b{a}":                  "is no literal",
		"/{}":                    "is no path of fields",
		"/{a.}":                  "is no path of fields",
		"/{.a}":                  "is no path of fields",
		"/{1a}":                  "is no path of fields",
		"/{a b}":                 "is no path of fields",
		"/{a=}":                  "a segment is empty",
		"/{a={b}}":               "text follows a variable",
		"/{a}/{a}":               "named twice",
		"/**/x":                  "** is not the last segment",
		"/{a=**}/x":              "** is not the last segment",
		"/***":                   "is no literal",
		"/a*":                    "is no literal",
		"/x:":                    "verb: a segment is empty",
		"/..":                    "cannot stand in a path",
		"/a%zz":                  "cannot stand in a path",
		strings.Repeat("/a", 65): "more than 64 segments",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestMatch(t *testing.T) {
	var r Router[string]
	for _, rule := range []string{
		"GET /", "GET /v1/shelves", "POST /v1/shelves", "GET /v1/{name=shelves/*}", "GET /v1/{name=shelves/*/books/*}",
		"POST /v1/{name=shelves/*}:clear", "GET /v1/shelves/special", "GET /v1/{parent=shelves/*}/books:list",
		"GET /v1/{any=**}", "GET /v1/{any=**}:verb", "GET /v2/{a.b.c}/x/{d}", "* /v3/anything", "PUT /v3/anything",
		"GET /v4/*/{x}/*", "GET /v4/{deep=a/b/**}", "GET /v5/{m=messages/*}", "GET /v5/messages/{id}/tail", "GET /v6/caf\u00e9/{x}",
		"GET /v7/{a=x/**}", "GET /v7/{a=*}/z",
	} {
		method, path, _ := strings.Cut(rule, " ")
		tmpl, err := Parse(path)
		if err == nil {
			err = r.Add(method, tmpl, rule)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if r.Len() != 20 {
		t.Errorf("%d templates", r.Len())
	}
	for request, want := range map[string]string{
		"GET /":                            "GET / []",
		"GET /v1/shelves":                  "GET /v1/shelves []",
		"POST /v1/shelves":                 "POST /v1/shelves []",
		"DELETE /v1/shelves":               "405 GET, POST",
		"GET /v1/shelves/1":                "GET /v1/{name=shelves/*} [name=shelves/1]",
		"GET /v1/shelves/special":          "GET /v1/shelves/special []",
		"GET /v1/shelves/1/books/2":        "GET /v1/{name=shelves/*/books/*} [name=shelves/1/books/2]",
		"GET /v1/shelves/1/books":          "GET /v1/{any=**} [any=shelves/1/books]",
		"GET /v1/shelves/1/books:list":     "GET /v1/{parent=shelves/*}/books:list [parent=shelves/1]",
		"POST /v1/shelves/1:clear":         "POST /v1/{name=shelves/*}:clear [name=shelves/1]",
		"POST /v1/shelves/1:other":         "405 GET",
		"GET /v1/shelves/1:other":          "GET /v1/{name=shelves/*} [name=shelves/1:other]",
		"GET /v1/shelves/a:b:verb":         "GET /v1/{any=**}:verb [any=shelves/a:b]",
		"GET /v1":                          "GET /v1/{any=**} [any=]",
		"GET /v1/":                         "GET /v1/{any=**} [any=]",
		"GET /v1/shelves/":                 "GET /v1/{any=**} [any=shelves/]",
		"GET /v1/a%2Fb/c%20d":              "GET /v1/{any=**} [any=a%2Fb/c d]",
		"GET /v2/1/x/2":                    "GET /v2/{a.b.c}/x/{d} [a.b.c=1 d=2]",
		"GET /v2/a%2Fb/x/%C3%A9%3A":        "GET /v2/{a.b.c}/x/{d} [a.b.c=a/b d=\u00e9:]",
		"GET /v2/1/y/2":                    "404",
		"GET /v2//x/2":                     "404",
		"PATCH /v3/anything":               "* /v3/anything []",
		"PUT /v3/anything":                 "PUT /v3/anything []",
		"GET /v4/1/2/3":                    "GET /v4/*/{x}/* [x=2]",
		"GET /v4/a/b":                      "GET /v4/{deep=a/b/**} [deep=a/b]",
		"GET /v4/a/b/c":                    "GET /v4/{deep=a/b/**} [deep=a/b/c]",
		"GET /v5/messages/1":               "GET /v5/{m=messages/*} [m=messages/1]",
		"GET /v5/messages/1/tail":          "GET /v5/messages/{id}/tail [id=1]",
		"GET /v5/messages/1/x":             "404",
		"GET /v6/caf%C3%A9/1":              "GET /v6/caf\u00e9/{x} [x=1]",
		"GET /v7/x/z":                      "GET /v7/{a=x/**} [a=x/z]",
		"GET /v7/y/z":                      "GET /v7/{a=*}/z [a=y]",
		"GET nothing":                      "404",
		"GET *":                            "404",
		"GET /v9":                          "404",
		"GET " + strings.Repeat("/v1", 99): "GET /v1/{any=**} [any=v1" + strings.Repeat("/v1", 97) + "]",
	} {
		var a protocol.Arena
		method, path, _ := strings.Cut(request, " ")
		rule, captures, allow, ok := r.Match(&a, method, path, nil)
		got := "404"
		if ok {
			var texts []string
			for _, c := range captures {
				texts = append(texts, c.Path+"="+c.Value)
			}
			got = fmt.Sprint(rule, " ", texts)
		} else if allow != "" {
			got = "405 " + allow
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", request, got, want)
		}
	}
}

func TestAddRefusesTheSame(t *testing.T) {
	var r Router[int]
	for i, c := range []struct {
		path string
		bad  bool
	}{{"/a/{b}", false}, {"/a/*", true}, {"/a/{c}:v", false}, {"/a/{c}/**", false}, {"/a/*/{d=**}", true}, {"/a/b", false}} {
		tmpl, err := Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add("GET", tmpl, i); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.path, err)
		}
		if err := r.Add("POST", tmpl, i); (err != nil) != c.bad {
			t.Errorf("POST %s: %v", c.path, err)
		}
	}
}

// FuzzTemplate: what parses matches a path made of it, and gives back what was put in.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"/v1/{name=shelves/*}", "/v1/{a.b}/**", "/x/{y=**}:verb", "/{a}/{b=c/*}/d:e", "/", "/a:b/c", "/{a:b}", "/caf\u00e9/*"} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		tmpl, err := Parse(text)
		if err != nil {
			return
		}
		var a protocol.Arena
		if value, err = protocol.NormalizePath(&a, "/"+strings.ReplaceAll(value, "/", "")); err != nil || value == "/" {
			return
		}
		value = strings.ReplaceAll(value[1:], ":", "")
		if value == "" {
			return
		}
		path := ""
		for _, s := range tmpl.segments {
			if s == anySegment || s == anySegments {
				s = value
			}
			path += "/" + s
		}
		if path == "" {
			path = "/"
		}
		if tmpl.verb != "" {
			path += ":" + tmpl.verb
		}
		var r Router[bool]
		if err := r.Add("GET", tmpl, true); err != nil {
			t.Fatal(err)
		}
		_, captures, _, ok := r.Match(&a, "GET", path, nil)
		if !ok || len(captures) != len(tmpl.Variables) {
			t.Fatalf("%s does not match %s: %v", text, path, captures)
		}
		for i, c := range captures {
			if v := tmpl.Variables[i]; v.first == v.last && tmpl.segments[v.first] == anySegment && c.Value != protocol.PathUnescape(&a, value) {
				t.Errorf("%s on %s captures %q, not %q", text, path, c.Value, value)
			}
		}
	})
}

// FuzzMatch: no path breaks a router, and what matches is found again.
func FuzzMatch(f *testing.F) {
	var r Router[int]
	for i, s := range []string{"/v1/{name=shelves/*}", "/v1/{name=shelves/*}:x", "/v1/{any=**}:y", "/v1/*/b/{c}", "/", "/a/**"} {
		tmpl, err := Parse(s)
		if err == nil {
			err = r.Add("GET", tmpl, i)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add("/v1/shelves/1")
	f.Add("/v1/shelves/1:x")
	f.Add("/a//:/:y")
	f.Fuzz(func(t *testing.T, path string) {
		var a protocol.Arena
		one, captures, _, ok := r.Match(&a, "GET", path, nil)
		two, again, _, _ := r.Match(&a, "GET", path, captures[:0:0])
		if one != two || len(captures) != len(again) || !ok && len(captures) > 0 {
			t.Errorf("%q: %d %v and %d %v", path, one, captures, two, again)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	var r Router[int]
	for i := range 500 {
		for _, s := range []string{"/v1/{name=service%d/*}", "/v1/{name=service%d/*/items/*}:cancel"} {
			tmpl, err := Parse(fmt.Sprintf(s, i))
			if err == nil {
				err = r.Add("GET", tmpl, i)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	var a protocol.Arena
	captures := make([]Capture, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := r.Match(&a, "GET", "/v1/service300/7/items/9:cancel", captures); !ok {
			b.Fatal("no match")
		}
	}
}
