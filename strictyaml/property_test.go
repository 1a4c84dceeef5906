package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSlips changes a few characters of documents that people would write. Whatever comes out, valid or not: the plain way
// reads it as the library does, or leaves it.
func TestSlips(t *testing.T) {
	const letters = " \n:#-[]{},'\"&*!|>%@`?~<\\aü7."
	alphabet := []rune(letters)
	rounds := uint64(4000)
	if testing.Short() {
		rounds = 300
	}
	for seed := range rounds {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 2))}
		g.mapping(0, 2)
		text := []rune(g.String())
		for range 1 + g.IntN(3) {
			at := g.IntN(len(text))
			switch g.IntN(4) {
			case 0:
				text = append(text[:at], text[at+1:]...)
			case 1:
				text[at] = alphabet[g.IntN(len(alphabet))]
			case 2:
				text = append(text[:at], append([]rune{alphabet[g.IntN(len(alphabet))]}, text[at:]...)...)
			default: // a piece again, elsewhere
				piece := text[at:min(len(text), at+1+g.IntN(8))]
				to := g.IntN(len(text))
				text = append(text[:to:to], append(append([]rune{}, piece...), text[to:]...)...)
			}
			if len(text) == 0 {
				break
			}
		}
		compare(t, string(text))
	}
}

// TestFragments puts pieces together that only nearly are documents: addresses in flow collections, colons and commas with
// and without a space, brackets that close nothing. About one in seven is read without the library.
func TestFragments(t *testing.T) {
	pieces := []string{
		"a", "ü", "1", "-", "~", "null", "1.5", ".", "/", "x:y", "127.0.0.1:8848", "http://x", ":", ": ", ",", ", ", " ", "?", "<",
		"[", "]", "{", "}", `"q"`, "'s'", "''", `""`, "\n", "\n  ", "- ", "# ", "true:", `"k": `, "a: ", "b: ", "c: ",
	}
	frames := [][2]string{
		{"{a: [", "]}"}, {"a: [", "]"}, {"a: {b: ", "}"}, {"- [", "]"}, {"- {a: ", "}"}, {"[", "]"}, {"{a: ", "}"},
		{"a:\n  - ", ""}, {"a:\n  b: ", ""}, {"a: ", ""}, {"- ", ""}, {"", ""},
	}
	r := rand.New(rand.NewPCG(1, 6))
	const rounds = 20_000
	taken := 0
	for range rounds {
		frame := frames[r.IntN(len(frames))]
		text := frame[0]
		for range 1 + r.IntN(9) {
			text += pieces[r.IntN(len(pieces))]
		}
		if compare(t, text+frame[1]) {
			taken++
		}
	}
	if taken < rounds/10 {
		t.Errorf("only %d of %d were read without the library", taken, rounds)
	}
}

// jsonValue is any value that JSON can hold, with texts that look like other things.
func jsonValue(r *rand.Rand, depth int) any {
	switch k := r.IntN(9); {
	case depth > 0 && k == 0:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = jsonValue(r, depth-1)
		}
		return list
	case depth > 0 && k < 3:
		mapping := map[string]any{}
		for i := range r.IntN(4) {
			mapping[fmt.Sprintf("%s%d", []string{"k", "true", "a b", "ü", "-", "#", "a: ", "[", "'"}[r.IntN(9)], i)] = jsonValue(r, depth-1)
		}
		return mapping
	case k < 5:
		return []any{"", "text", "null", "true", "7", "1.5", "0x10", "a: b", "# no", "- x", "[", "it's", `"q"`, `\`, "l1\nl2", "tab\t", "ü€😀", "<<", "&a", "*a", "!!str", "~", " x "}[r.IntN(23)]
	case k == 5:
		return r.Int64() - r.Int64()
	case k == 6:
		return math.Round(r.NormFloat64()*1e6) / 1e3
	}
	return []any{nil, true, false}[r.IntN(3)]
}

// TestJSONIsYAML: what encoding/json writes means the same here as there.
func TestJSONIsYAML(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if seed%2 == 1 {
			enc.SetIndent("", "  ")
		}
		if err := enc.Encode(map[string]any{"v": jsonValue(r, 4)}); err != nil {
			t.Fatal(err)
		}
		root, problems := Read("f", text.Bytes(), env)
		if problems != nil {
			t.Fatalf("%s: %v", &text, problems)
		}
		again, err := json.Marshal(root.Value())
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := errors.Join(json.Unmarshal(text.Bytes(), &want), json.Unmarshal(again, &got)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s: %s", &text, d)
		}
	}
}

// TestNumbersRoundTrip: whatever strconv writes is read as the same number.
func TestNumbersRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	for range 5000 {
		n := int64(r.Uint64()) >> r.IntN(64)
		for _, text := range []string{strconv.FormatInt(n, 10), "0x" + strconv.FormatUint(uint64(max(n, 0)), 16), "0o" + strconv.FormatUint(uint64(max(n, 0)), 8)} {
			want := n
			if strings.HasPrefix(text, "0") {
				want = max(n, 0)
			}
			if got := resolve(text); got != want {
				t.Fatalf("%s: %v (%T)", text, got, got)
			}
		}
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		for _, format := range []byte{'e', 'g'} {
			text := strconv.FormatFloat(f, format, -1, 64)
			switch got := resolve(text).(type) {
			case float64:
				if got != f {
					t.Fatalf("%s: %v", text, got)
				}
			case int64:
				if float64(got) != f {
					t.Fatalf("%s: %v", text, got)
				}
			default:
				t.Fatalf("%s: %v (%T)", text, got, got)
			}
		}
	}
}

// TestOneSignIsEnough: a sign inside a number of another base, or two of them, makes a text.
func TestOneSignIsEnough(t *testing.T) {
	for _, text := range []string{"0x-5", "0x+5", "0o-7", "0o+7", "--5", "+-5", "-0x5", "+0o7", "- 5", "5-", "1e", "1e+", "+", "-", "+.", "0x_1"} {
		if got := resolve(text); got != text {
			t.Errorf("%s: %v (%T)", text, got, got)
		}
	}
	for text, want := range map[string]any{"+5": int64(5), "-5": int64(-5), "+0": int64(0), "+1.5": 1.5, "-.5": -0.5} {
		if got := resolve(text); got != want {
			t.Errorf("%s: %v (%T)", text, got, got)
		}
	}
}

// TestDistanceIsAMetric but for the triangle, which optimal string alignment does not keep.
func TestDistanceIsAMetric(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	word := func() string {
		b := make([]byte, r.IntN(9))
		for i := range b {
			b[i] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	for range 3000 {
		a, b := word(), word()
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) || d < max(len(a), len(b))-min(len(a), len(b)) {
			t.Fatalf("%q, %q: %d and %d", a, b, d, distance(b, a))
		}
		if own := Nearest(a, []string{b, a, a + "x"}); a != "" && own != a {
			t.Fatalf("%q itself is there, but %q is nearer", a, own)
		}
	}
}

func TestUnknownNamesWhatIsThere(t *testing.T) {
	words := make([]string, 17)
	for i := range words {
		words[i] = fmt.Sprintf("word%c", 'q'-i)
	}
	for want, got := range map[string]string{
		`unknown kind "x"; there is none`:                     Unknown("kind", "x", nil),
		`unknown kind "zzz"; known: worda, wordb`:             Unknown("kind", "zzz", []string{"wordb", "worda"}),
		`unknown kind "WORD-A"; did you mean "worda"?`:        Unknown("kind", "WORD-A", words),
		`unknown kind "zzz"`:                                  Unknown("kind", "zzz", words),
		`unknown kind "a\nb"; there is none`:                  Unknown("kind", "a\nb", nil),
		`unknown kind ""; known: ` + words[16] + ", wordb":    Unknown("kind", "", []string{"wordb", "worda"}),
		`unknown kind "` + strings.Repeat("z", 60) + `..."`:   Unknown("kind", strings.Repeat("z", 61), words),
		`unknown kind "ab"; did you mean "ba"?`:               Unknown("kind", "ab", []string{"ba", "cd"}),
		`unknown kind "a"; known: b`:                          Unknown("kind", "a", []string{"b"}),
		`unknown kind "time out"; did you mean "timeout"?`:    Unknown("kind", "time out", []string{"timeout", "timeouts"}),
		`unknown kind "` + strings.Repeat("é", 30) + `..."`:   Unknown("kind", strings.Repeat("é", 31), words),
		`unknown kind "y` + strings.Repeat("é", 29) + `..."`:  Unknown("kind", "y"+strings.Repeat("é", 31), words),
		`unknown kind "service"; did you mean "services"?`:    Unknown("kind", "service", []string{"services", "servers"}),
		`unknown kind "strip_prefix"; known: rewrite, target`: Unknown("kind", "strip_prefix", []string{"target", "rewrite"}),
	} {
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}
