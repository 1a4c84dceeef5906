package strictyaml

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAliases(t *testing.T) {
	root, problems := Read("f.yaml", []byte(`
base: &b {x: 1, y: 2}
list: [&i a, *i, *b]
one: {<<: *b, y: 3}
two:
  <<: [*b, {z: 4}]
again: &i c
last: *i
`), env)
	if problems != nil {
		t.Fatal(problems)
	}
	b := map[string]any{"x": int64(1), "y": int64(2)}
	want := map[string]any{
		"base": b, "list": []any{"a", "a", b}, "one": map[string]any{"x": int64(1), "y": int64(3)},
		"two": map[string]any{"x": int64(1), "y": int64(2), "z": int64(4)}, "again": "c", "last": "c",
	}
	if d := cmp.Diff(want, root.Value()); d != "" {
		t.Error(d)
	}
}

// TestAddressesInFlow: the library takes these for mappings.
func TestAddressesInFlow(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8848", "h:80", "http://x", "http://x:80/y"} {
		for _, text := range []string{"{a: [" + address + "]}", "{a: [x, " + address + ", y]}", "{a: [" + address + "], b: c}"} {
			root, problems := readAny("f", []byte(text), env)
			if problems != nil {
				t.Errorf("%s: %v", text, problems)
				continue
			}
			if got := fmt.Sprint(root.Field("a").Value.Value()); !strings.Contains(got, address) {
				t.Errorf("%s: %s", text, got)
			}
			compare(t, text)
		}
	}
}

func TestAliasesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("any:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9))
	}
	var v all
	problems := decode(t, b.String(), &v)
	if problems == nil || !strings.Contains(problems.Error(), "aliases expand to more than 200000 values") {
		t.Error(len(problems))
	}
}

func TestVariables(t *testing.T) {
	for text, want := range map[string]any{
		"${N}":                 int64(7),
		`"${N}"`:               "7",
		"a${N}b${S}":           "a7ba b",
		"${NOPE:-x}":           "x",
		"${EMPTY:-3}":          int64(3),
		"${EMPTY}":             nil,
		`"${EMPTY}"`:           "",
		"${N:-9}":              int64(7),
		"$${N}":                "${N}",
		"$$${N}":               "$${N}",
		"$N":                   "$N",
		"${1}":                 "${1}",
		"/x/${}/${":            "/x/${}/${",
		"${a b}":               "${a b}",
		"'${N'":                "${N",
		"|\n  l1 ${N}\n  l2":   "l1 7\nl2",
		">\n  l1\n  ${S}":      "l1\na b",
		"!!str 7":              "7",
		"\"a\\u00e9 ${N}\\n\"": "aé 7\n",
	} {
		if strings.HasPrefix(text, ">") {
			want = "l1 a b"
		}
		root, problems := Read("f.yaml", []byte("k: "+text), env)
		if problems != nil {
			t.Error(problems)
			continue
		}
		var d Decoder
		var got map[string]any
		d.Decode(root, nil, &got)
		if p := d.Problems(); p != nil || !cmp.Equal(got["k"], want) {
			t.Errorf("%s: %#v %v, want %#v", text, got["k"], p, want)
		}
	}
}

func TestVariableMissing(t *testing.T) {
	for _, text := range []string{"k: ${NOPE}", "k: x${NOPE}"} {
		root, _ := Read("f.yaml", []byte(text), env)
		var d Decoder
		var got map[string]string
		d.Decode(root, nil, &got)
		if p := d.Problems(); len(p) != 1 || !strings.HasPrefix(p[0].Error(), "f.yaml:1:4: k: variable NOPE is not set") {
			t.Error(p)
		}
	}
	t.Setenv("STRICTYAML_TEST", "x")
	if root, p := Read("f", []byte("${STRICTYAML_TEST}"), nil); p != nil || root.Text != "x" {
		t.Error(root, p)
	}
}

// TestPositions checks that every scalar's and key's position is where its text stands.
func TestPositions(t *testing.T) {
	for _, text := range []string{
		"a: b\nc:\n  d: e\n  f:\n    - g\n    - h: i\n      j: k\n    -\n      l: m\n",
		"a: b\r\nc:\r\n  - d\r\n  - e: f\r\n",
		"# x\n\n\"a b\": 'c d'\nü: {é: ß, x: [ä, ö]}\n",
		"a: {b: c, d: [e, {f: g}], h: i}   # note\nj: |\n  text\n  more\nk: >-\n  folded\nl: m n\n  o\np: q",
		"- a\n- - b\n  - c\n- d: e\n",
		"---\na:   b\n...\n",
		"\ufeffa: b\nc: d\n",
		"a: \"x\n  y\"\nb: 'z\n\n  z'\nc: d\n",
		"? a\n: b\nc: &x d\ne: *x\nf: !!str g\n",
	} {
		root, problems := Read("f.yaml", []byte(text), env)
		if problems != nil {
			t.Error(problems)
			continue
		}
		lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
		var walk func(n *Node)
		check := func(p Position, want string) {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1])) {
				t.Errorf("%q: %v is outside, for %q", text, p, want)
				return
			}
			at := strings.TrimLeft(string([]rune(lines[p.Line-1])[p.Column-1:]), `"'`)
			first := strings.Fields(want)[0]
			if !strings.HasPrefix(at, first) && !strings.ContainsRune("|>!", rune(at[0])) {
				t.Errorf("%q: %v is at %q, want %q", text, p, at, want)
			}
		}
		walk = func(n *Node) {
			if n.Kind == Scalar {
				check(n.Pos, n.Text)
			}
			for _, item := range n.Items {
				walk(item)
			}
			for _, f := range n.Fields {
				check(f.KeyPos, f.Key)
				walk(f.Value)
			}
		}
		walk(root)
	}
}

func TestExcerpt(t *testing.T) {
	data := []byte("a: 1\n\tb: é2\n")
	ps := Problems{
		{Pos: Position{"f", 2, 6}, Path: "b", Message: "is bad"},
		{Pos: Position{"f", 3, 1}, Message: "ends"},
		{Pos: Position{File: "f"}, Message: "is bad"},
	}
	want := "f:2:6: b: is bad\n  2 | \tb: é2\n    | \t    ^\nf:3:1: ends\nf: is bad"
	if got := ps.Excerpt(data); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if Problems(nil).Err() != nil || ps.Err().Error() != ps.Error() {
		t.Error("Err")
	}
}

func TestLocate(t *testing.T) {
	root, _ := Read("f", []byte("services:\n  a.b: [x, {metadata: {k: v}}]\n  a: [y]\nto: {t: 1}\n"), env)
	for text, want := range map[string]string{
		"services.a.b[0]: address \"x:y\": bad": "2:9 services.a.b[0] | address \"x:y\": bad",
		"services.a[0]: bad":                    "3:7 services.a[0] | bad",
		"services.a[9]: bad":                    "3:3 services.a[9] | bad",
		"services.a.b[1].metadata: k: bad":      "2:24 services.a.b[1].metadata.k | bad",
		"services.a.b[1]: metadata: k: bad":     "2:24 services.a.b[1].metadata.k | bad",
		"to.service: is missing":                "4:1 to.service | is missing",
		"nothing: is missing":                   "1:1 nothing | is missing",
		"to: note: x":                           "4:1 to | note: x",
		"is bad":                                "1:1  | is bad",
		"to be: or not":                         "1:1  | to be: or not",
		"":                                      "1:1  | ",
	} {
		pos, path, message := root.locate(text)
		if got := fmt.Sprintf("%d:%d %s | %s", pos.Line, pos.Column, path, message); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"timeout", "timeouts", "service", "registry", "retries", "stripPrefix", "to"}
	for s, want := range map[string]string{
		"timout": "timeout", "tiemout": "timeout", "Timeouts": "timeouts", "strip-prefix": "stripPrefix", "strip_prefix": "stripPrefix",
		"servcie": "service", "registy": "registry", "retry": "", "xyz": "", "": "", "too": "to", "x": "", strings.Repeat("t", 1000): "",
	} {
		if got := Nearest(s, words); got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
	if got := Unknown("key", strings.Repeat("é", 100), nil); !strings.HasPrefix(got, `unknown key "éé`) || !strings.HasSuffix(got, "there is none") {
		t.Error(got)
	}
}

// FuzzRead feeds any bytes: no panic, no position outside, and what was read can be decoded.
func FuzzRead(f *testing.F) {
	for _, file := range []string{"../config/testdata/spine.yaml", "../config/testdata/mixed.bad.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{"a: &b [*b, {<<: *b}]", "? {a: b}\n: c", "- |\n  x\n- >-\n y", "!!str {a}", "%YAML 1.2\n---\n", "a: ${B:-c}", "---\n---", "\"\\u", "&a", "*a: b", "!!map", "- - -", "{", "\ufeff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, problems := Read("f", data, env)
		if root == nil {
			if len(problems) == 0 {
				t.Fatal("neither a node nor a problem")
			}
			problems.Excerpt(data)
			return
		}
		lines := strings.Count(string(data), "\n") + 1
		var d Decoder
		var v all
		Defaults(&v)
		d.Decode(root, nil, &v)
		var plain any
		d.Decode(root, nil, &plain)
		for _, p := range d.Problems() {
			if p.Pos.Line < 1 || p.Pos.Line > lines || p.Pos.Column < 1 || p.Message == "" {
				t.Fatalf("%+v in %d lines", p, lines)
			}
		}
		d.Problems().Excerpt(data)
	})
}
