package strictyaml

import (
	"math"
	"testing"
)

// TestResolve has every kind of unquoted text.
func TestResolve(t *testing.T) {
	for text, want := range map[string]any{
		"":                     nil,
		"~":                    nil,
		"null":                 nil,
		"Null":                 nil,
		"NULL":                 nil,
		"nULL":                 "nULL",
		"true":                 true,
		"True":                 true,
		"TRUE":                 true,
		"tRUE":                 "tRUE",
		"false":                false,
		"False":                false,
		"FALSE":                false,
		"yes":                  "yes",
		"no":                   "no",
		"on":                   "on",
		"0":                    int64(0),
		"-0":                   int64(0),
		"+1":                   int64(1),
		"-12":                  int64(-12),
		"--1":                  "--1",
		"+-1":                  "+-1",
		"-":                    "-",
		"+":                    "+",
		"012":                  "012",
		"-012":                 "-012",
		"0x1F":                 int64(31),
		"0X1F":                 "0X1F",
		"0xg":                  "0xg",
		"0x":                   "0x",
		"0o17":                 int64(15),
		"0o8":                  "0o8",
		"0b1":                  "0b1",
		"1_000":                "1_000",
		"9223372036854775807":  int64(math.MaxInt64),
		"9223372036854775808":  uint64(math.MaxInt64 + 1),
		"18446744073709551615": uint64(math.MaxUint64),
		"18446744073709551616": 18446744073709551616.0,
		"-9223372036854775808": int64(math.MinInt64),
		"1.5":                  1.5,
		"-1.5":                 -1.5,
		".5":                   0.5,
		"5.":                   5.0,
		"1e3":                  1000.0,
		"1E-3":                 0.001,
		"1e999":                "1e999",
		"01.5":                 "01.5",
		".inf":                 ".inf",
		".nan":                 ".nan",
		"inf":                  "inf",
		"NaN":                  "NaN",
		"Infinity":             "Infinity",
		"0x1p4":                "0x1p4",
		".":                    ".",
		"1.2.3":                "1.2.3",
		"e":                    "e",
		"1:30":                 "1:30",
		"2024-01-01":           "2024-01-01",
		"text":                 "text",
	} {
		if got := resolve(text); got != want {
			t.Errorf("%q: %#v, want %#v", text, got, want)
		}
	}
}

// numbers is one field of every width.
type numbers struct {
	I   int     `yaml:"i"`
	I8  int8    `yaml:"i8"`
	I16 int16   `yaml:"i16"`
	I32 int32   `yaml:"i32"`
	I64 int64   `yaml:"i64"`
	U   uint    `yaml:"u"`
	U8  uint8   `yaml:"u8"`
	U16 uint16  `yaml:"u16"`
	U32 uint32  `yaml:"u32"`
	U64 uint64  `yaml:"u64"`
	F32 float32 `yaml:"f32"`
	F64 float64 `yaml:"f64"`
}

func TestNumbersFit(t *testing.T) {
	for text, ok := range map[string]bool{
		"i8: -128":                  true,
		"i8: -129":                  false,
		"i8: 128":                   false,
		"i16: 32767":                true,
		"i16: 32768":                false,
		"i32: 2147483647":           true,
		"i32: 2147483648":           false,
		"i64: 9223372036854775807":  true,
		"i64: 9223372036854775808":  false,
		"i: 18446744073709551615":   false,
		"u: 0":                      true,
		"u: -1":                     false,
		"u8: 255":                   true,
		"u8: 256":                   false,
		"u16: 65536":                false,
		"u32: 4294967295":           true,
		"u32: 4294967296":           false,
		"u64: 18446744073709551615": true,
		"u64: 18446744073709551616": false,
		"i: 1.0":                    false,
		"i: 1e3":                    false,
		"i: true":                   false,
		"i: text":                   false,
		"f32: 1":                    true,
		"f32: 1e38":                 true,
		"f32: 1e39":                 false,
		"f64: 18446744073709551615": true,
		"f64: -1.5e-300":            true,
		"f64: false":                false,
		"f64: '1.5'":                false,
	} {
		var v numbers
		if problems := decode(t, text, &v); (problems == nil) != ok {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

// TestTextsMayLookLikeAnything: what is wanted as text need not be quoted.
func TestTextsMayLookLikeAnything(t *testing.T) {
	for text, want := range map[string]string{
		"s: 1.0":      "1.0",
		"s: 007":      "007",
		"s: true":     "true",
		"s: 0x10":     "0x10",
		"s: 1e3":      "1e3",
		"s: 1_000":    "1_000",
		"s: .inf":     ".inf",
		"s: 'null'":   "null",
		"s: \"~\"":    "~",
		"s: ''":       "",
		"s: a # b":    "a",
		"s: a#b":      "a#b",
		"s: 'a # b'":  "a # b",
		"s: h:1":      "h:1",
		"s: http://h": "http://h",
	} {
		var v all
		if problems := decode(t, text, &v); problems != nil || v.S != want {
			t.Errorf("%s: %q %v, want %q", text, v.S, problems, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for pair, want := range map[[2]string]int{
		{"", ""}:               0,
		{"a", ""}:              1,
		{"", "abc"}:            3,
		{"abc", "abc"}:         0,
		{"abc", "abd"}:         1,
		{"abc", "acb"}:         1,
		{"abc", "ab"}:          1,
		{"abc", "abcd"}:        1,
		{"abc", "xbc"}:         1,
		{"kitten", "sitting"}:  3,
		{"timeout", "tiemout"}: 1,
	} {
		if got := distance(pair[0], pair[1]); got != want {
			t.Errorf("%v: %d, want %d", pair, got, want)
		}
		if got := distance(pair[1], pair[0]); got != want {
			t.Errorf("%v backwards: %d, want %d", pair, got, want)
		}
	}
}
