package types

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// model makes up beans with random properties, and values for them: the JSON to send, and the JSON that reading back what
// was written must give.
type model struct {
	*rand.Rand
	beans []modelBean
}

type modelBean struct {
	name  string
	props []modelProp
}

type modelProp struct{ name, typ string }

// scalars have JSON that is the same on the way back, or another one after the bar.
var scalars = map[string][]string{
	"int":                     {`0`, `-1`, `2147483647`, `-2147483648`},
	"java.lang.Integer":       {`5`, `null`},
	"byte":                    {`-128`, `127`},
	"short":                   {`32767`},
	"long":                    {`9223372036854775807`, `"-7"|-7`, `0`},
	"java.lang.Long":          {`null`, `"9007199254740993"|9007199254740993`},
	"double":                  {`1|1.0`, `-2.5`, `1e300|1e+300`, `0.1`},
	"float":                   {`0.5`, `3|3.0`},
	"boolean":                 {`true`, `false`, `"true"|true`},
	"char":                    {`"x"`, `"\u00e9"|"é"`},
	"java.lang.String":        {`""`, `"a\tb"`, `"\ud83d\ude00"|"😀"`, `null`, `"{\"class\":1}"`},
	"java.math.BigDecimal":    {`1.10|"1.10"`, `"2.50"`, `null`},
	"java.math.BigInteger":    {`123456789012345678901|"123456789012345678901"`},
	"java.util.Date":          {`0|"1970-01-01T00:00:00Z"`, `"2026-01-02 03:04:05"|"2026-01-02T03:04:05Z"`, `null`},
	"java.time.LocalDate":     {`"2024-02-29"`},
	"java.time.Instant":       {`"2026-01-02T03:04:05.000000001Z"`, `1500|"1970-01-01T00:00:01.5Z"`},
	"java.time.Duration":      {`"PT1H30M"`},
	"java.time.ZonedDateTime": {`"2026-01-02T03:04:05+01:00[Europe/Paris]"`},
	"java.util.UUID":          {`"01234567-89ab-cdef-8edc-ba9876543210"`},
	"java.sql.Timestamp":      {`1|"1970-01-01T00:00:00.001Z"`},
	"byte[]":                  {`"AQID"`, `""`, `null`},
	"lab.Level":               {`"LOW"`, `"HIGH"`, `null`},
	"java.lang.Object":        {`{"free":[1,{"x":2.5}]}`, `[]`, `"text"`, `null`, `false`},
}

// scalarNames in a fixed order, so that a seed gives the same model each time.
var scalarNames = []string{
	"int", "java.lang.Integer", "byte", "short", "long", "java.lang.Long", "double", "float", "boolean", "char", "java.lang.String",
	"java.math.BigDecimal", "java.math.BigInteger", "java.util.Date", "java.time.LocalDate", "java.time.Instant", "java.time.Duration",
	"java.time.ZonedDateTime", "java.util.UUID", "java.sql.Timestamp", "byte[]", "lab.Level", "java.lang.Object",
}

func newModel(seed uint64) *model {
	m := &model{Rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range 1 + m.IntN(4) {
		m.beans = append(m.beans, modelBean{name: fmt.Sprintf("lab.Bean%d", i)})
	}
	for i := range m.beans {
		for p := range m.IntN(8) {
			m.beans[i].props = append(m.beans[i].props, modelProp{fmt.Sprintf("prop%d", p), m.typ(2)})
		}
	}
	return m
}

// typ makes up a type.
func (m *model) typ(depth int) string {
	if depth > 0 {
		switch m.IntN(8) {
		case 0:
			return "java.util.List<" + m.boxed(depth-1) + ">"
		case 1:
			return "java.util.Map<java.lang.String," + m.boxed(depth-1) + ">"
		case 2:
			return "java.util.Map<java.lang.Integer," + m.boxed(depth-1) + ">"
		case 3:
			return m.typ(0) + "[]"
		case 4:
			return m.beans[m.IntN(len(m.beans))].name
		}
	}
	return scalarNames[m.IntN(len(scalarNames))]
}

// boxed makes up a type that may be a type argument.
func (m *model) boxed(depth int) string {
	for {
		if t := m.typ(depth); strings.Contains(t, ".") {
			return t
		}
	}
}

// document is the definition of the model, in either shape.
func (m *model) document(nested bool) string {
	ref := func(t string) string {
		if nested {
			return `{"type":` + strconv.Quote(t) + `}`
		}
		return strconv.Quote(t)
	}
	var b strings.Builder
	b.WriteString(`{"methods":[{"name":"call","parameterTypes":["lab.Bean0"],"returnType":"void"}],"types":[{"type":"lab.Level","enums":["LOW","HIGH"]}`)
	for _, bean := range m.beans {
		b.WriteString(`,{"type":"` + bean.name + `","properties":{`)
		for i, p := range bean.props {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Quote(p.name) + `:` + ref(p.typ))
		}
		b.WriteString(`}}`)
	}
	return b.String() + `]}`
}

// value makes up a value of a type.
func (m *model) value(t string, depth int) (in, out string) {
	if t != "byte[]" && strings.HasSuffix(t, "[]") {
		return m.array(strings.TrimSuffix(t, "[]"), depth)
	}
	if inner, ok := strings.CutPrefix(t, "java.util.List<"); ok {
		return m.array(strings.TrimSuffix(inner, ">"), depth)
	}
	for prefix, keys := range map[string][]string{"java.util.Map<java.lang.String,": {"a", "é", "x y"}, "java.util.Map<java.lang.Integer,": {"1", "-5", "100000"}} {
		if inner, ok := strings.CutPrefix(t, prefix); ok {
			return m.mapping(strings.TrimSuffix(inner, ">"), keys, depth)
		}
	}
	for _, bean := range m.beans {
		if bean.name == t {
			return m.bean(bean, depth)
		}
	}
	choices := scalars[t]
	in, out, changed := strings.Cut(choices[m.IntN(len(choices))], "|")
	if !changed {
		out = in
	}
	return in, out
}

func (m *model) array(elem string, depth int) (in, out string) {
	if depth <= 0 {
		return "[ ]", "[]"
	}
	var ins, outs []string
	for range m.IntN(4) {
		i, o := m.value(elem, depth-1)
		ins, outs = append(ins, i), append(outs, o)
	}
	return "[" + strings.Join(ins, " , ") + "]", "[" + strings.Join(outs, ",") + "]"
}

func (m *model) mapping(elem string, keys []string, depth int) (in, out string) {
	if depth <= 0 {
		return "{ }", "{}"
	}
	var ins, outs []string
	for _, key := range keys[:m.IntN(len(keys)+1)] {
		i, o := m.value(elem, depth-1)
		ins, outs = append(ins, `"`+key+`" : `+i), append(outs, `"`+key+`":`+o)
	}
	return "{" + strings.Join(ins, ",") + "}", "{" + strings.Join(outs, ",") + "}"
}

func (m *model) bean(b modelBean, depth int) (in, out string) {
	if depth <= 0 {
		return "null", "null"
	}
	var ins, outs []string
	for _, i := range m.Perm(len(b.props)) {
		if m.IntN(4) == 0 {
			continue // absent
		}
		p := b.props[i]
		vin, vout := m.value(p.typ, depth-1)
		ins, outs = append(ins, "\n\t\""+p.name+"\": "+vin), append(outs, `"`+p.name+`":`+vout)
	}
	return "{" + strings.Join(ins, ",") + "}", "{" + strings.Join(outs, ",") + "}"
}

func TestModel(t *testing.T) {
	rounds := uint64(1500)
	if testing.Short() {
		rounds = 150
	}
	var e Encoder
	var out []byte
	for seed := range rounds {
		m := newModel(seed)
		d, err := ParseDefinition([]byte(m.document(seed%2 == 0)))
		if err != nil {
			t.Fatal(err)
		}
		typ := d.Methods("call")[0].Params[0]
		for range 4 {
			in, want := m.bean(m.beans[0], 6)
			e.Reset(nil)
			var rest []byte
			out, rest, err = e.AppendJSON(out[:0], typ, []byte(in))
			if err != nil || len(rest) > 0 {
				t.Fatalf("seed %d: %v, rest %q\n%s\n%s", seed, err, rest, m.document(false), in)
			}
			got, left, err := hessian.AppendJSON(nil, out, hessian.Options{})
			if string(got) != want || err != nil || len(left) > 0 {
				t.Fatalf("seed %d: %v\nsent %s\ngot  %s\nwant %s", seed, err, in, got, want)
			}
		}
	}
}

// TestModelBroken damages values. What is taken then is JSON, and what is refused is refused with a path.
func TestModelBroken(t *testing.T) {
	var e Encoder
	for seed := range uint64(200) {
		m := newModel(seed)
		d, err := ParseDefinition([]byte(m.document(false)))
		if err != nil {
			t.Fatal(err)
		}
		typ := d.Methods("call")[0].Params[0]
		in, _ := m.bean(m.beans[0], 5)
		for range 30 {
			broken := []byte(in)
			broken[m.IntN(len(broken))] = "{}[],:\"\\0x-\x00\xff"[m.IntN(13)]
			e.Reset(nil)
			_, rest, err := e.AppendJSON(nil, typ, broken)
			var argument *ArgumentError
			switch {
			case err == nil && !json.Valid(broken[:len(broken)-len(rest)]):
				t.Fatalf("took %q", broken)
			case err != nil && (!errors.As(err, &argument) || !strings.HasPrefix(argument.Path, "$")):
				t.Fatalf("%q: %v", broken, err)
			}
		}
	}
}

// One definition serves all requests at once.
func TestConcurrent(t *testing.T) {
	d := parse(t, order)
	typ := typ(t, d, "lab.Order")
	var alone Encoder
	want, _, err := alone.AppendJSON(nil, typ, []byte(orderJSON))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			var e Encoder
			for range 200 {
				e.Reset(nil)
				if got, _, err := e.AppendJSON(nil, typ, []byte(orderJSON)); err != nil || string(got) != string(want) {
					t.Errorf("another result beside others: %v", err)
					return
				}
				if m, err := d.Signature("x", []string{"java.util.List<lab.Order>"}); err != nil || len(m.Params) != 1 {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
