package strictyaml

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// plainDocuments are read without the library.
var plainDocuments = []string{
	"a: b\n",
	"a: b",
	"a:\n  b: c\n  d:\n  - e\n  - f: g\n    h: i\nj:\n",
	"- a\n- b: c\n  d: e\n-\n  f: g\n- - h\n  - i\n",
	"# x\na: b # y\n\n# z\nc: d#e\nf: http://x:80/#g\n",
	"a: {b: c, d: [e, \"f\", 'g'], h: {}, i: []}\n",
	"\"a b\": 'it''s'\n'c': \"d \\\\d \\\"e\\\"\"\n",
	"a: -1\nb: - 1x\n",
	"ü: {é: ß, x: [ä, \"ö\"]}\nk: vü # ß\n",
	"a: ${N}\nb: \"${N}\"\nc: ${NOPE}\nd: ${NOPE:-~}\n",
	"a: null\nb: ~\nc: true\nd: 1.0\ne: 0x10\nf: 2024-01-01\n",
	"a: b c  d\ne:    f   \ng:   # nothing\nh: i\n",
	"1: a\ntrue: b\nnull: c\n",
}

// laterDocuments are left to the library, valid or not.
var laterDocuments = []string{
	"", "a", "# x\n", "  a: b", "a: &x b\nc: *x", "a: |\n  b", "a: >-\n  b", "a: b\n  c", "a: 'b\n  c'", "a: \"\\u00e9\"", "a: !!str b", "? a\n: b",
	"---\na: b", "a: b\n...", "%YAML 1.2\n", "a: {b: c,\n  d: e}", "a: [b, ]", "a: {b}", "a: [b: c]", "a: {\"b\":c}", "- \n- a", "a: b: c", "a: b\na: c",
	"a: {<<: b}", "a: b\n\tc: d", "a: b\r\n", "a:\n    b: c\n  d: e", "- a\nb: c", "a: [b", "a: {b: }", "a: 'b' c", "a: @b", "a: `b", "<<: a",
}

func TestPlainIsAsTheLibrary(t *testing.T) {
	for _, text := range plainDocuments {
		if !compare(t, text) && text != "a: -1\nb: - 1x\n" {
			t.Errorf("%q is left to the library", text)
		}
	}
	for _, text := range laterDocuments {
		if compare(t, text) {
			t.Errorf("%q is not left to the library", text)
		}
	}
	for _, file := range []string{"../config/testdata/spine.yaml", "../config/testdata/targets.bad.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !compare(t, string(data)) {
			t.Errorf("%s is left to the library", file)
		}
	}
}

var spacesAtEnd = regexp.MustCompile(`(?m) +(#.*)?$`)

// compare reads a document both ways, and reports whether the plain way took it.
func compare(t *testing.T, text string) bool {
	t.Helper()
	got := readPlain("f", []byte(text), env)
	if got == nil {
		return false
	}
	want, problems := readAny("f", []byte(text), env)
	if problems != nil {
		t.Fatalf("%q: the library says %v", text, problems)
	}
	positions := cmp.Options{}
	if spacesAtEnd.MatchString(text) { // the library counts them into the column of what stands before
		positions = append(positions, cmpopts.IgnoreFields(Position{}, "Column"))
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Node{}, badness{}), positions); d != "" {
		t.Fatalf("%q: %s", text, d)
	}
	return true
}

// FuzzPlain holds the plain way beside the library.
func FuzzPlain(f *testing.F) {
	for _, s := range append(plainDocuments, laterDocuments...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if line, _ := badByte([]byte(text)); line == 0 {
			compare(t, text)
		}
	})
}
