package hessian

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// handles8 is how the name of a handle starts in raw.
const handles8 = `"com.alibaba.com.caucho.hessian.io.java8.`

func TestAnswers(t *testing.T) {
	shanghai := time.FixedZone("", 8*3600)
	for _, c := range []struct {
		name, bytes, json string
		opts              Options
	}{
		{"list of fixed length", `58 93 91 92 93`, `[1,2,3]`, Options{}},
		{"short list", `7b 91 92 93`, `[1,2,3]`, Options{}},
		{"list of unknown length", `57 91 92 5a`, `[1,2]`, Options{}},
		{"typed list of unknown length", `55 04"[int" 91 92 5a`, `[1,2]`, Options{}},
		{"typed lists", `7a 56 04"[int" 91 91 72 90 91 92`, `[[1],[1,2]]`, Options{}},
		{"empty list", `78`, `[]`, Options{}},
		{"map", `48 01"b" 91 01"a" 4e 5a`, `{"b":1,"a":null}`, Options{}},
		{"typed map", `4d 11"java.util.TreeMap" 01"a" 91 5a`, `{"a":1}`, Options{}},
		{"type by number", `7a 4d 01"T" 01"a" 91 5a 4d 90 01"a" 92 5a`, `[{"a":1},{"a":2}]`, Options{}},
		{"class first", `48 05"class" 08"lab.User" 02"id" e1 5a`, `{"id":1}`, Options{}},
		{"class in the middle", `48 02"id" e1 05"class" 08"lab.User" 01"n" 4e 5a`, `{"id":1,"n":null}`, Options{}},
		{"class last", `48 02"id" e1 05"class" 08"lab.User" 5a`, `{"id":1}`, Options{}},
		{"class alone", `48 05"class" 08"lab.User" 5a`, `{}`, Options{}},
		{"class kept", `48 05"class" 08"lab.User" 5a`, `{"class":"lab.User"}`, Options{KeepClass: true}},
		{"class that is no string", `48 05"class" 7991 5a`, `{}`, Options{}},
		{"int keys", `48 91 01"a" e2 01"b" 5a`, `{"1":"a","2":"b"}`, Options{}},
		{"other keys", `48 54 91 4e 92 5d05 93 5a`, `{"true":1,"null":2,"5.0":3}`, Options{}},
		{"date key", `48 4a0000000000000000 91 5a`, `{"1970-01-01T00:00:00Z":1}`, Options{}},
		{"object key", `48 48 01"a" 01"\" 5a 91 5a`, `{"{\"a\":\"\\\\\"}":1}`, Options{}},
		{"object", `43 08"lab.User" 92 02"id" 05"class" 60 91 01"x"`, `{"id":1}`, Options{}},
		{"objects", `7a 43 08"lab.User" 92 02"id" 02"n2" 60 91 4e 4f 90 92 93`, `[{"id":1,"n2":null},{"id":2,"n2":3}]`, Options{}},
		{"object without fields", `43 03"a.B" 90 60`, `{}`, Options{}},
		{"two definitions in a row", `43 03"a.B" 91 01"b" 43 03"a.C" 91 01"c" 61 60 54`, `{"c":{"b":true}}`, Options{}},
		{"enum", `43 0a"lab.Gender" 91 04"name" 60 04"MALE"`, `"MALE"`, Options{}},
		{"decimal", `43 14"java.math.BigDecimal" 91 05"value" 60 04"1.10"`, `1.10`, Options{}},
		{"decimal with exponent", `43 14"java.math.BigDecimal" 91 05"value" 60 04"1E+3"`, `1E+3`, Options{}},
		{"decimal as string", `43 14"java.math.BigDecimal" 91 05"value" 60 04"1.10"`, `"1.10"`, Options{DecimalsAsStrings: true}},
		{"decimal of rubbish", `43 14"java.math.BigDecimal" 91 05"value" 60 04"01.1"`, `"01.1"`, Options{}},
		{"decimal of null", `43 14"java.math.BigDecimal" 91 05"value" 60 4e`, `null`, Options{}},
		{"big integer", bigInteger(`91`, `56 04"[int" 92 91 498ee8e136`), `6692593974`, Options{}},
		{"negative big integer", bigInteger(`8f`, `7a 91 90`), `-4294967296`, Options{}},
		{"zero big integer", bigInteger(`90`, `78`), `0`, Options{}},
		{"big integer as string", bigInteger(`8f`, `79 95`), `"-5"`, Options{DecimalsAsStrings: true}},
		{"big integer as text", `43 14"java.math.BigInteger" 91 05"value" 60 02"12"`, `12`, Options{}},
		{"timestamp", `43 12"java.sql.Timestamp" 91 05"value" 60 4a0000000000000000`, `"1970-01-01T00:00:00Z"`, Options{}},
		{"uuid", `43 0e"java.util.UUID" 92 0b"mostSigBits" 0c"leastSigBits" 60 4c0123456789abcdef 4c8edcba9876543210`, `"01234567-89ab-cdef-8edc-ba9876543210"`, Options{}},
		{"date in millis", `4a0000000000000001`, `1`, Options{DatesAsMillis: true}},
		{"date in a zone", `4a0000000000000000`, `"1970-01-01T08:00:00+08:00"`, Options{Zone: shanghai}},
		{"date in minutes", `4b00e3838f`, `"1998-05-08T09:51:00Z"`, Options{}},
		{"date before 1970 in minutes", `4bffffffff`, `"1969-12-31T23:59:00Z"`, Options{}},
		{"thousandths", `5f00002fda`, `12.25`, Options{}},
		{"safe long as number", `4c0020000000000000`, `9007199254740992`, Options{UnsafeLongsAsStrings: true}},
		{"unsafe long as string", `4c0020000000000001`, `"9007199254740993"`, Options{UnsafeLongsAsStrings: true}},
		{"unsafe negative long as string", `4cffdfffffffffffff`, `"-9007199254740993"`, Options{UnsafeLongsAsStrings: true}},
		{"chunks", `52 0003"abc" 53 0001"d" `, `"abcd"`, Options{}},
		{"pair over two chunks", `52 0001 eda0bd 01 edb880`, `"😀"`, Options{}},
		{"lonely first half", `02 eda0bd "x"`, `"�x"`, Options{}},
		{"lonely first half at the end", `01 eda0bd`, `"�"`, Options{}},
		{"two first halves", `03 eda0bd eda0bd edb880`, `"�😀"`, Options{}},
		{"lonely second half", `01 edb880`, `"�"`, Options{}},
		{"four bytes", `02 f09f9880`, `"😀"`, Options{}},
		{"modified UTF-8", `01 c080`, `"\u0000"`, Options{}},
		{"binary in chunks", `41 0002 0102 41 0002 0304 21 05`, `"AQIDBAU="`, Options{}},
		{"instant map", `48 04"nano" 92 0b"epochSecond" e1 05"class" 11"java.time.Instant" 5a`, `"1970-01-01T00:00:01.000000002Z"`, Options{}},
		{"instant map without class", `48 0b"epochSecond" e1 04"nano" 90 5a`, `"1970-01-01T00:00:01Z"`, Options{}},
		{"no instant", `48 0b"epochSecond" e1 04"nano" 90 01"x" 90 5a`, `{"epochSecond":1,"nano":0,"x":0}`, Options{}},
		{"no instant either", `48 0b"epochSecond" e1 04"nano" 01"x" 5a`, `{"epochSecond":1,"nano":"x"}`, Options{}},
		{"duration map", `48 04"zero" 46 04"nano" 90 07"seconds" f810 05"class" 12"java.time.Duration" 5a`, `"PT16S"`, Options{}},
		{"instant with another class", `48 0b"epochSecond" e1 04"nano" 90 05"class" 01"X" 5a`, `{"epochSecond":1,"nano":0}`, Options{}},
		{"uuid map", `48 13"mostSignificantBits" 4c0123456789abcdef 14"leastSignificantBits" 4c8edcba9876543210 05"class" 0e"java.util.UUID" 5a`, `"01234567-89ab-cdef-8edc-ba9876543210"`, Options{UnsafeLongsAsStrings: true}},
		{"uuid map with class kept", `48 05"class" 0e"java.util.UUID" 13"mostSignificantBits" e1 14"leastSignificantBits" e2 5a`, `"00000000-0000-0001-0000-000000000002"`, Options{KeepClass: true}},
		{"no uuid", `48 13"mostSignificantBits" e1 14"leastSignificantBits" e2 5a`, `{"mostSignificantBits":1,"leastSignificantBits":2}`, Options{}},
		{"class that is no string kept", `48 05"class" 7991 5a`, `{"class":[1]}`, Options{KeepClass: true}},
		{"no duration", `48 04"nano" 90 07"seconds" f810 5a`, `{"nano":0,"seconds":16}`, Options{}},
		{"instant", `43 3035` + handles8 + `InstantHandle" 92 07"seconds" 05"nanos" 60 e1 92`, `"1970-01-01T00:00:01.000000002Z"`, Options{}},
		{"reference", `7a 79 91 51 91`, `[[1],[1]]`, Options{}},
		{"reference to an object", `7a 43 03"a.B" 91 01"b" 60 91 51 91`, `[{"b":1},{"b":1}]`, Options{}},
		{"references inside of one", `7b 7a 79 91 51 92 51 91 51 92`, `[[[1],[1]],[[1],[1]],[1]]`, Options{}},
		{"numbers after a reference", `7c 79 91 51 91 79 92 51 92`, `[[1],[1],[2],[2]]`, Options{}},
		{"definition inside a reference", `7b 79 43 03"a.B" 91 01"b" 60 91 51 91 60 92`, `[[{"b":1}],[{"b":1}],{"b":2}]`, Options{}},
		{"cycle as null", `48 01"a" 51 90 5a`, `{"a":null}`, Options{CyclesAsNull: true}},
		{"cycle through a reference", `48 01"b" 48 01"a" 51 90 5a 01"c" 51 91 5a`, `{"b":{"a":null},"c":{"a":null}}`, Options{CyclesAsNull: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := raw(t, c.bytes)
			json, rest, err := AppendJSON([]byte("kept"), in, c.opts)
			if string(json) != "kept"+c.json || err != nil || len(rest) > 0 {
				t.Errorf("got  %s, rest %q, %v\nwant %s", strings.TrimPrefix(string(json), "kept"), rest, err, c.json)
			}
			var d Decoder
			d.Reset(in, c.opts)
			if err := d.Skip(); err != nil || len(d.Rest()) > 0 {
				t.Errorf("skip: rest %q, %v", d.Rest(), err)
			}
		})
	}
}

// bigInteger writes a BigInteger with the fields that Java sends.
func bigInteger(signum, mag string) string {
	return `43 14"java.math.BigInteger" 93 06"signum" 09"bitLength" 03"mag" 60` + signum + `90` + mag
}

func TestBroken(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		want        error
		opts        Options
	}{
		{"nothing", ``, ErrTruncated, Options{}},
		{"unknown tag", `40`, ErrMalformed, Options{}},
		{"an end", `5a`, ErrUnexpected, Options{}},
		{"half an int", `4900`, ErrTruncated, Options{}},
		{"half a long", `4c00`, ErrTruncated, Options{}},
		{"half a short long", `59000000`, ErrTruncated, Options{}},
		{"half a double", `44`, ErrTruncated, Options{}},
		{"half a date", `4a00`, ErrTruncated, Options{}},
		{"half a short date", `4b00`, ErrTruncated, Options{}},
		{"half a string", `05"abc"`, ErrTruncated, Options{}},
		{"half a head", `53 00`, ErrTruncated, Options{}},
		{"half a character", `01 c3`, ErrTruncated, Options{}},
		{"no character", `01 80`, ErrMalformed, Options{}},
		{"bad continuation", `02 c3"A"`, ErrMalformed, Options{}},
		{"chunk without another", `52 0001"a"`, ErrTruncated, Options{}},
		{"chunk followed by something else", `52 0001"a" 91`, ErrUnexpected, Options{}},
		{"half a binary", `23 01`, ErrTruncated, Options{}},
		{"binary followed by something else", `41 0001 01 91`, ErrUnexpected, Options{}},
		{"list longer than the message", `58 497fffffff 91`, ErrTruncated, Options{}},
		{"list of negative length", `58 8f`, ErrTruncated, Options{}},
		{"list without length", `58 4e`, ErrUnexpected, Options{}},
		{"list without end", `57 91`, ErrTruncated, Options{}},
		{"map without value", `48 01"a" 5a`, ErrUnexpected, Options{}},
		{"map without end", `48 01"a" 91`, ErrTruncated, Options{}},
		{"map that ends after a key", `48 01"a"`, ErrTruncated, Options{}},
		{"type that was not sent", `56 90 90`, ErrReference, Options{}},
		{"type that a reference only repeats", `7b 71 01"T" 91 51 91 71 91 90`, ErrReference, Options{}},
		{"type that is none", `56 4e 90`, ErrUnexpected, Options{}},
		{"class that was not sent", `60`, ErrReference, Options{}},
		{"class of a huge number", `4f 497fffffff`, ErrReference, Options{}},
		{"class without a number", `4f 4e`, ErrUnexpected, Options{}},
		{"definition alone", `43 01"a" 90`, ErrTruncated, Options{}},
		{"definition with too many fields", `43 01"a" 497fffffff`, ErrTruncated, Options{}},
		{"definition with a bad field", `43 01"a" 91 91`, ErrUnexpected, Options{}},
		{"definition in front of a scalar", `43 01"a" 90 91`, nil, Options{}},
		{"reference to nothing", `51 90`, ErrReference, Options{}},
		{"negative reference", `79 51 8f`, ErrReference, Options{}},
		{"reference without a number", `51 4e`, ErrUnexpected, Options{}},
		{"cycle", `79 51 90`, ErrCycle, Options{}},
		{"cycle in a temporal", `43 3038` + handles8 + `OffsetTimeHandle" 91 09"localTime" 60 51 90`, ErrCycle, Options{}},
		{"too deep", strings.Repeat("79", 201), ErrTooDeep, Options{}},
		{"too deep by option", `7979`, ErrTooDeep, Options{MaxDepth: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := raw(t, c.bytes)
			_, _, err := AppendJSON(nil, in, c.opts)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			var where *DecodeError
			if err != nil && (!errors.As(err, &where) || where.Offset > len(in) || !strings.Contains(err.Error(), c.want.Error())) {
				t.Errorf("the error does not tell the place: %v", err)
			}
			var d Decoder
			d.Reset(in, c.opts)
			if err := d.Skip(); (err == nil) != (c.want == nil) && c.want != ErrCycle {
				t.Errorf("skip: %v", err)
			}
		})
	}
}

// A message of a few hundred bytes can stand for more JSON than there is memory, in several ways.
func TestBombs(t *testing.T) {
	doubling := raw(t, `58 a8 79 91`) // a list of 24 lists, each of which refers twice to the one before
	for i := range 23 {
		doubling = append(doubling, 0x7a, 0x51)
		doubling = AppendInt(doubling, int32(1+i))
		doubling = append(doubling, 0x51)
		doubling = AppendInt(doubling, int32(1+i))
	}
	named := AppendString([]byte{0x58, 'I', 0, 0, 0x4e, 0x20, 'C', 1, 'a', 0x91}, strings.Repeat("x", 60_000)) // a long name, written 20,000 times
	for range 20_000 {
		named = append(named, 0x60, 'N')
	}
	hidden := []byte{0x58, 'I', 0, 0, 0x4e, 0x21, 'H', 5, 'c', 'l', 'a', 's', 's'} // 60,000 bytes that write nothing, read 20,000 times
	hidden = append(AppendString(hidden, strings.Repeat("x", 60_000)), 'Z')
	for range 20_000 {
		hidden = append(hidden, 0x51, 0x91)
	}
	for name, in := range map[string][]byte{"doubling": doubling, "named": named, "hidden": hidden} {
		t.Run(name, func(t *testing.T) {
			_, _, err := AppendJSON(nil, in, Options{MaxOutput: 1 << 20})
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("over several values", func(t *testing.T) {
		var d Decoder
		d.Reset([]byte{0x79, 0x91, 0x79, 0x51, 0x90, 0x79, 0x51, 0x90, 0x79, 0x51, 0x90, 0x79, 0x51, 0x90}, Options{MaxOutput: 15})
		var err error
		for err == nil && len(d.Rest()) > 0 {
			_, err = d.AppendJSON(nil)
		}
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBigIntegerTooLong(t *testing.T) {
	in := raw(t, `43 14"java.math.BigInteger" 92 06"signum" 03"mag" 60 91`)
	in = AppendListLength(in, maxMagnitude+1)
	for range maxMagnitude + 1 {
		in = AppendInt(in, math.MaxInt32)
	}
	if _, _, err := AppendJSON(nil, in, Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
