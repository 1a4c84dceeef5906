package hessian

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDecoder gives any bytes to the reader: it must end, must not write more than it may, and what it writes must be JSON.
func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{
		`7b 7a 79 91 51 92 51 91 51 92`, `48 01"a" 51 90 5a`, `43 08"lab.User" 92 02"id" 05"class" 60 91 01"x"`,
		`7b 79 43 03"a.B" 91 01"b" 60 91 51 91 60 92`, `52 0001 eda0bd 01 edb880`, `41 0002 0102 21 05`, `5f00002fda`, `4b00e3838f`,
		`48 04"nano" 92 0b"epochSecond" e1 05"class" 11"java.time.Instant" 5a`, `4d 11"java.util.TreeMap" 01"a" 91 5a`, `55 04"[int" 91 92 5a`,
		`48 48 01"a" 01"\" 5a 91 5a`, `43 14"java.math.BigDecimal" 91 05"value" 60 04"1.10"`,
		`43 0e"java.util.UUID" 92 0b"mostSigBits" 0c"leastSigBits" 60 4c0123456789abcdef 4c8edcba9876543210`,
	} {
		f.Add(raw(f, seed), false)
	}
	f.Add(raw(f, bigInteger(`8f`, `7a 91 90`)), true)
	var c Classes
	f.Add(zoned(3600, "Europe/Paris")(&c, []byte{0x79}), true)
	f.Fuzz(func(t *testing.T, in []byte, flag bool) {
		const most = 1 << 16
		o := Options{MaxOutput: most, CyclesAsNull: flag, DecimalsAsStrings: flag, UnsafeLongsAsStrings: flag, DatesAsMillis: flag, KeepClass: flag}
		var d Decoder
		d.Reset(in, o)
		out, err := d.AppendJSON(nil)
		var where *DecodeError
		switch {
		case err == nil && !json.Valid(out):
			t.Fatalf("no JSON: %q", out)
		case err == nil && !utf8.Valid(out):
			t.Fatalf("no UTF-8: %q", out)
		case err != nil && (!errors.As(err, &where) || where.Offset < 0 || where.Offset > len(in)):
			t.Fatalf("the error tells no place: %v", err)
		case len(out) > most+8*len(in)+1000 && err == nil:
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		rest := len(d.Rest())
		d.Reset(in, o) // and again with used memory
		again, err2 := d.AppendJSON(nil)
		if !bytes.Equal(out, again) || (err == nil) != (err2 == nil) {
			t.Fatalf("a used decoder reads differently: %s, %v and %s, %v", out, err, again, err2)
		}
		d.Reset(in, o)
		if err3 := d.Skip(); err == nil && (err3 != nil || len(d.Rest()) != rest) {
			t.Fatalf("skip ends elsewhere: %v, %d bytes left, not %d", err3, len(d.Rest()), rest)
		}
		d.Reset(in, o)
		_, _ = d.Exception()
		d.Reset(in, o)
		if d.EnterMap() == nil {
			for d.Entry() {
				if _, _, err := d.AppendText(nil); err != nil {
					break
				}
				if _, _, err := d.AppendText(nil); err != nil {
					break
				}
			}
		}
	})
}

// FuzzString writes any text and reads it back.
func FuzzString(f *testing.F) {
	f.Add("hello", 1)
	f.Add("é😀\x00\"\xff", 9000)
	f.Fuzz(func(t *testing.T, s string, times int) {
		if times < 0 || times > 40_000 || len(s)*times > 1<<18 {
			times = 1
		}
		s = strings.Repeat(s, times)
		in := AppendString(nil, s)
		var d Decoder
		d.Reset(in, Options{})
		got, ok, err := d.AppendText(nil)
		if want := strings.ToValidUTF8(s, "\ufffd"); !ok || err != nil || len(d.Rest()) > 0 || string(got) != want && utf8.ValidString(s) {
			t.Fatalf("%q became %q, %v", want, got, err)
		}
		if both := AppendString(nil, []byte(s)); !bytes.Equal(in, both) {
			t.Fatal("a string and its bytes are written differently")
		}
		out, _, err := AppendJSON(nil, in, Options{})
		var back string
		if err != nil || json.Unmarshal(out, &back) != nil || back != string(got) {
			t.Fatalf("%q became %s, %v", s, out, err)
		}
	})
}
