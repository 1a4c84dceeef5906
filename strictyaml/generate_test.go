package strictyaml

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// generator writes random documents as people do, and knows what they mean.
type generator struct {
	*rand.Rand
	strings.Builder
	keys int
}

// scalar writes a value that fits on the line, and gives what it is.
func (g *generator) scalar() any {
	if g.IntN(12) == 0 {
		text := g.pick(`it's`, `say "x"`, `back\slash`, `# no comment`, `a: b`, ` spaces `, `[x]`, ``)
		if g.IntN(2) == 0 {
			g.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`)
		} else {
			g.WriteString(`'` + strings.ReplaceAll(text, `'`, `''`) + `'`)
		}
		return text
	}
	values := []any{"text", "two words", "h:80", "http://x/y", int64(7), int64(-3), 1.5, true, false, nil, "10MB", "3s", "ü", "a-b_c", "*x", "&y", "-z", "x.y", "/a/b"}
	switch v := values[g.IntN(len(values))].(type) {
	case nil:
		g.WriteString(g.pick("null", "~"))
		return nil
	case string:
		if strings.ContainsAny(v[:1], "*&") {
			g.WriteString("'" + v + "'")
		} else {
			g.WriteString(v)
		}
		return v
	default:
		fmt.Fprint(g, v)
		return v
	}
}

func (g *generator) pick(words ...string) string { return words[g.IntN(len(words))] }

// key is new in the whole document.
func (g *generator) key() string {
	g.keys++
	key := fmt.Sprintf("%s%d", g.pick("key", "a b", "x.y", "ö", "K-"), g.keys)
	g.WriteString(g.pick(key, key, key, "'"+key+"'", `"`+key+`"`))
	g.WriteString(":")
	return key
}

func (g *generator) flow(depth int) any {
	if depth == 0 || g.IntN(2) == 0 {
		return g.scalar()
	}
	n := g.IntN(4)
	if g.IntN(2) == 0 {
		list := make([]any, n)
		g.WriteString("[" + g.pick("", " "))
		for i := range list {
			if i > 0 {
				g.WriteString(g.pick(",", ", "))
			}
			list[i] = g.flow(depth - 1)
		}
		g.WriteString(g.pick("", " ") + "]")
		return list
	}
	mapping := map[string]any{}
	g.WriteString("{")
	for i := range n {
		if i > 0 {
			g.WriteString(", ")
		}
		key := g.key()
		g.WriteString(" ")
		mapping[key] = g.flow(depth - 1)
	}
	g.WriteString("}")
	return mapping
}

// end ends a line, with whatever may stand there.
func (g *generator) end() {
	g.WriteString(g.pick("\n", "\n", "\n", "   # note: [x\n", "\n\n", "\n  # {a comment\n"))
}

// mapping writes a block mapping whose first key stands where the document is; the others are indented.
func (g *generator) mapping(indent, depth int) any {
	out := map[string]any{}
	for i := range 1 + g.IntN(4) {
		if i > 0 {
			g.WriteString(strings.Repeat(" ", indent))
		}
		key := g.key()
		out[key] = g.value(indent, depth)
	}
	return out
}

// value writes what stands behind a key: on the line, below it, or nothing.
func (g *generator) value(indent, depth int) any {
	switch k := g.IntN(5); {
	case k == 0:
		g.end()
		return nil
	case k < 3 || depth == 0:
		g.WriteString(" ")
		v := g.flow(2)
		g.end()
		return v
	case k == 3:
		g.end()
		deeper := indent + 1 + g.IntN(4)
		g.WriteString(strings.Repeat(" ", deeper))
		return g.mapping(deeper, depth-1)
	}
	g.end()
	return g.list(indent+g.IntN(3), depth-1)
}

func (g *generator) list(indent, depth int) any {
	var out []any
	for range 1 + g.IntN(3) {
		g.WriteString(strings.Repeat(" ", indent) + "- ")
		if depth > 0 && g.IntN(2) == 0 {
			out = append(out, g.mapping(indent+2, depth-1))
			continue
		}
		out = append(out, g.flow(2))
		g.end()
	}
	return out
}

// TestGenerated reads random documents both ways; both must give what was meant.
func TestGenerated(t *testing.T) {
	taken := 0
	const rounds = 200
	for seed := range uint64(rounds) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
		want := g.mapping(0, 4)
		text := g.String()
		if compare(t, text) {
			taken++
		}
		root, problems := Read("f", []byte(text), env)
		if problems != nil {
			t.Fatalf("%s\n%v", text, problems)
		}
		if d := cmp.Diff(want, root.Value()); d != "" {
			t.Fatalf("seed %d:\n%s\n%s", seed, text, d)
		}
	}
	if taken < rounds*9/10 {
		t.Errorf("only %d of %d documents were read without the library", taken, rounds)
	}
}
