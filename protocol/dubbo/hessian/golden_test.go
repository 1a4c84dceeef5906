package hessian

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"
)

// raw reads bytes written in hexadecimal, with texts between double quotes.
func raw(t testing.TB, s string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatalf("bad hexadecimal in %q: %v", s, err)
		}
		out = append(out, b...)
	}
	return out
}

// TestRequestBody writes the body of a generic call as a Java provider accepted it, byte for byte.
func TestRequestBody(t *testing.T) {
	want := raw(t, `05"2.0.2" 0f"lab.UserService" 05"1.0.0" 07"$invoke"`+
		`3038"Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;"`+
		`05"hello"`+
		`56 07"[string"91 10"java.lang.String"`+
		`56 07"[object"91 03"bob"`+
		`48 07"generic"04"true" 5a`)
	var b []byte
	for _, s := range []string{"2.0.2", "lab.UserService", "1.0.0", "$invoke", "Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;", "hello"} {
		b = AppendString(b, s)
	}
	b = AppendString(AppendTypedListLength(b, "[string", 1), "java.lang.String")
	b = AppendString(AppendTypedListLength(b, "[object", 1), "bob")
	b = AppendMapEnd(AppendString(AppendString(AppendMapStart(b), "generic"), "true"))
	if !bytes.Equal(b, want) {
		t.Errorf("got  %q\nwant %q", b, want)
	}
}

// TestReplyBody reads the answer to it: flag, value, attachments.
func TestReplyBody(t *testing.T) {
	var d Decoder
	d.Reset(raw(t, `94 09"hello bob" 48 05"dubbo"05"2.0.2" 04"flag"54 04"list"7991 5a`), Options{})
	if flag, err := d.Int(); flag != 4 || err != nil {
		t.Fatalf("flag %d, %v", flag, err)
	}
	got, err := d.AppendJSON(nil)
	if string(got) != `"hello bob"` || err != nil {
		t.Fatalf("value %s, %v", got, err)
	}
	if err := d.EnterMap(); err != nil {
		t.Fatal(err)
	}
	var attachments []string
	for d.Entry() {
		key, _, err := d.AppendText(nil)
		if err != nil {
			t.Fatal(err)
		}
		value, ok, err := d.AppendText(nil)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			attachments = append(attachments, string(key)+"="+string(value))
		}
	}
	if got := strings.Join(attachments, " "); got != "dubbo=2.0.2 flag=true" {
		t.Errorf("attachments %s", got)
	}
	if len(d.Rest()) != 0 {
		t.Errorf("left over: %q", d.Rest())
	}
}

// The examples of the Hessian 2.0 specification, sections 4.1 to 4.14, and the edges of each form.
func TestScalars(t *testing.T) {
	type writer = func([]byte) []byte
	i := func(v int32) writer { return func(b []byte) []byte { return AppendInt(b, v) } }
	l := func(v int64) writer { return func(b []byte) []byte { return AppendLong(b, v) } }
	f := func(v float64) writer { return func(b []byte) []byte { return AppendDouble(b, v) } }
	s := func(v string) writer { return func(b []byte) []byte { return AppendString(b, v) } }
	for _, c := range []struct {
		name  string
		write writer
		bytes string
		json  string
	}{
		{"null", AppendNull, `4e`, `null`},
		{"true", func(b []byte) []byte { return AppendBool(b, true) }, `54`, `true`},
		{"false", func(b []byte) []byte { return AppendBool(b, false) }, `46`, `false`},
		{"int 0", i(0), `90`, `0`},
		{"int -16", i(-16), `80`, `-16`},
		{"int 47", i(47), `bf`, `47`},
		{"int 48", i(48), `c830`, `48`},
		{"int -17", i(-17), `c7ef`, `-17`},
		{"int -2048", i(-2048), `c000`, `-2048`},
		{"int 2047", i(2047), `cfff`, `2047`},
		{"int 2048", i(2048), `d40800`, `2048`},
		{"int -262144", i(-262144), `d00000`, `-262144`},
		{"int 262143", i(262143), `d7ffff`, `262143`},
		{"int 262144", i(262144), `4900040000`, `262144`},
		{"int min", i(math.MinInt32), `4980000000`, `-2147483648`},
		{"int max", i(math.MaxInt32), `497fffffff`, `2147483647`},
		{"long 0", l(0), `e0`, `0`},
		{"long -8", l(-8), `d8`, `-8`},
		{"long 15", l(15), `ef`, `15`},
		{"long 16", l(16), `f810`, `16`},
		{"long -9", l(-9), `f7f7`, `-9`},
		{"long -2048", l(-2048), `f000`, `-2048`},
		{"long 2047", l(2047), `ffff`, `2047`},
		{"long 2048", l(2048), `3c0800`, `2048`},
		{"long -262144", l(-262144), `380000`, `-262144`},
		{"long 262143", l(262143), `3fffff`, `262143`},
		{"long 262144", l(262144), `5900040000`, `262144`},
		{"long of 32 bits", l(math.MinInt32), `5980000000`, `-2147483648`},
		{"long beyond", l(math.MaxInt32 + 1), `4c0000000080000000`, `2147483648`},
		{"long min", l(math.MinInt64), `4c8000000000000000`, `-9223372036854775808`},
		{"long max", l(math.MaxInt64), `4c7fffffffffffffff`, `9223372036854775807`},
		{"double 0", f(0), `5b`, `0.0`},
		{"double -0", f(math.Copysign(0, -1)), `448000000000000000`, `-0.0`},
		{"double 1", f(1), `5c`, `1.0`},
		{"double -128", f(-128), `5d80`, `-128.0`},
		{"double 127", f(127), `5d7f`, `127.0`},
		{"double 128", f(128), `5e0080`, `128.0`},
		{"double -32768", f(-32768), `5e8000`, `-32768.0`},
		{"double 32767", f(32767), `5e7fff`, `32767.0`},
		{"double 12.25", f(12.25), `444028800000000000`, `12.25`},
		{"double 1e21", f(1e21), `44444b1ae4d6e2ef50`, `1e+21`},
		{"double NaN", f(math.NaN()), `447ff8000000000001`, `null`},
		{"double Inf", f(math.Inf(1)), `447ff0000000000000`, `null`},
		{"date", func(b []byte) []byte { return AppendDate(b, 894621091000) }, `4a000000d04b9284b8`, `"1998-05-08T09:51:31Z"`},
		{"date with ms", func(b []byte) []byte { return AppendDate(b, -1) }, `4affffffffffffffff`, `"1969-12-31T23:59:59.999Z"`},
		{"empty string", s(""), `00`, `""`},
		{"hello", s("hello"), `05"hello"`, `"hello"`},
		{"two bytes", s("Ã"), `01c383`, `"Ã"`},
		{"surrogates", s("😀"), `02eda0bdedb880`, `"😀"`},
		{"31 units", s(strings.Repeat("x", 31)), `1f"` + strings.Repeat("x", 31) + `"`, `"` + strings.Repeat("x", 31) + `"`},
		{"32 units", s(strings.Repeat("x", 32)), `3020"` + strings.Repeat("x", 32) + `"`, `"` + strings.Repeat("x", 32) + `"`},
		{"1023 units", s(strings.Repeat("é", 1023)), `33ff"` + strings.Repeat("é", 1023) + `"`, `"` + strings.Repeat("é", 1023) + `"`},
		{"1024 units", s(strings.Repeat("x", 1024)), `530400"` + strings.Repeat("x", 1024) + `"`, `"` + strings.Repeat("x", 1024) + `"`},
		{"escapes", s("a\"\\\n\r\t\x00\x1f/<"), `0a"a"225c0a0d09001f"/<"`, `"a\"\\\n\r\t\u0000\u001f/<"`},
		{"invalid UTF-8", s("a\xffb"), `03"a"efbfbd"b"`, `"a�b"`},
		{"no bytes", func(b []byte) []byte { return AppendBinary(b, nil) }, `20`, `""`},
		{"bytes", func(b []byte) []byte { return AppendBinary(b, []byte{1, 2, 3}) }, `23010203`, `"AQID"`},
		{"16 bytes", func(b []byte) []byte { return AppendBinary(b, make([]byte, 16)) }, `3410` + strings.Repeat("00", 16), `"AAAAAAAAAAAAAAAAAAAAAA=="`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.write([]byte("kept"))[4:]
			if want := raw(t, c.bytes); !bytes.Equal(got, want) {
				t.Errorf("wrote %x\nwant  %x", got, want)
			}
			json, rest, err := AppendJSON(nil, append(got, 'N'), Options{})
			if string(json) != c.json || err != nil || string(rest) != "N" {
				t.Errorf("read %s, rest %q, %v; want %s", json, rest, err, c.json)
			}
		})
	}
}

// plainRun looks at eight bytes at a time; this compares it with looking at one, for every byte at every place.
func TestPlainRun(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				text := []byte(strings.Repeat("~", length))
				text[at] = byte(c)
				for _, other := range []byte{'~', '"', 0xff, '\\', 0x1f} {
					if at+1 < length {
						text[at+1] = other
					}
					for _, quoted := range []bool{false, true} {
						want := slices.IndexFunc(text, func(c byte) bool {
							return c >= 0x80 || quoted && (c < ' ' || c == '"' || c == '\\')
						})
						if want < 0 {
							want = length
						}
						if got := plainRun(text, quoted); got != want {
							t.Fatalf("%q, quoted %t: %d, want %d", text, quoted, got, want)
						}
					}
				}
			}
		}
	}
}
