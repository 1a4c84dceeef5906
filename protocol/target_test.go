package protocol

import (
	"net/url"
	"strings"
	"testing"
)

func TestNormalizePath(t *testing.T) {
	for path, want := range map[string]string{
		"/":                      "/",
		"/a/b":                   "/a/b",
		"/a/b/":                  "/a/b/",
		"//a//b//":               "//a//b//",
		"/a/./b":                 "/a/b",
		"/a/.":                   "/a/",
		"/.":                     "/",
		"/./":                    "/",
		"/a/..":                  "/",
		"/a/../":                 "/",
		"/a/b/../c":              "/a/c",
		"/a/b/../../c":           "/c",
		"/..":                    "/",
		"/../../a":               "/a",
		"/a//../b":               "/a/b",
		"/a/%2e%2e/b":            "/b",
		"/a/.%2E/b":              "/b",
		"/a/%2e/b":               "/a/b",
		"/...":                   "/...",
		"/.a/..b/c..":            "/.a/..b/c..",
		"/%61%7e%2d":             "/a~-",
		"/%2f%2F":                "/%2F%2F",
		"/a%2fb/../c":            "/c",
		"/%c3%a9":                "/%C3%A9",
		"/%25%32%65":             "/%252e",
		"/a%20b%3f%23":           "/a%20b%3F%23",
		"/a;b=1/c":               "/a;b=1/c",
		"/x..;y/z":               "/x..;y/z",
		"/a:@!$&'()*+,;=b":       "/a:@!$&'()*+,;=b",
		"/{id}|\"<>^`":           "/%7Bid%7D%7C%22%3C%3E%5E%60",
		"/%7bid%7d":              "/%7Bid%7D",
		"/a.%2Fb":                "/a.%2Fb",
		"/%0a":                   "/%0A",
		"/very/long/./" + "a/b/": "/very/long/a/b/",
	} {
		got, err := NormalizePath(new(Arena), path)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
		again, err := NormalizePath(new(Arena), got)
		if err != nil || again != got {
			t.Errorf("%s: not stable: %q, %v", path, again, err)
		}
	}
	for _, path := range []string{
		"", "a", "*", "/%", "/%4", "/%zz", "/%4g", "/a%00", "/a\\b", "/a%5cb", "/a%5C", "/..;/a", "/..;x=1", "/a/.;/b", "/a/%2e%2e;/b",
		"/a/..%2fb", "/a/%2f..", "/a/x%2f%2e%2e%2fy", "/.%2Fa",
	} {
		if got, err := NormalizePath(new(Arena), path); err == nil {
			t.Errorf("%s was accepted as %q", path, got)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2E/x", "/a%2fb;c/..;", "/{x}", "//..//", "/%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if path == "" || path[0] != '/' {
			return
		}
		for i := range len(path) {
			if path[i] <= ' ' || path[i] >= 0x7f || path[i] == '#' || path[i] == '?' {
				return // no path on the wire
			}
		}
		got, err := NormalizePath(new(Arena), path)
		if err != nil {
			return
		}
		if again, err := NormalizePath(new(Arena), got); err != nil || again != got {
			t.Fatalf("%q: %q is not stable: %q %v", path, got, again, err)
		}
		if got[0] != '/' {
			t.Fatalf("%q: %q", path, got)
		}
		for _, segment := range strings.Split(got, "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q: dot segment left in %q", path, got)
			}
		}
		// It still means the same to a reader of URLs.
		before, err1 := url.PathUnescape(path)
		after, err2 := url.PathUnescape(got)
		if err1 != nil || err2 != nil {
			t.Fatalf("%q: %v, %q: %v", path, err1, got, err2)
		}
		if !strings.Contains(before, "/.") && before != after {
			t.Fatalf("%q means %q, %q means %q", path, before, got, after)
		}
	})
}

func BenchmarkNormalizePath(b *testing.B) {
	for name, path := range map[string]string{"plain": "/orders/17/items/3", "encoded": "/orders/%31%37/./items/%2f"} {
		b.Run(name, func(b *testing.B) {
			var a Arena
			b.ReportAllocs()
			for b.Loop() {
				a.Reset()
				if _, err := NormalizePath(&a, path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
