package dubbo

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
)

func TestQueryValues(t *testing.T) {
	tests := []struct {
		query string
		want  []string // name=value, decoded
	}{
		{"", nil},
		{"a=1", []string{"a=1"}},
		{"a=1&b=2&a=3", []string{"a=1", "b=2", "a=3"}},
		{"a", []string{"a="}},
		{"a=", []string{"a="}},
		{"=1", []string{"=1"}},
		{"&&a=1&", []string{"a=1"}},
		{"a=b=c", []string{"a=b=c"}},
		{"a+b=c+d", []string{"a b=c d"}},
		{"a%20b=%26%3D", []string{"a b=&="}},
		{"a=%zz", []string{"a=%zz"}},
		{"a=%e6%97%a5", []string{"a=日"}},
	}
	for _, tt := range tests {
		var got []string
		queryValues(tt.query, "", func(name, value string) bool {
			got = append(got, name+"="+value)
			return true
		})
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q gives %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestQueryValue(t *testing.T) {
	const query = "a=1&b=2&a=3&c"
	for name, want := range map[string]string{"a": "1", "b": "2", "c": ""} {
		if got, found := queryValue(query, name); got != want || !found {
			t.Errorf("%s is %q, %v", name, got, found)
		}
	}
	if got, found := queryValue(query, "d"); found {
		t.Errorf("d is %q", got)
	}
}

// FuzzQueryValues compares with net/url where both read the query.
func FuzzQueryValues(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a+b=%20&&c", "a=%zz", "%61=x&a=y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		want, err := url.ParseQuery(query)
		if err != nil || strings.Contains(query, ";") {
			return
		}
		got := url.Values{}
		queryValues(query, "", func(name, value string) bool {
			got.Add(name, value)
			return true
		})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %q, net/url %q", query, got, want)
		}
	})
}

func TestPathValue(t *testing.T) {
	req := &protocol.Request{Params: []protocol.Param{{Name: "id", Value: "a%2Fb+c"}, {Name: "bad", Value: "%"}}}
	for name, want := range map[string]string{"id": "a/b+c", "bad": "%"} {
		if got, ok := pathValue(req, name); got != want || !ok {
			t.Errorf("%s is %q, %v", name, got, ok)
		}
	}
	if _, ok := pathValue(req, "none"); ok {
		t.Error("a capture that is not there")
	}
}

func TestParseText(t *testing.T) {
	tests := []struct {
		text string
		want []part
	}{
		{"", []part{{}}},
		{"plain", []part{{name: "plain"}}},
		{"{path.id}", []part{{kind: pathSource, name: "id"}}},
		{"a{query.q}b", []part{{name: "a"}, {kind: querySource, name: "q"}, {name: "b"}}},
		{"{header.X-A}{cookie.c}", []part{{kind: headerSource, name: "X-A"}, {kind: cookieSource, name: "c"}}},
		{"{body}", []part{{kind: bodySource}}},
		{"{body/a/0/b~1c~0}", []part{{kind: bodySource, name: "/a/0/b~1c~0", pointer: []string{"a", "0", "b/c~"}}}},
		{"{{a}}", []part{{name: "{a}"}}},
		{"{{{path.id}}}", []part{{name: "{"}, {kind: pathSource, name: "id"}, {name: "}"}}},
	}
	for _, tt := range tests {
		got, err := parseText(tt.text)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q is %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestAppendScalar(t *testing.T) {
	for text, want := range map[string]string{
		"5": "5", "-1.5e3": "-1.5e3", "true": "true", "false": "false",
		"null": `"null"`, "007": `"007"`, "1.": `"1."`, "+1": `"+1"`, " 1": `" 1"`, "truely": `"truely"`, "x": `"x"`, "": `""`, `a"b`: `"a\"b"`,
		"[1]": `"[1]"`, `{"class":"x"}`: `"{\"class\":\"x\"}"`,
	} {
		if got := string(appendScalar(nil, text)); got != want {
			t.Errorf("%q is written as %s, want %s", text, got, want)
		}
	}
}
