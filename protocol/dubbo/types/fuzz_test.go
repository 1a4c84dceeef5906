package types

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// FuzzEncoder gives any text to a bean with a property of every kind. Whatever is taken must be JSON, must be hessian2, and
// must carry no class.
func FuzzEncoder(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"name":"bob","gender":"MALE","age":7,"balance":1.10,"birthday":0,"address":{"street":"x","zip":["1"],"latitude":1.5}}`,
		`{"tags":["a"],"scores":{"x":1},"friends":[{"id":2}],"parent":{"parent":{"id":3}},"vip":true,"joined":"2026-01-02T03:04:05"}`,
		`{"seen":"2026-01-02T03:04:05Z","picture":"AQID","extra":{"free":[1,2.5,"\ud83d\ude00"],"class":1}}`,
		`{"class":"x"}`, `[`, `{"a":1,"a":2}`, `{"extra":1e400}`, `{"birthday":"2026-01-02 03:04:05"}`, `null`,
	} {
		f.Add([]byte(seed), true)
	}
	user := typ(f, parse(f, shop), "lab.User")
	f.Fuzz(func(t *testing.T, in []byte, ignore bool) {
		o := Options{}
		if ignore {
			o.Unknown = IgnoreUnknown
		}
		var e Encoder
		e.Reset(&o)
		out, rest, err := e.AppendJSON(nil, user, in)
		if err != nil {
			var argument *ArgumentError
			if !errors.As(err, &argument) || argument.Path == "" || argument.Expected == "" || argument.Got == "" {
				t.Fatalf("the error says too little: %#v", err)
			}
			return
		}
		if !json.Valid(in[:len(in)-len(rest)]) {
			t.Fatalf("took what is no JSON: %q", in)
		}
		back, left, err := hessian.AppendJSON(nil, out, hessian.Options{KeepClass: true})
		if err != nil || len(left) > 0 || !json.Valid(back) {
			t.Fatalf("wrote what is no hessian2: %q: %s, rest %q, %v", out, back, left, err)
		}
		var v any
		if json.Unmarshal(back, &v) == nil && hasClass(v) {
			t.Fatalf("a class got through: %s", back)
		}
	})
}

func hasClass(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if key == "class" || hasClass(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if hasClass(inner) {
				return true
			}
		}
	}
	return false
}

// FuzzRoundTrip writes untyped JSON and reads it back: nothing may change but the spelling of numbers.
func FuzzRoundTrip(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2147483648,-1.5,"x😀\u0000\"",null,true,{}]}`, `"\ud83d\ude00"`, `9007199254740993`, `[[],[[]]]`, `0.1`, `1e21`, `123456789012345678901234567890`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var e Encoder
		out, rest, err := e.AppendJSON(nil, object, in)
		if err != nil {
			return
		}
		in = in[:len(in)-len(rest)]
		back, left, err := hessian.AppendJSON(nil, out, hessian.Options{MaxDepth: 1000})
		if err != nil || len(left) > 0 {
			t.Fatalf("%q became %q: rest %q, %v", in, out, left, err)
		}
		if a, b := tree(t, in), tree(t, back); !reflect.DeepEqual(a, b) && !folded(in) {
			t.Fatalf("%s became %s", in, back)
		}
		// Once more, the result must not change at all.
		again, _, err := e.appendAfresh(back)
		if err != nil {
			t.Fatal(err)
		}
		twice, _, err := hessian.AppendJSON(nil, again, hessian.Options{MaxDepth: 1000})
		if err != nil || !bytes.Equal(back, twice) {
			t.Fatalf("%s became %s, %v", back, twice, err)
		}
	})
}

func (e *Encoder) appendAfresh(json []byte) ([]byte, []byte, error) {
	e.Reset(nil)
	return e.AppendJSON(nil, object, json)
}

// folded tells whether a text has a map that is read as an Instant.
func folded(in []byte) bool {
	return bytes.Contains(in, []byte("nano")) || bytes.Contains(in, []byte(`\u`))
}

// tree reads JSON with numbers as float64, which both spellings must agree on, and integers too large for a long as the
// strings that they become.
func tree(t *testing.T, in []byte) any {
	d := json.NewDecoder(bytes.NewReader(in))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	return plainNumbers(v)
}

func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if isWhole([]byte(v)) {
			if _, ok := parseInt([]byte(v)); !ok {
				return string(v)
			}
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	}
	return v
}

// FuzzText gives any text to every scalar.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"5", "-1.5e3", "true", "2026-01-02T03:04:05+01:00[Europe/Paris]", "P1DT2H", "PT-1.5S", "--02-29", "AQ==", "01234567-89ab-cdef-8edc-ba9876543210", "[1]", "{}"} {
		f.Add(seed)
	}
	d := parse(f, shop)
	var all []*Type
	for _, name := range []string{
		"byte", "long", "float", "double", "boolean", "char", "java.lang.String", "lab.Gender", "java.math.BigDecimal", "java.math.BigInteger",
		"java.lang.Number", "java.util.Date", "java.sql.Timestamp", "java.sql.Time", "java.time.LocalDate", "java.time.LocalTime", "java.time.LocalDateTime",
		"java.time.Instant", "java.time.Duration", "java.time.Period", "java.time.Year", "java.time.YearMonth", "java.time.MonthDay", "java.time.ZoneId",
		"java.time.ZoneOffset", "java.time.OffsetTime", "java.time.OffsetDateTime", "java.time.ZonedDateTime", "byte[]", "java.util.UUID",
		"java.lang.Object", "java.util.List<int>", "java.util.Map<java.util.Date,?>", "lab.User",
	} {
		all = append(all, typ(f, d, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, typ := range all {
			var e Encoder
			out, err := e.AppendText(nil, typ, text)
			if err != nil {
				var argument *ArgumentError
				if !errors.As(err, &argument) {
					t.Fatalf("%s: a %T", typ.name, err)
				}
				continue
			}
			back, rest, err := hessian.AppendJSON(nil, out, hessian.Options{})
			if err != nil || len(rest) > 0 || !json.Valid(back) {
				t.Fatalf("%s %q became %q: %s, rest %q, %v", typ.name, text, out, back, rest, err)
			}
		}
	})
}

// FuzzDefinition gives any document to the reader of definitions.
func FuzzDefinition(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte(old))
	f.Add([]byte(`{"methods":[{"$ref":"$"}],"types":[{"$ref":"$.types[0]"}]}`))
	f.Add([]byte(`{"methods":[{"name":"a","parameterTypes":["[[B"]}],"types":[{"type":"A","properties":{"x":"A<A<T>>"}}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, err := ParseDefinition(doc)
		if err != nil {
			return
		}
		var e Encoder
		for _, name := range d.Names() {
			for _, m := range d.Methods(name) {
				if len(m.Params) != len(m.ErasedTypes) {
					t.Fatalf("%s has %d types", m, len(m.Params))
				}
				if _, err := d.Signature(m.Name, m.ErasedTypes); err != nil {
					t.Fatalf("%s cannot be stated again: %v", m, err)
				}
				for _, p := range m.Params {
					_, _, _ = e.AppendJSON(nil, p, []byte(`{"x":[{"a":1}]}`))
				}
			}
		}
	})
}
