package strictyaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// outer sets what its inner structs leave open, after they set their own.
type outer struct {
	First  inner            `yaml:"first"`
	Second inner            `yaml:"second"`
	List   []inner          `yaml:"list"`
	Map    map[string]inner `yaml:"map"`
	Ptr    *inner           `yaml:"ptr"`
	Ptrs   []*inner         `yaml:"ptrs"`
}

func (o *outer) SetDefaults() { o.Second.T = time.Hour }

func TestDefaultsGoFromInsideOut(t *testing.T) {
	var v outer
	Defaults(&v)
	if v.First.T != time.Second || v.Second.T != time.Hour || v.Ptr != nil || v.List != nil {
		t.Errorf("%+v", v)
	}
	if p := decode(t, "second: {a: x}\nlist: [{}]\nmap: {k: {a: y}}\nptr: {}\nptrs: [{t: 2s}, {}]", &v); p != nil {
		t.Fatal(p)
	}
	for name, got := range map[string]time.Duration{
		"second": v.Second.T - time.Hour + time.Second, "list": v.List[0].T, "map": v.Map["k"].T, "ptr": v.Ptr.T,
		"ptrs0": v.Ptrs[0].T - time.Second, "ptrs1": v.Ptrs[1].T,
	} {
		if got != time.Second {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// ranged complains of whatever it is told to.
type ranged struct {
	Low  int    `yaml:"low"`
	High int    `yaml:"high"`
	Sub  sub    `yaml:"sub"`
	Says string `yaml:"says"`
}

type sub struct {
	Items []string          `yaml:"items"`
	Names map[string]string `yaml:"names"`
}

func (r *ranged) Validate() error {
	var errs []error
	if r.Low > r.High {
		errs = append(errs, errors.New("low: must not be above high"), errors.New("is upside down"))
	}
	for _, s := range strings.Split(r.Says, ";") {
		if s != "" {
			errs = append(errs, fmt.Errorf("%s", s))
		}
	}
	return errors.Join(errs...)
}

func TestComplaintsFindTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"low: 2\nhigh: 1":                                      "f.yaml:1:1: is upside down\nf.yaml:1:1: low: must not be above high",
		"low: two\nhigh: 1":                                    `f.yaml:1:6: low: must be a whole number, not "two"`,
		"hihg: 1\nlow: 1":                                      `f.yaml:1:1: hihg: unknown key "hihg"; did you mean "high"?` + "\nf.yaml:2:1: low: must not be above high",
		"says: 'high: is missing'":                             "f.yaml:1:1: high: is missing",
		"sub: {items: [a, b]}\nsays: 'sub.items[1]: no'":       "f.yaml:1:18: sub.items[1]: no",
		"sub: {items: [a, b]}\nsays: 'sub.items[7]: no'":       "f.yaml:1:7: sub.items[7]: no",
		"sub: {names: {a.b: c}}\nsays: 'sub.names.a.b: no'":    "f.yaml:1:15: sub.names.a.b: no",
		"sub: {names: {a: c}}\nsays: 'sub: names: a: no'":      "f.yaml:1:15: sub.names.a: no",
		"says: 'Something: else'":                              "f.yaml:1:1: Something: else",
		"says: 'one thing: another'":                           "f.yaml:1:1: one thing: another",
		"says: 'low: a;low: b'\nlow: 0":                        "f.yaml:2:1: low: a", // one message for a key is enough
		"sub: [x]\nsays: 'sub.items: is missing'":              "f.yaml:1:6: sub: must be a mapping with the keys items, names, not a list",
		"sub: {itmes: []}\nsays: 'sub.items[0].x: is missing'": `f.yaml:1:7: sub.itmes: unknown key "itmes"; did you mean "items"?`,
	} {
		var v ranged
		if got := decode(t, text, &v); got == nil || got.Error() != want {
			t.Errorf("%q:\n%v\nwant\n%s", text, got, want)
		}
	}
}

// wrapped has a text form beside its keys, and checks both.
type wrapped struct {
	V string `yaml:"v"`
}

func (w *wrapped) UnmarshalText(b []byte) error { w.V = string(b); return nil }

func (w *wrapped) Validate() error {
	if w.V == "" {
		return errors.New("v: is missing")
	}
	return nil
}

func TestTextFormIsValidated(t *testing.T) {
	for text, want := range map[string]string{
		"- a\n- {v: b}": "",
		"- ''":          "f.yaml:1:3: [0].v: is missing",
		"- {}":          "f.yaml:1:3: [0].v: is missing",
		"- {vv: b}":     `f.yaml:1:4: [0].vv: unknown key "vv"; did you mean "v"?`,
	} {
		var v []wrapped
		got := decode(t, text, &v)
		if (want == "") != (got == nil) || got != nil && got.Error() != want {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
	}
}

// TestProgrammersMistakes: types that cannot be read are found by their author's first test.
func TestProgrammersMistakes(t *testing.T) {
	for name, into := range map[string]any{
		"s": &struct {
			S chan int `yaml:"s"`
		}{},
		"m": &struct {
			M map[int]string `yaml:"m"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			root, _ := Read("f", []byte("s: a\nm: {}\n"), env)
			var d Decoder
			d.Decode(root, nil, into)
		}()
	}
}

func TestProblemsAreSortedAndOnce(t *testing.T) {
	p := func(line, column int, path string) Problem { return Problem{Position{"f", line, column}, path, "x"} }
	got := Problems{p(2, 1, "b"), p(1, 2, "a"), p(2, 1, "b"), p(1, 1, "c"), p(2, 1, "a")}.Sort()
	if want := "f:1:1: c: x\nf:1:2: a: x\nf:2:1: a: x\nf:2:1: b: x"; got.Error() != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestPositionString(t *testing.T) {
	for want, p := range map[string]Position{"f:1:2": {"f", 1, 2}, "1:2": {"", 1, 2}, "f": {File: "f"}, "": {}} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
