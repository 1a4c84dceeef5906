package types

import (
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestRealDefinitions reads what Dubbo 3.3.6 and 2.7.23 made of one and the same interface. The documents differ in shape;
// the types must not.
func TestRealDefinitions(t *testing.T) {
	var both [2]*Definition
	for i, version := range []string{"3.3.6", "2.7.23"} {
		doc, err := os.ReadFile("testdata/definition-" + version + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if both[i], err = ParseDefinition(doc); err != nil {
			t.Fatal(version, err)
		}
	}
	names := both[0].Names()
	if len(names) < 40 || !slices.Equal(names, both[1].Names()) {
		t.Fatalf("methods differ: %v and %v", names, both[1].Names())
	}
	for _, name := range names {
		a, b := both[0].Methods(name), both[1].Methods(name)
		if len(a) != 1 || len(b) != 1 || a[0].String() != b[0].String() {
			t.Errorf("%v and %v", a, b)
			continue
		}
		for i := range a[0].Params {
			same(t, name, a[0].Params[i], b[0].Params[i], map[*Type]bool{})
		}
		same(t, name, a[0].Return, b[0].Return, map[*Type]bool{})
	}
	for method, kinds := range map[string]kind{
		"inner": beanKind, "inners": listKind, "page": beanKind, "users": listKind, "user": beanKind, "dateMap": mapKind, "set": listKind,
		"zoned": temporalKind, "uuid": uuidKind, "ts": sqlDateKind, "bytes": binaryKind, "entry": opaqueKind, "obj": opaqueKind,
	} {
		if got := both[0].Methods(method)[0].Params[0].kind; got != kinds {
			t.Errorf("%s: kind %d, want %d", method, got, kinds)
		}
	}
	if got := both[1].Methods("inner")[0].String(); got != "inner(lab.Outer$Inner)" {
		t.Errorf("nested class %s", got)
	}
	if both[0].Methods("inner")[0].RawReturn {
		t.Error("a String needs no raw return")
	}
}

// same compares two types and what they lead to.
func same(t *testing.T, path string, a, b *Type, seen map[*Type]bool) {
	t.Helper()
	if a == nil || b == nil {
		if a != b {
			t.Errorf("%s: %v and %v", path, a, b)
		}
		return
	}
	if seen[a] {
		return
	}
	seen[a] = true
	if a.kind != b.kind || a.erased != b.erased || a.prim != b.prim || len(a.props) != len(b.props) || len(a.enums) != len(b.enums) {
		t.Errorf("%s: %s (%d, %d properties) and %s (%d, %d properties)", path, a.name, a.kind, len(a.props), b.name, b.kind, len(b.props))
		return
	}
	for name, p := range a.props {
		if b.props[name] == nil {
			t.Errorf("%s: only one has %s", path, name)
			continue
		}
		same(t, path+"."+name, p.typ, b.props[name].typ, seen)
	}
	same(t, path+"[]", a.elem, b.elem, seen)
	same(t, path+" key", a.key, b.key, seen)
}

func TestRawReturn(t *testing.T) {
	d := parse(t, `{"methods":[
		{"name":"a","parameterTypes":[],"returnType":"java.util.List<lab.Event>"},
		{"name":"b","parameterTypes":[],"returnType":"lab.Plain"},
		{"name":"c","parameterTypes":[],"returnType":"java.util.Map<java.util.Locale,int>"},
		{"name":"d","parameterTypes":["java.util.List<int>"],"returnType":"java.time.ZonedDateTime"}],
		"types":[{"type":"lab.Event","properties":{"next":"lab.Event","plain":"lab.Plain","at":"java.time.OffsetDateTime"}},
		{"type":"lab.Plain","properties":{"next":"lab.Plain","at":"java.time.Instant","took":"java.time.Duration"}}]}`)
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if got := d.Methods(name)[0].RawReturn; got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if m, err := d.Signature("d", []string{"java.util.List<int>"}); err != nil || !m.RawReturn {
		t.Errorf("stated: %v, %v", m, err)
	}
}

// TestRealArguments writes arguments that real Java providers took, byte for byte.
func TestRealArguments(t *testing.T) {
	doc, err := os.ReadFile("testdata/definition-3.3.6.json")
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, string(doc))
	file, err := os.ReadFile("testdata/arguments.tsv")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		count++
		parts := strings.Split(line, "\t")
		got, err := encode(t, typ(t, d, parts[0]), parts[1], nil)
		if hex.EncodeToString(got) != parts[2] || err != nil {
			t.Errorf("%s %s: got %x, %v; want %s", parts[0], parts[1], got, err, parts[2])
		}
	}
	if count < 35 {
		t.Errorf("only %d arguments", count)
	}
}
