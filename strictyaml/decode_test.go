package strictyaml

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type inner struct {
	A string        `yaml:"a"`
	T time.Duration `yaml:"t"`
}

func (i *inner) SetDefaults() { i.T = time.Second }

func (i *inner) Validate() error {
	if i.A == "bad" {
		return errors.Join(errors.New("a: is bad"), errors.New("cannot be"))
	}
	return nil
}

type union struct{ Text string }

func (u *union) UnmarshalConfig(v any) error {
	switch v := v.(type) {
	case string:
		u.Text = v
		return nil
	case map[string]any:
		for k := range v {
			if k != "x" {
				return errors.New(k + ": is not x")
			}
		}
		return nil
	}
	return errors.New("must be a text or a mapping")
}

type short struct {
	Exact string `yaml:"exact"`
	N     int    `yaml:"n"`
}

func (s *short) UnmarshalText(b []byte) error {
	if string(b) == "no" {
		return errors.New("no is no")
	}
	s.Exact = string(b)
	return nil
}

type base struct {
	Shared string `yaml:"shared"`
}

type all struct {
	base   `yaml:"-"`
	Base   base             `yaml:",inline"`
	S      string           `yaml:"s"`
	B      bool             `yaml:"b"`
	I      int              `yaml:"i"`
	I8     int8             `yaml:"i8"`
	U      uint16           `yaml:"u"`
	U64    uint64           `yaml:"u64"`
	F      float64          `yaml:"f"`
	D      time.Duration    `yaml:"d"`
	P      netip.Prefix     `yaml:"p"`
	L      []string         `yaml:"l"`
	M      map[string]int   `yaml:"m"`
	Any    any              `yaml:"any"`
	In     inner            `yaml:"in"`
	Ptr    *inner           `yaml:"ptr"`
	Ins    []inner          `yaml:"ins"`
	InMap  map[string]inner `yaml:"inMap"`
	Un     union            `yaml:"un"`
	Uns    []union          `yaml:"uns"`
	Short  short            `yaml:"short"`
	NoTag  string
	Hidden string `yaml:"-"`
}

func env(name string) (string, bool) {
	v, ok := map[string]string{"N": "7", "S": "a b", "EMPTY": "", "SECRET": "hunter2"}[name]
	return v, ok
}

func decode(t *testing.T, text string, into any) Problems {
	t.Helper()
	root, problems := Read("f.yaml", []byte(text), env)
	if problems != nil {
		return problems
	}
	var d Decoder
	Defaults(into)
	d.Decode(root, nil, into)
	return d.Problems()
}

func TestDecode(t *testing.T) {
	var got all
	problems := decode(t, `
shared: x
s: 1.0
b: true
i: 0x10
i8: 127
u: 65535
u64: 18446744073709551615
f: 1e3
d: 1m30s
p: 10.0.0.0/8
l: [a, "b", 3, true]
m: {a: 1, "b": 2, 3: 3}
any: {x: [1, 2.5, "3", null, false, 0o17, 007, .inf, 1_000], "y": {}}
in: {a: q}
ptr: {a: r}
ins: [{a: b}, {t: 5s}]
inMap: {k: {}}
un: text
uns: [a, {x: 1}]
short: exactly
`, &got)
	if problems != nil {
		t.Fatal(problems)
	}
	want := all{
		Base: base{"x"}, S: "1.0", B: true, I: 16, I8: 127, U: 65535, U64: 1<<64 - 1, F: 1000, D: 90 * time.Second,
		P: netip.MustParsePrefix("10.0.0.0/8"), L: []string{"a", "b", "3", "true"}, M: map[string]int{"a": 1, "b": 2, "3": 3},
		Any: map[string]any{"x": []any{int64(1), 2.5, "3", nil, false, int64(15), "007", ".inf", "1_000"}, "y": map[string]any{}},
		In:  inner{"q", time.Second}, Ptr: &inner{"r", time.Second}, Ins: []inner{{"b", time.Second}, {"", 5 * time.Second}},
		InMap: map[string]inner{"k": {"", time.Second}}, Un: union{"text"}, Uns: []union{{"a"}, {}}, Short: short{Exact: "exactly"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(all{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestNullIsLeftOut(t *testing.T) {
	got := all{S: "kept", L: []string{"kept"}}
	if p := decode(t, "s:\nl: ~\nptr: null\nin:\nd:\nun:\n", &got); p != nil {
		t.Fatal(p)
	}
	if got.S != "kept" || len(got.L) != 1 || got.Ptr != nil || got.In.T != time.Second {
		t.Errorf("%+v", got)
	}
	if p := decode(t, "", &got); p != nil {
		t.Errorf("an empty document: %v", p)
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"sS: 1":                                  `f.yaml:1:1: sS: unknown key "sS"; did you mean "s"?`,
		"in-map: {}":                             `f.yaml:1:1: in-map: unknown key "in-map"; did you mean "inMap"?`,
		"zzzzzz: 1":                              `f.yaml:1:1: zzzzzz: unknown key "zzzzzz"`,
		"NoTag: 1\nHidden: 2":                    "f.yaml:1:1: NoTag: unknown key \"NoTag\"\nf.yaml:2:1: Hidden: unknown key \"Hidden\"",
		"s: [a]":                                 "f.yaml:1:4: s: must be a text, not a list",
		"s: {}":                                  "f.yaml:1:4: s: must be a text, not a mapping",
		"b: yes":                                 `f.yaml:1:4: b: must be true or false, not "yes"`,
		`b: "true"`:                              `f.yaml:1:4: b: must be true or false, not "true"; leave the quotes out`,
		"i: 1.5":                                 `f.yaml:1:4: i: must be a whole number, not "1.5"`,
		`i: "7"`:                                 `f.yaml:1:4: i: must be a whole number, not "7"; leave the quotes out`,
		"i8: 128":                                `f.yaml:1:5: i8: must be a whole number, not "128"`,
		"u: -1":                                  `f.yaml:1:4: u: must be a whole number, not "-1"`,
		"f: .nan":                                `f.yaml:1:4: f: must be a number, not ".nan"`,
		"d: 3":                                   `f.yaml:1:4: d: must be a duration such as 3s, 500ms or 1h30m, not "3"`,
		"d: -3s":                                 "f.yaml:1:4: d: must not be negative",
		"d: [1s]":                                "f.yaml:1:4: d: must be a duration such as 3s, 500ms or 1h30m, not a list",
		"p: 10.0.0.1":                            `f.yaml:1:4: p: must be a network such as 10.0.0.0/8 or fd00::/8, not "10.0.0.1"`,
		"p: [x]":                                 "f.yaml:1:4: p: must be a text, not a list",
		"l: x":                                   "f.yaml:1:4: l: must be a list, not a single value",
		"l: [a, ~]":                              "f.yaml:1:8: l[1]: is empty",
		"m: [a]":                                 "f.yaml:1:4: m: must be a mapping, not a list",
		"m: {a: b}":                              `f.yaml:1:8: m.a: must be a whole number, not "b"`,
		"in: x":                                  "f.yaml:1:5: in: must be a mapping with the keys a, t, not a single value",
		"in: {a: bad}":                           "f.yaml:1:5: in: cannot be\nf.yaml:1:6: in.a: is bad",
		"ins: [{}, {a: bad, t: 1}]":              "f.yaml:1:12: ins[1].a: is bad\nf.yaml:1:23: ins[1].t: must be a duration such as 3s, 500ms or 1h30m, not \"1\"",
		"uns: [7]":                               "f.yaml:1:7: uns[0]: must be a text or a mapping",
		"uns: [{z: 1}]":                          "f.yaml:1:8: uns[0].z: is not x",
		`uns: [{x: "${NOPE}"}]`:                  "f.yaml:1:11: uns[0].x: variable NOPE is not set; write ${NOPE:-...} to give a default, or $${ for a literal ${",
		"short: no":                              "f.yaml:1:8: short: no is no",
		"short: {exat: no}":                      `f.yaml:1:9: short.exat: unknown key "exat"; did you mean "exact"?`,
		"short: [no]":                            "f.yaml:1:8: short: must be a mapping with the keys exact, n, not a list",
		"s: a\ns: b\ns: c":                       "f.yaml:2:1: key \"s\" is already set in line 1\nf.yaml:3:1: key \"s\" is already set in line 1",
		"- a":                                    "f.yaml:1:1: must be a mapping, not a list",
		"7":                                      "f.yaml:1:1: must be a mapping, not a single value",
		"s: &a [*a]":                             "f.yaml:1:7: s: must be a text, not a list",
		"any: &a [*a]":                           "f.yaml:1:10: any[0]: alias *a stands inside its own anchor",
		"any: *a":                                "f.yaml:1:6: any: alias *a: no anchor of this name stands before it",
		"s: !foo x":                              "f.yaml:1:4: s: tag !foo is not supported",
		"m: {<<: 7}":                             "f.yaml:1:9: m: << must be followed by an alias of a mapping, or a list of them",
		"? [a]\n: b":                             "cannot be read as YAML: ",
		"s: a\rb: b":                             "f.yaml:1:5: must be UTF-8 text",
		"any: &a x\n*a : b":                      "f.yaml:2:1: a key must be a plain text",
		"s: a\n---\ns: b":                        "f.yaml:2:1: a second document begins here; one file holds one document",
		"%YAML 1.2\n---\ns: a":                   "f.yaml:1:1: directives are not supported",
		"s: \"x":                                 "f.yaml:1:4: cannot be read as YAML: ",
		"s: [":                                   "cannot be read as YAML: ",
		"a: b: c":                                "cannot be read as YAML: ",
		"s: a\n\ti: 1":                           "cannot be read as YAML: ",
		"s: \"\xff\"":                            "f.yaml:1:5: must be UTF-8 text",
		"s: a\nb: \x00":                          "f.yaml:2:4: must be UTF-8 text",
		"i: ${SECRET}":                           `f.yaml:1:4: i: must be a whole number, not "${SECRET}"`,
		"d: ${SECRET}s":                          `f.yaml:1:4: d: must be a duration such as 3s, 500ms or 1h30m, not "${SECRET}s"`,
		strings.Repeat("[", 500_000):             "f.yaml:1:65: is nested more than 64 deep",
		"any: " + strings.Repeat("{a: ", 100000): "is nested more than 64 deep",
		strings.Repeat("- ", 100000) + "x":       "is nested more than 64 deep",
		strings.Repeat("? ", 100000) + "x":       "is nested more than 64 deep",
		"s: " + strings.Repeat("!a ", 100000):    "is nested more than 64 deep",
		"s: " + strings.Repeat("&a ", 100000):    "is nested more than 64 deep",
		strings.Repeat("#\n", maxBytes/2+1):      "f.yaml: is larger than 16 MB",
	} {
		var v all
		got := decode(t, text, &v)
		if len(text) > 40 {
			text = text[:40]
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%q:\n%v\nwant:\n%s", text, got, want)
		}
	}
}

func TestHooks(t *testing.T) {
	var got struct {
		L []union `yaml:"l"`
	}
	d := Decoder{Hooks: map[reflect.Type]Hook{reflect.TypeFor[union](): func(d *Decoder, n *Node, at *Path, v reflect.Value) {
		v.Field(0).SetString(at.String())
		d.Fault(n, at, "seen")
	}}}
	root, problems := Read("f.yaml", []byte("l: [a, b]"), env)
	if problems != nil {
		t.Fatal(problems)
	}
	d.Decode(root, nil, &got)
	if p := d.Problems(); len(p) != 2 || p[1].Error() != "f.yaml:1:8: l[1]: seen" || got.L[1].Text != "l[1]" {
		t.Error(p, got)
	}
}

func TestWithout(t *testing.T) {
	root, _ := Read("f.yaml", []byte("a: 1\nb: 2\nc: 3"), env)
	if got := root.Without("a", "c").Value(); !cmp.Equal(got, map[string]any{"b": int64(2)}) || len(root.Fields) != 3 {
		t.Error(got)
	}
}
