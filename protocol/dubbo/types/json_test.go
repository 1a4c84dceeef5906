package types

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestGrammar asks encoding/json for a second opinion, which is more lenient in two points: invalid UTF-8 and half
// surrogate pairs.
func TestGrammar(t *testing.T) {
	anyType := typ(t, nil, "java.lang.Object")
	for _, c := range []struct {
		json     string
		stricter bool
	}{
		{`{}`, false}, {`[]`, false}, {`""`, false}, {`0`, false}, {`-0`, false}, {`1.5`, false}, {`1e5`, false}, {`1E+5`, false}, {`1e-5`, false},
		{"\t\r\n {\n\"a\" :\t1 , \"b\":[ ]\r}\n", false},
		{`"\u0000\uD83D\uDE00\/"`, false},
		{``, false}, {` `, false}, {`{`, false}, {`[`, false}, {`"`, false}, {`"\`, false}, {`"\u12`, false}, {`"\u12g4"`, false}, {`"\x"`, false}, {`"\u`, false},
		{`01`, false}, {`1.`, false}, {`.5`, false}, {`-`, false}, {`+1`, false}, {`1e`, false}, {`1e+`, false}, {`--1`, false}, {`0x1`, false},
		{`nul`, false}, {`True`, false}, {`fals`, false}, {`nullx`, false}, {`NaN`, false}, {`Infinity`, false}, {`undefined`, false}, {`'a'`, false},
		{`[1,]`, false}, {`[,1]`, false}, {`[1 2]`, false}, {`[1`, false}, {`]`, false}, {`{"a"}`, false}, {`{"a":}`, false}, {`{"a":1,}`, false}, {`{,}`, false},
		{`{a:1}`, false}, {`{"a":1 "b":2}`, false}, {`{"a" 1}`, false}, {`{"a":1`, false}, {`{1:1}`, false}, {`{"a":1}}`, false}, {`1 2`, false},
		{"\"a\nb\"", false}, {"\"\\u0041\nb\"", false}, {"\"\t\"", false}, {"\"\x00\"", false}, {"\ufeff1", false}, {"[1]\x00", false}, {"/**/1", false}, {"[\v1]", false},
		{"\"\x7f\"", false}, {"\"\\\"\"", false}, {"\"\\n\u00e9\"", false},
		{"\"\xff\"", true}, {"\"\\n\xff\"", true}, {"\"\xc0\x80\"", true}, {"\"\xed\xa0\x80\"", true}, {"\"\xf4\x90\x80\x80\"", true}, {"\"\xe2\x82\"", true},
		{`"\ud800"`, true}, {`"\udc00"`, true}, {`"\ud800\ud800"`, true}, {`"\ud800x"`, true}, {`"\ud800\n"`, true}, {`"\ud83d\u12"`, false}, {`{"\ud800":1}`, true},
	} {
		want := json.Valid([]byte(c.json)) && !c.stricter
		if err := Valid([]byte(c.json)); (err == nil) != want {
			t.Errorf("%q: Valid says %v", c.json, err)
		} else if e := (*ArgumentError)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("%q: the error is a %T", c.json, err)
		}
		var e Encoder
		_, rest, err := e.AppendJSON(nil, anyType, []byte(c.json))
		if ok := err == nil && strings.Trim(string(rest), " \t\r\n") == ""; ok != want {
			t.Errorf("%q: AppendJSON says %v, rest %q", c.json, err, rest)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{``, "$: expected valid JSON, got its end at byte 0"},
		{`[1,}`, "$[1]: expected valid JSON, got '}' at byte 3"},
		{`{"a":{"b":[1,"x` + "\n", "$.a.b[1]: expected valid JSON, got '\\n' at byte 15"},
		{`{"a":"\ud800"}`, "$.a: expected valid JSON, got half a surrogate pair at byte 6"},
		{"[\"\xff\"]", "$[0]: expected valid JSON, got invalid UTF-8 at byte 2"},
		{"\"\\\xe4\"", "$: expected valid JSON, got '\ufffd' at byte 2"},
		{strings.Repeat("[", 201), "$" + strings.Repeat("[0]", 200) + ": expected at most 200 levels, got deeper nesting"},
	} {
		var e Encoder
		_, _, err := e.AppendJSON(nil, object, []byte(c.json))
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.json, err, c.want)
		}
	}
	e := Encoder{}
	e.Reset(&Options{MaxDepth: 2})
	if _, _, err := e.AppendJSON(nil, object, []byte(`[{"a":1}]`)); err != nil {
		t.Error(err)
	}
	if _, _, err := e.AppendJSON(nil, object, []byte(`[{"a":[]}]`)); err == nil {
		t.Error("three levels were taken")
	}
}

func TestKindOf(t *testing.T) {
	for text, want := range map[string]Kind{
		` null`: Null, `true`: Bool, `false`: Bool, `"x"`: String, "\n[": Array, `{`: Object, `-1`: Integer, `1.5`: Fraction, `1e5,`: Fraction, ``: Invalid, `x`: Invalid, `-`: Invalid,
	} {
		if got := KindOf([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestElements(t *testing.T) {
	for _, c := range []struct {
		json, want, err string
	}{
		{` [ 1 , "a,]" ,{"x":[2]}, null ] `, `1|"a,]"|{"x":[2]}|null`, ""},
		{`[]`, ``, ""},
		{`{"a":1}`, ``, "$: expected an array, got an object"},
		{`x`, ``, "$: expected valid JSON, got 'x' at byte 0"},
		{`[1]2`, `1`, "$: expected valid JSON, got '2' at byte 3"},
		{`[1,[2,]]`, `1`, "$[1]: expected valid JSON, got ']' at byte 6"},
		{`[1`, `1`, "$: expected valid JSON, got its end at byte 2"},
	} {
		got, err := Elements(nil, []byte(c.json))
		var texts []string
		for _, g := range got {
			texts = append(texts, string(g))
		}
		if strings.Join(texts, "|") != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %q, %v", c.json, texts, err)
		}
	}
}

func TestMember(t *testing.T) {
	for _, c := range []struct {
		json, want, err string
	}{
		{` {"b":1, "a" : [1, 2] ,"c":{"a":3}} `, `[1, 2]`, ""},
		{`{"\u0061":null}`, `null`, ""},
		{`{"b":1}`, ``, ""},
		{`{}`, ``, ""},
		{`[]`, ``, "$: expected an object, got an array"},
		{`5`, ``, "$: expected an object, got number 5"},
		{`{"a":1,"a":2}`, ``, "$.a: expected each key once in an object, got it twice"},
		{`{"a":1}x`, `1`, "$: expected valid JSON, got 'x' at byte 7"},
		{`{"a":1,"b":[}`, ``, "$.b: expected valid JSON, got '}' at byte 12"},
		{`{"a":1,`, ``, "$: expected valid JSON, got its end at byte 7"},
	} {
		got, found, err := Member([]byte(c.json), "a")
		if string(got) != c.want || found != (c.want != "") || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: %q, %t, %v", c.json, got, found, err)
		}
	}
}

// Strings are looked at eight bytes at a time; this asks encoding/json about every byte at every place.
func TestEveryByte(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				text := []byte(strings.Repeat("~", length))
				text[at] = byte(c)
				in := []byte(`"` + string(text) + `"`)
				var want string
				ok := json.Unmarshal(in, &want) == nil && c < 0x80 && c != '\\' && c != '"'
				s := scanner{src: in}
				got, err := s.str()
				if (err == nil && s.pos == len(in)) != ok && c != '\\' || ok && string(got) != want {
					t.Fatalf("%q: %q, %v; want %q, %t", in, got, err, want, ok)
				}
			}
		}
	}
}
