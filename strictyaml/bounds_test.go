package strictyaml

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDepthIsCountedAlike: each way of nesting may go as deep as any other, and one more is refused, never a crash.
func TestDepthIsCountedAlike(t *testing.T) {
	blocks := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + "k:\n")
		}
		return b.String() + strings.Repeat(" ", n) + "k: v\n"
	}
	for name, nest := range map[string]func(n int) string{
		"flow lists":     func(n int) string { return "a: " + strings.Repeat("[", n-1) + "x" + strings.Repeat("]", n-1) },
		"flow mappings":  func(n int) string { return strings.Repeat("{a: ", n) + "x" + strings.Repeat("}", n) },
		"block lists":    func(n int) string { return strings.Repeat("- ", n) + "x" },
		"block mappings": func(n int) string { return blocks(n - 1) },
	} {
		for n, ok := range map[int]bool{1: true, maxDepth / 2: true, maxDepth/2 + 1: true, maxDepth: true, maxDepth + 1: false} {
			root, problems := Read("f", []byte(nest(n)), env)
			if (problems == nil) != ok {
				t.Errorf("%s, %d deep: %v", name, n, problems)
				continue
			}
			deep := 0
			for at := root; at != nil && (at.Kind == List || at.Kind == Mapping); deep++ {
				if at.Kind == List {
					at = at.Items[0]
				} else {
					at = at.Fields[0].Value
				}
			}
			if ok && deep != n {
				t.Errorf("%s, %d deep: read %d", name, n, deep)
			}
		}
	}
}

// TestWhatIsTooLargeForThePlainWay is read by the library with the same meaning.
func TestWhatIsTooLargeForThePlainWay(t *testing.T) {
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "key%d: {a: %d}\n", i, i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text string
		plain      bool
	}{
		{"the longest line", "a: " + strings.Repeat("x", maxLine-3), true},
		{"a longer line", "a: " + strings.Repeat("x", maxLine-2), false},
		{"a longer comment", "a: b\n#" + strings.Repeat("x", maxLine), false},
		{"many keys", keys(65), true},
		{"too many keys", keys(66), false},
	} {
		if got := compare(t, c.text); got != c.plain {
			t.Errorf("%s: read without the library: %v", c.name, got)
		}
		root, problems := Read("f", []byte(c.text), env)
		if problems != nil || len(root.Fields) != strings.Count(c.text, "\n")+1 && !strings.Contains(c.text, "#") && !strings.HasPrefix(c.text, "key") {
			t.Errorf("%s: %v", c.name, problems)
		}
	}
	root, problems := Read("f", []byte(keys(500)), env)
	if problems != nil || len(root.Fields) != 500 || root.Field("key499").Value.Field("a").Value.Text != "499" {
		t.Errorf("%v", problems)
	}
}

func TestSizeIsBoundedExactly(t *testing.T) {
	text := []byte("a: b\n" + strings.Repeat("#\n", (maxBytes-6)/2) + "\n")
	if len(text) != maxBytes {
		t.Fatalf("%d bytes", len(text))
	}
	if root, problems := Read("f", text, env); problems != nil || root.Field("a").Value.Text != "b" {
		t.Error(problems)
	}
	if _, problems := Read("f", append(text, '\n'), env); problems == nil {
		t.Error("one byte more is read")
	}
}

// TestAliasBudget: what aliases add is counted over the whole document, at the value that goes over it.
func TestAliasBudget(t *testing.T) {
	document := func(aliases int) string {
		return "base: &b [" + strings.Repeat("x,", 998) + "x]\nall:\n" + strings.Repeat("- *b\n", aliases) // 1,000 values each
	}
	var v map[string]any
	if p := decode(t, document(maxAliased/1000), &v); p != nil {
		t.Errorf("just within: %v", p)
	}
	p := decode(t, document(maxAliased/1000+1), &v)
	if len(p) != 1 || p[0].Path != fmt.Sprintf("all[%d]", maxAliased/1000) || p[0].Pos.Line != maxAliased/1000+3 {
		t.Errorf("one more: %v", p)
	}
}

// TestTreesAreShared: what Read gives may be decoded by many at once, also where aliases lead twice to one node. The race
// detector looks on.
func TestTreesAreShared(t *testing.T) {
	root, problems := Read("f", []byte("any: {x: &a [1, \"${N}\", {k: v}], y: *a}\nins: [{a: b}, {t: 2s}]\nuns: [x]\nptr: {}\n"), env)
	if problems != nil {
		t.Fatal(problems)
	}
	results := make(chan all)
	for range 8 {
		go func() {
			var v all
			var d Decoder
			Defaults(&v)
			d.Decode(root, nil, &v)
			results <- v
		}()
	}
	first := <-results
	for range 7 {
		if d := cmp.Diff(first, <-results, cmp.AllowUnexported(all{}), cmp.Comparer(func(a, b base) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Error(d)
		}
	}
	if root.Field("any").Value.Field("x").Value != root.Field("any").Value.Field("y").Value {
		t.Error("an alias is a copy")
	}
}

// TestSecretsAreNotShown: no message may hold what a variable holds, whatever type was wanted.
func TestSecretsAreNotShown(t *testing.T) {
	for _, key := range []string{"b", "i", "i8", "u", "u64", "f", "d", "p", "l", "m", "in", "ptr", "ins", "inMap", "short"} {
		for _, text := range []string{key + ": ${SECRET}", key + ": \"x ${SECRET}\"", key + ": |\n  ${SECRET}\n"} {
			var v all
			problems := decode(t, text, &v)
			if problems == nil && key != "short" {
				t.Errorf("%s: no problem", text)
			}
			if strings.Contains(fmt.Sprint(problems), "hunter2") {
				t.Errorf("%s: %v", text, problems)
			}
		}
	}
	var refusing struct {
		V loud `yaml:"v"`
	}
	if p := decode(t, "v: x${SECRET}", &refusing); len(p) != 1 || p[0].Message != "x${SECRET} is loud" {
		t.Errorf("%v", p)
	}
}

// loud repeats what it refuses.
type loud struct{}

func (*loud) UnmarshalText(b []byte) error { return fmt.Errorf("%s is loud", b) }
