package protocol

import (
	"net/http"
	"strings"
	"testing"
)

func TestCookie(t *testing.T) {
	var h Header
	h.Add("Cookie", `a=1; b="two";c=x=y ; d; e=`)
	h.Add("Accept", "a=2")
	h.Add("cookie", "f=last; a=second")
	for name, want := range map[string]string{"a": "1", "b": "two", "c": "x=y", "e": "", "f": "last"} {
		if got, ok := h.Cookie(name); got != want || !ok {
			t.Errorf("%s is %q, %v; want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"d", "g", "A", ""} {
		if got, ok := h.Cookie(name); ok {
			t.Errorf("%s is %q", name, got)
		}
	}
}

// FuzzCookie: whatever net/http finds, we find.
func FuzzCookie(f *testing.F) {
	f.Add("a=1; sid=x", "sid")
	f.Add(`sid="quoted"`, "sid")
	f.Fuzz(func(t *testing.T, line, name string) {
		cookies, err := http.ParseCookie(line)
		if err != nil || strings.ContainsAny(line, "\r\n") { // no field's value has these, and net/http trims them
			return
		}
		var h Header
		h.Add("Cookie", line)
		for _, c := range cookies {
			if c.Name != name {
				continue
			}
			if got, ok := h.Cookie(name); !ok || got != c.Value {
				t.Errorf("%q in %q is %q, %v; net/http says %q", name, line, got, ok, c.Value)
			}
			return
		}
	})
}

func TestQueryValue(t *testing.T) {
	r := &Request{RawQuery: "a=1&&b=x%20y+z&c&a=2&%64=e&="}
	for name, want := range map[string]string{"a": "1", "b": "x y z", "c": "", "d": "e", "": ""} {
		if got, ok := r.QueryValue(name); got != want || !ok {
			t.Errorf("%q is %q, %v; want %q", name, got, ok, want)
		}
	}
	if got, ok := r.QueryValue("e"); ok {
		t.Errorf("a parameter that is not there is %q", got)
	}
}
