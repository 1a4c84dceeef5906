package main

import (
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-gateway/sluice/config"
)

// files writes a small repository and returns its root.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range texts {
		name = filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func expression(t *testing.T, text string) ast.Expr {
	t.Helper()
	e, err := parser.ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const pluginSource = `// Package limit is a plug-in.
package limit

import "time"

// Config says how much.
type Config struct {
	// Rate is requests
	// per second.
	Rate float64 ` + "`yaml:\"rate\"`" + `
	// Window and its grace belong together.
	Window time.Duration ` + "`yaml:\"window\"`" + `
	Grace  time.Duration ` + "`yaml:\"grace\"`" + `
	// Keys tell clients apart | by *any* of them.
	Keys []Key ` + "`yaml:\"keys,omitempty\"`" + `
	// Same is of the same type.
	Same *Key ` + "`yaml:\"same\"`" + `
	// Next nests.
	Next *Config ` + "`yaml:\"next\"`" + `
	// Hidden is not read.
	Hidden int ` + "`yaml:\"-\"`" + `
	noTag int
}

// Key names one header.
type Key struct {
	// Header is its name.
	Header string ` + "`yaml:\"header\"`" + `
	// Bytes bound its value.
	Bytes int ` + "`yaml:\"bytes\"`" + `
}

type counter int

// Default is what stands where nothing does.
func Default() *Config {
	return &Config{Rate: 10, Window: 90 * time.Second, Same: &Key{}, Keys: []Key{}, Hidden: 7}
}

func (c *Config) New() *Config { return nil }

func plain() int { return 1 }

func other() *time.Time { return nil }
`

const pluginTable = `// Command sluice is the gateway.
package main

import "github.com/sluice-gateway/sluice/proxy/filter/limit"

func table() tables {
	return tables{
		Filters: map[string]func() any{
			"limit": func() any { return limit.Default() },
			"plain": func() any { return &limit.Config{} },
		},
		Registries: map[string]func() any{},
	}
}
`

func TestPluginsAreReadFromTheirSource(t *testing.T) {
	root := files(t, map[string]string{
		"proxy/filter/limit/limit.go":      pluginSource,
		"proxy/filter/limit/limit_test.go": "not even Go",
		components:                         pluginTable,
	})
	w := &writer{}
	if err := w.plugins(root, "Kinds of filters", "Filters", "Text."); err != nil {
		t.Fatal(err)
	}
	table := func(rate, window string) string {
		return "| key | type | default | meaning |\n|---|---|---|---|\n" +
			"| `rate` | number | " + rate + " | Requests per second. |\n" +
			"| `window` | duration | " + window + " | Window and its grace belong together. |\n" +
			"| `grace` | duration |  | Window and its grace belong together. |\n" +
			"| `keys` | list of sections |  | Keys tell clients apart \\| by \\*any\\* of them. |\n" +
			"| `same` | section |  | Of the same type. |\n" +
			"| `next` | section |  | Next nests. |\n\n" +
			"`keys[]`:\n\n| key | type | default | meaning |\n|---|---|---|---|\n" +
			"| `header` | text |  | Its name. |\n| `bytes` | whole number |  | Bytes bound its value. |\n\n"
	}
	readme := "With examples in its [README](../../proxy/filter/limit/README.md).\n\n"
	want := "## Kinds of filters\n\nText.\n\n### `limit`\n\n" + readme + table("`10`", "`1m30s`") + "### `plain`\n\n" + readme + table("", "")
	if d := cmp.Diff(want, w.String()); d != "" {
		t.Error(d)
	}
}

// TestTablesThatCannotBeRead: a table that has outgrown this command must not give a page with holes.
func TestTablesThatCannotBeRead(t *testing.T) {
	const header = "package main\nimport \"github.com/sluice-gateway/sluice/proxy/filter/limit\"\nvar t = T{Filters: M{\"x\": func() any { return "
	for table, want := range map[string]string{
		"":                              "read table of plug-ins: ",
		"package main\nfunc {":          "read table of plug-ins: ",
		header + "gone.New() }}}":       components + ": gone is not imported",
		header + "&limit.Nothing{} }}}": components + ": limit.Nothing is no configuration",
		header + "limit.Other() }}}":    components + ": limit.Other is no configuration",
		strings.Replace(header, "filter/limit", "filter/none/limit", 1) + "&limit.Config{} }}}": "no Go files in ",
		strings.Replace(header, "filter/limit", "filter/bad/limit", 1) + "&limit.Config{} }}}":  "parse source: ",
	} {
		texts := map[string]string{"proxy/filter/limit/limit.go": pluginSource, "proxy/filter/bad/limit/x.go": "package"}
		if table != "" {
			texts[components] = table
		}
		err := (&writer{}).plugins(files(t, texts), "T", "Filters", "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", table, err, want)
		}
	}
}

func TestPluginWithoutKeys(t *testing.T) {
	root := files(t, map[string]string{
		"registry/none/x.go": "package none\n\ntype Config struct{ n int }\n",
		components:           "package main\nimport \"github.com/sluice-gateway/sluice/registry/none\"\nvar t = T{Registries: M{\"none\": func() any { return &none.Config{} }}}",
	})
	w := &writer{}
	if err := w.plugins(root, "T", "Registries", "X."); err != nil || !strings.HasSuffix(w.String(), "It has no keys.\n\n") {
		t.Errorf("%v: %s", err, w)
	}
	w.Reset()
	if err := w.plugins(root, "T", "Filters", "X."); err != nil || w.String() != "## T\n\nX.\n\n" {
		t.Errorf("a field that the table lacks: %v: %s", err, w)
	}
}

func TestMeaning(t *testing.T) {
	for _, c := range []struct{ key, name, doc, want string }{
		{"grace", "Grace", "Grace is how long\nsomething takes.", "How long something takes."},
		{"hosts", "Hosts", "Hosts are exact names.", "Exact names."},
		{"path", "Path", "Path is (as said) free.", "Path is (as said) free."}, // no word behind the verb to begin with
		{"path", "Path", "Path is 3 long.", "Path is 3 long."},
		{"accessLog", "AccessLog", "AccessLog says where.", "`accessLog` says where."},
		{"path", "Path", "Path says where.", "Path says where."},
		{"qps", "QPS", "QPS counts.", "`qps` counts."},
		{"a", "A", "Other is not about A.", "Other is not about A."},
		{"a", "A", "A | b * c", "A \\| b \\* c"},
		{"a", "A", "", ""},
		{"a", "A", "A is", "A is"},
	} {
		if got := meaning(c.key, c.name, c.doc); got != c.want {
			t.Errorf("%q: %q, want %q", c.doc, got, c.want)
		}
	}
}

func TestLiteral(t *testing.T) {
	for text, want := range map[string]string{
		"7": "7", "1.5": "1.5", `"x"`: "x", "`y`": "y", "true": "true", "false": "false", "other": "", "f()": "", "nil": "",
		"3 * time.Second": "3s", "time.Minute": "1m", "90 * time.Minute": "1h30m", "2 * time.Hour": "2h", "500 * time.Millisecond": "500ms",
		"3 * time.Nanosecond": "", "time.Now": "", "n * time.Second": "", "1 << 20": "1048576", "64 << 10": "65536", "1 << n": "", "1 << 70": "", "1 + 2": "",
		`[]string{"a", "b"}`: "[a, b]", `[]string{}`: "", `[]int{1, n}`: "", "[]time.Duration{time.Second}": "[1s]", "T{A: 1}": "",
	} {
		if got := literal(expression(t, text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := literal(nil); got != "" {
		t.Errorf("nothing: %q", got)
	}
}

// TestTypesAreNamedAlike holds the two ways to name a type side by side: by reflection for the document, from the syntax
// for plug-ins.
func TestTypesAreNamedAlike(t *testing.T) {
	src := &source{types: map[string]*typeSource{"Section": {}}}
	for text, v := range map[string]any{
		"string": "", "bool": true, "int": 1, "int64": int64(1), "float64": 1.0, "any": new(any), "interface{}": new(any), "*bool": new(bool),
		"[]string": []string{}, "[][]int": [][]int{}, "map[string]string": map[string]string{}, "map[string][]bool": map[string][]bool{},
		"time.Duration": time.Second, "[]time.Duration": []time.Duration{}, "config.Size": config.Size(1), "Size": config.Size(1), "[]any": []any{},
	} {
		typ := reflect.TypeOf(v)
		if strings.HasPrefix(text, "any") || strings.HasPrefix(text, "interface") {
			typ = typ.Elem()
		}
		want, below, _ := describe(typ, "p")
		got, inner, _ := src.describe(expression(t, text))
		if got != want || below != nil || inner != "" {
			t.Errorf("%s: %q and %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"Section": "section|Section|", "[]Section": "list of sections|Section|[]", "map[string]*Section": "mapping of names to sections|Section|.NAME",
		"[]map[string][]Section": "list of mappings of names to lists of sections|Section|[].NAME[]", "Unknown": "text||", "netip.Prefix": "network||", "func()": "text||",
	} {
		kind, inner, suffix := src.describe(expression(t, text))
		if got := kind + "|" + inner + "|" + suffix; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for s, want := range map[string]string{
		"text": "texts", "list of texts": "lists of texts", "anything": "anything", "[section](#a)": "[sections](#a)", "duration": "durations",
	} {
		if got := plural(s); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
	for title, want := range map[string]string{"`routes[].match`": "routesmatch", "Kinds of filters": "kinds-of-filters", "`a.NAME`": "aname"} {
		if got := anchor(title); got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
	}
	for path, want := range map[string]string{"routes[].to": "to", "routes[]": "routes", "a.b.NAME": "b", "x": "x", "": ""} {
		if got := last(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", 10 * time.Second: "10s", 20 * time.Minute: "20m",
		time.Hour + time.Second: "1h0m1s", 10 * time.Hour: "10h", 1500 * time.Millisecond: "1.5s",
	} {
		got := duration(d)
		if got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(got); err != nil || back != d {
			t.Errorf("%s is read as %v, %v", got, back, err)
		}
	}
}

func TestFallbacksAreAsWritten(t *testing.T) {
	for want, v := range map[string]any{"": 0, "7": 7, "true": true, "64KB": config.Size(64 << 10), "2m": 2 * time.Minute, "x": "x", "1.5": 1.5, "[a b]": []string{"a", "b"}} {
		if got := fallback(reflect.ValueOf(v)); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	for _, v := range []any{new(int), struct{ N int }{7}, []string(nil), ""} {
		if got := fallback(reflect.ValueOf(v)); got != "" {
			t.Errorf("%v: %q", v, got)
		}
	}
}

// TestRunSaysWhatFails: each thing that may be missing has its own words, and the old page stays.
func TestRunSaysWhatFails(t *testing.T) {
	folder := files(t, map[string]string{page: "old", "config/x.go": "package config\n"})
	if err := run(folder); err == nil || err.Error() != "no source of the types Document" {
		t.Errorf("a page without the types' comments: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(folder, page)); err != nil || string(text) != "old" {
		t.Errorf("the old page is now %q, %v", text, err)
	}
}
