package types

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
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

// typ builds a type of a definition, nil for none.
func typ(t testing.TB, d *Definition, name string) *Type {
	t.Helper()
	m, err := d.Signature("any", []string{name})
	if err != nil {
		t.Fatal(err)
	}
	return m.Params[0]
}

// encode writes one argument by itself.
func encode(t testing.TB, typ *Type, json string, o *Options) ([]byte, error) {
	t.Helper()
	var e Encoder
	e.Reset(o)
	out, rest, err := e.AppendJSON([]byte("kept"), typ, []byte(json+" ,"))
	if !bytes.HasPrefix(out, []byte("kept")) {
		t.Fatalf("%s: what was written before is lost", json)
	}
	if err == nil && string(rest) != " ," {
		t.Errorf("%s: rest is %q", json, rest)
	}
	return out[len("kept"):], err
}

// handle starts the definition of a handle in the form of raw.
const handle = `43 30`

const handlePackage = `"com.alibaba.com.caucho.hessian.io.java8.`

const (
	instantHandle  = handle + `35` + handlePackage + `InstantHandle" 92 07"seconds" 05"nanos" 60`
	durationHandle = handle + `36` + handlePackage + `DurationHandle" 92 07"seconds" 05"nanos" 60`
	localDateTime  = handle + `3b` + handlePackage + `LocalDateTimeHandle" 92 04"date" 04"time" 61` +
		handle + `37` + handlePackage + `LocalDateHandle" 93 04"year" 05"month" 03"day" 62 cfea 91 92` +
		handle + `37` + handlePackage + `LocalTimeHandle" 94 04"hour" 06"minute" 06"second" 04"nano" 63 93 94 95 90`
	timestamp  = `43 12"java.sql.Timestamp" 91 05"value" 60`
	zoneOffset = handle + `38` + handlePackage + `ZoneOffsetHandle" 91 07"seconds" 64`
)

func TestScalars(t *testing.T) {
	paris := time.FixedZone("", 3600)
	for _, c := range []struct {
		typ, json, want string
		opts            Options
	}{
		{"byte", `127`, `c87f`, Options{}},
		{"byte", `-128`, `c780`, Options{}},
		{"java.lang.Byte", `null`, `4e`, Options{}},
		{"short", `-32768`, `d38000`, Options{}},
		{"java.lang.Short", `32767`, `d47fff`, Options{}},
		{"int", `5`, `95`, Options{}},
		{"int", `-0`, `90`, Options{}},
		{"int", `2147483647`, `497fffffff`, Options{}},
		{"java.lang.Integer", `-2147483648`, `4980000000`, Options{}},
		{"long", `5`, `e5`, Options{}},
		{"long", `9007199254740993`, `4c0020000000000001`, Options{}},
		{"long", `"9007199254740993"`, `4c0020000000000001`, Options{}},
		{"long", `"-1"`, `df`, Options{}},
		{"java.lang.Long", `-9223372036854775808`, `4c8000000000000000`, Options{}},
		{"java.lang.Long", `9223372036854775807`, `4c7fffffffffffffff`, Options{}},
		{"float", `1.5`, `443ff8000000000000`, Options{}},
		{"float", `3.4e38`, `4447eff933c78cdfad`, Options{}},
		{"double", `1`, `5c`, Options{}},
		{"java.lang.Double", `-1.5e3`, `5efa24`, Options{}},
		{"java.lang.Float", `null`, `4e`, Options{}},
		{"boolean", `true`, `54`, Options{}},
		{"boolean", `false`, `46`, Options{}},
		{"java.lang.Boolean", `"true"`, `54`, Options{}},
		{"java.lang.Boolean", `"false"`, `46`, Options{}},
		{"char", `"é"`, `01"é"`, Options{}},
		{"java.lang.Character", `"\u0041"`, `01"A"`, Options{}},
		{"java.lang.String", `"bob"`, `03"bob"`, Options{}},
		{"java.lang.String", `"\"\\\/\b\f\n\r\t\u00e9"`, `09 225c2f080c0a0d09"é"`, Options{}},
		{"java.lang.String", `"\ud83d\ude00é"`, `03 eda0bdedb880"é"`, Options{}},
		{"java.lang.String", `"😀"`, `02 eda0bdedb880`, Options{}},
		{"java.lang.String", `""`, `00`, Options{}},
		{"java.lang.String", `1.50`, `04"1.50"`, Options{StringsFromScalars: true}},
		{"java.lang.String", `true`, `04"true"`, Options{StringsFromScalars: true}},
		{"java.lang.String", `null`, `4e`, Options{}},
		{"lab.Gender", `"MALE"`, `04"MALE"`, Options{}},
		{"java.math.BigDecimal", `1.10`, `04"1.10"`, Options{}},
		{"java.math.BigDecimal", `"1.10"`, `04"1.10"`, Options{}},
		{"java.math.BigDecimal", `-1E+3`, `05"-1E+3"`, Options{}},
		{"java.math.BigDecimal", `12345678901234567890.123456789012345678901234567890`, `3033"12345678901234567890.123456789012345678901234567890"`, Options{}},
		{"java.math.BigInteger", `123456789012345678901234567890`, `1e"123456789012345678901234567890"`, Options{}},
		{"java.math.BigInteger", `"-5"`, `02"-5"`, Options{}},
		{"java.lang.Number", `5`, `95`, Options{}},
		{"java.lang.Number", `5.5`, `444016000000000000`, Options{}},
		{"java.util.Date", `1700000000123`, `4a0000018bcfe5687b`, Options{}},
		{"java.util.Date", `"2023-11-14T22:13:20.123Z"`, `4a0000018bcfe5687b`, Options{}},
		{"java.util.Date", `"2023-11-14T23:13:20.123+01:00"`, `4a0000018bcfe5687b`, Options{}},
		{"java.util.Date", `"2023-11-14 22:13:20"`, `4a0000018bcfe56800`, Options{}},
		{"java.util.Date", `"2023-11-14 23:13:20"`, `4a0000018bcfe56800`, Options{DateZone: paris}},
		{"java.util.Date", `"1970-01-01"`, `4a0000000000000000`, Options{}},
		{"java.util.Date", `"1970-01-01T00:00"`, `4affffffffffc91180`, Options{DateZone: paris}},
		{"java.sql.Timestamp", `"2023-11-14 22:13:20.5"`, `13"2023-11-14 22:13:20"`, Options{}},
		{"java.sql.Timestamp", `"2023-11-14 23:13:20.123"`, timestamp + `4a0000018bcfe5687b`, Options{DateZone: paris}},
		{"java.sql.Timestamp", `1700000000123`, timestamp + `4a0000018bcfe5687b`, Options{}},
		{"java.sql.Timestamp", `"2023-11-14T22:13:20.123Z"`, timestamp + `4a0000018bcfe5687b`, Options{DateZone: paris}},
		{"java.sql.Date", `"2023-11-14"`, `13"2023-11-14 00:00:00"`, Options{}},
		{"java.sql.Time", `"10:20"`, `13"1970-01-01 10:20:00"`, Options{}},
		{"java.sql.Time", `"00:00:00.001Z"`, `43 0d"java.sql.Time" 91 05"value" 60 4a0000000000000001`, Options{}},
		{"java.util.Locale", `"en-GB"`, `43 302e"com.alibaba.com.caucho.hessian.io.LocaleHandle" 91 05"value" 60 05"en_GB"`, Options{}},
		{"java.time.LocalDate", `"2024-02-29"`, `0a"2024-02-29"`, Options{}},
		{"java.time.LocalTime", `"10:20:30.5"`, `0a"10:20:30.5"`, Options{}},
		{"java.time.LocalDateTime", `"2023-11-14T22:13:20"`, `13"2023-11-14T22:13:20"`, Options{}},
		{"java.time.Instant", `"1970-01-01T01:00:01.5+01:00"`, instantHandle + `e1 491dcd6500`, Options{}},
		{"java.time.Instant", `-1`, instantHandle + `df 493b8b87c0`, Options{}},
		{"java.time.Duration", `"PT1M"`, durationHandle + `f83c 90`, Options{}},
		{"java.time.Duration", `"P1DT-1H0.5S"`, durationHandle + `3d4370 491dcd6500`, Options{}},
		{"java.time.OffsetDateTime", `"2026-01-02T03:04:05Z"`, handle + `3c` + handlePackage + `OffsetDateTimeHandle" 92 08"dateTime" 06"offset" 60` + localDateTime + zoneOffset + `90`, Options{}},
		{"java.time.ZonedDateTime", `"2026-01-02T03:04:05+01:00[Europe/Paris]"`, handle + `3b` + handlePackage + `ZonedDateTimeHandle" 93 08"dateTime" 06"offset" 06"zoneId" 60` + localDateTime + zoneOffset + `d40e10 0c"Europe/Paris"`, Options{}},
		{"java.time.Year", `2026`, handle + `32` + handlePackage + `YearHandle" 91 04"year" 60 cfea`, Options{}},
		{"byte[]", `"AQID"`, `23 010203`, Options{}},
		{"byte[]", `"AQ=="`, `21 01`, Options{}},
		{"byte[]", `"_-8"`, `22 ffef`, Options{}},
		{"[B", `"AQ"`, `21 01`, Options{}},
		{"byte[]", `""`, `20`, Options{}},
		{"java.util.UUID", `"01234567-89ab-cdef-8EDC-ba9876543210"`, `43 0e"java.util.UUID" 91 05"value" 60 3024"01234567-89ab-cdef-8EDC-ba9876543210"`, Options{}},
		{"java.util.Optional<java.lang.String>", `null`, `4e`, Options{}},
		{"java.lang.Object", `5`, `95`, Options{}},
		{"java.lang.Object", `2147483648`, `4c0000000080000000`, Options{}},
		{"java.lang.Object", `9223372036854775808`, `13"9223372036854775808"`, Options{}},
		{"java.lang.Object", `1.0`, `5c`, Options{}},
		{"java.lang.Object", `"x"`, `01"x"`, Options{}},
		{"java.lang.Object", `true`, `54`, Options{}},
		{"java.lang.Object", `null`, `4e`, Options{}},
		{"java.lang.Object", `[1,"a",[],{}]`, `58 4900000004 91 01"a" 58 4900000000 48 5a`, Options{}},
		{"java.lang.Object", `{"a":{"b":1}}`, `48 01"a" 48 01"b" 91 5a 5a`, Options{}},
		{"lab.Unknown", `"MALE"`, `04"MALE"`, Options{}},
	} {
		t.Run(c.typ+" "+c.json, func(t *testing.T) {
			got, err := encode(t, typ(t, parse(t, shop), c.typ), c.json, &c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if want := raw(t, c.want); !bytes.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestScalarErrors(t *testing.T) {
	for _, c := range []struct{ typ, json, expected, got string }{
		{"byte", `128`, "byte from -128 to 127", "number 128"},
		{"short", `-32769`, "short from -32768 to 32767", "number -32769"},
		{"int", `5000000000`, "int from -2147483648 to 2147483647", "number 5000000000"},
		{"int", `1.5`, "int without fraction or exponent", "number 1.5"},
		{"int", `1e2`, "int without fraction or exponent", "number 1e2"},
		{"int", `"x"`, "int", `string "x"`},
		{"int", `"5"`, "int", `string "5"`},
		{"int", `null`, "int", "null"},
		{"int", `true`, "int", "true"},
		{"int", `[1]`, "int", "an array"},
		{"int", `{"a":1}`, "int", "an object"},
		{"long", `9223372036854775808`, "long from -9223372036854775808 to 9223372036854775807", "number 9223372036854775808"},
		{"long", `"9223372036854775808"`, "long from -9223372036854775808 to 9223372036854775807", `string "9223372036854775808"`},
		{"long", `99999999999999999999999`, "long from -9223372036854775808 to 9223372036854775807", "number 99999999999999999999999"},
		{"long", `"+1"`, "long", `string "+1"`},
		{"long", `""`, "long", `string ""`},
		{"long", `"-"`, "long", `string "-"`},
		{"float", `1e39`, "float in its range", "number 1e39"},
		{"double", `1e400`, "double in its range", "number 1e400"},
		{"double", `"1"`, "double", `string "1"`},
		{"boolean", `1`, "boolean", "number 1"},
		{"boolean", `"yes"`, "boolean", `string "yes"`},
		{"boolean", `null`, "boolean", "null"},
		{"char", `"ab"`, "char, a string of one character", `string "ab"`},
		{"char", `""`, "char, a string of one character", `string ""`},
		{"char", `"😀"`, "char, a string of one character", `string "😀"`},
		{"char", `65`, "char, a string of one character", "number 65"},
		{"java.lang.String", `5`, "string", "number 5"},
		{"java.lang.String", `{}`, "string", "an object"},
		{"java.lang.String", `true`, "string", "true"},
		{"lab.Gender", `"male"`, "one of MALE, FEMALE", `string "male"`},
		{"lab.Gender", `0`, "one of MALE, FEMALE", "number 0"},
		{"java.math.BigDecimal", `"1,5"`, "decimal, a number or a string of one", `string "1,5"`},
		{"java.math.BigDecimal", `"NaN"`, "decimal, a number or a string of one", `string "NaN"`},
		{"java.math.BigInteger", `1.0`, "integer, a number or a string of one without fraction or exponent", "number 1.0"},
		{"java.math.BigInteger", `"0x10"`, "integer, a number or a string of one", `string "0x10"`},
		{"java.lang.Number", `9223372036854775808`, "number in the range of a long", "number 9223372036854775808"},
		{"java.lang.Object", `1e999`, "any value in the range of a double", "number 1e999"},
		{"java.util.Date", `"14.11.2023"`, "", `string "14.11.2023"`},
		{"java.util.Date", `"2023-02-29"`, "", `string "2023-02-29"`},
		{"java.util.Date", `"10:20"`, "", `string "10:20"`},
		{"java.util.Date", `1.5`, "", "number 1.5"},
		{"java.util.Date", `99999999999999999999`, "", "number 99999999999999999999"},
		{"java.util.Date", `"2023-11-14T25:00"`, "", `string "2023-11-14T25:00"`},
		{"java.util.Date", `"2023-11-14T10:00:00+19:00"`, "", `string "2023-11-14T10:00:00+19:00"`},
		{"java.util.Date", `"2023-11-14T10:00:00Z[UTC]"`, "", `string "2023-11-14T10:00:00Z[UTC]"`},
		{"java.sql.Date", `"10:20"`, "", `string "10:20"`},
		{"java.util.Locale", `"x"`, "locale, as en-GB", `string "x"`},
		{"java.util.Locale", `"en GB"`, "locale, as en-GB", `string "en GB"`},
		{"java.time.LocalDate", `"2023-11-14T00:00"`, "date, as 2006-01-02", `string "2023-11-14T00:00"`},
		{"java.time.LocalDate", `20231114`, "date, as 2006-01-02", "number 20231114"},
		{"java.time.LocalTime", `"10:20Z"`, "time, as 15:04:05", `string "10:20Z"`},
		{"java.time.LocalTime", `"24:00"`, "time, as 15:04:05", `string "24:00"`},
		{"java.time.LocalDateTime", `"2023-11-14 22:13:20"`, "date and time without zone, as 2006-01-02T15:04:05", `string "2023-11-14 22:13:20"`},
		{"java.time.LocalDateTime", `"2023-11-14T22:13:20Z"`, "date and time without zone, as 2006-01-02T15:04:05", `string "2023-11-14T22:13:20Z"`},
		{"java.time.Instant", `"2023-11-14T22:13:20"`, "instant, as 2006-01-02T15:04:05Z", `string "2023-11-14T22:13:20"`},
		{"java.time.Duration", `"1h"`, "duration, as PT1H30M", `string "1h"`},
		{"java.time.Duration", `60`, "duration, as PT1H30M", "number 60"},
		{"java.time.ZonedDateTime", `"2026-01-02T03:04:05+01:00[bad zone]"`, "", `string "2026-01-02T03:04:05+01:00[bad zone]"`},
		{"java.time.OffsetDateTime", `"2026-01-02T03:04:05+01:00[Europe/Paris]"`, "", `string "2026-01-02T03:04:05+01:00[Europe/Paris]"`},
		{"java.time.Year", `99999999999`, "year, as 2006", "number 99999999999"},
		{"byte[]", `"A"`, "byte[], as a string of base64", `string "A"`},
		{"byte[]", `"A==="`, "byte[], as a string of base64", `string "A==="`},
		{"byte[]", `"AQ\n=="`, "byte[], as a string of base64", `string "AQ\n=="`},
		{"byte[]", `"AR"`, "byte[], as a string of base64", `string "AR"`},
		{"byte[]", `[1,2]`, "byte[], as a string of base64", "an array"},
		{"java.util.UUID", `"01234567-89ab-cdef-8edc-ba987654321"`, "UUID", `string "01234567-89ab-cdef-8edc-ba987654321"`},
		{"java.util.UUID", `"01234567x89ab-cdef-8edc-ba9876543210"`, "UUID", `string "01234567x89ab-cdef-8edc-ba9876543210"`},
		{"java.util.UUID", `"g1234567-89ab-cdef-8edc-ba9876543210"`, "UUID", `string "g1234567-89ab-cdef-8edc-ba9876543210"`},
		{"java.util.Optional", `"x"`, "null, because Dubbo cannot carry an Optional", `string "x"`},
		{"java.util.List<int>", `{}`, "an array of int", "an object"},
		{"java.util.Map", `[]`, "an object", "an array"},
		{"java.util.Map", `"x"`, "an object", `string "x"`},
		{"lab.User", `"x"`, "an object (lab.User)", `string "x"`},
		{"lab.User", `[]`, "an object (lab.User)", "an array"},
		{"int", `"` + strings.Repeat("é", 40) + `"`, "int", `string "` + strings.Repeat("é", 32) + `..."`},
	} {
		_, err := encode(t, typ(t, parse(t, shop), c.typ), c.json, nil)
		var e *ArgumentError
		switch {
		case !errors.As(err, &e):
			t.Errorf("%s %s: %v", c.typ, c.json, err)
		case e.Path != "$" || e.Got != c.got || c.expected != "" && e.Expected != c.expected:
			t.Errorf("%s %s: %+v", c.typ, c.json, e)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ typ, text, want string }{
		{"int", "5", `95`},
		{"int", "-5", `8b`},
		{"int", "007", `97`},
		{"int", "", ""},
		{"int", "5 ", ""},
		{"int", "+5", ""},
		{"int", "2147483648", ""},
		{"long", "9223372036854775807", `4c7fffffffffffffff`},
		{"double", "1.5e1", `5d0f`},
		{"double", "NaN", ""},
		{"double", "0x1p3", ""},
		{"boolean", "true", `54`},
		{"boolean", "1", ""},
		{"char", "x", `01"x"`},
		{"java.lang.String", "5", `01"5"`},
		{"java.lang.String", "null", `04"null"`},
		{"java.lang.String", "\xff", `01 efbfbd`},
		{"java.lang.Object", "5", `01"5"`},
		{"java.lang.Number", "5", `95`},
		{"java.lang.Number", "x", ""},
		{"lab.Gender", "FEMALE", `06"FEMALE"`},
		{"lab.Gender", "X", ""},
		{"java.math.BigDecimal", "1.10", `04"1.10"`},
		{"java.math.BigDecimal", "1.", ""},
		{"java.math.BigInteger", "-12", `03"-12"`},
		{"java.util.Date", "1", `4a0000000000000001`},
		{"java.util.Date", "1970-01-01 00:00:00", `4a0000000000000000`},
		{"java.sql.Time", "10:20:30", `13"1970-01-01 10:20:30"`},
		{"java.time.LocalDate", "2026-01-02", `0a"2026-01-02"`},
		{"java.time.Instant", "1000", instantHandle + `e1 90`},
		{"java.time.Year", "2026", handle + `32` + handlePackage + `YearHandle" 91 04"year" 60 cfea`},
		{"java.util.List<int>", "[1,2]", `58 4900000002 91 92`},
		{"java.util.List<int>", " [1,2] ", `58 4900000002 91 92`},
		{"java.util.List<int>", "[1,2] x", ""},
		{"java.util.List<int>", "1,2", ""},
		{"java.util.List<int>", "null", `4e`},
		{"lab.Address", `{"street":"x"}`, `48 06"street" 01"x" 5a`},
		{"lab.Address", `{"class":"x"}`, ""},
		{"lab.Address", `street`, ""},
		{"java.util.Optional", `x`, ""},
	} {
		var e Encoder
		e.Reset(nil)
		got, err := e.AppendText([]byte("kept"), typ(t, parse(t, shop), c.typ), c.text)
		var argument *ArgumentError
		switch {
		case c.want == "" && errors.As(err, &argument):
		case err != nil || c.want == "":
			t.Errorf("%s %q: %q, %v", c.typ, c.text, got, err)
		case string(got) != "kept"+string(raw(t, c.want)):
			t.Errorf("%s %q:\ngot  %q\nwant %q", c.typ, c.text, got[4:], raw(t, c.want))
		}
	}
}

func TestNull(t *testing.T) {
	var e Encoder
	e.Reset(nil)
	if got, err := e.AppendNull(nil, typ(t, nil, "java.lang.Integer")); string(got) != "N" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := e.AppendNull(nil, typ(t, nil, "int")); err == nil {
		t.Errorf("got %q", got)
	}
}

// The definitions of handle classes are numbered over all arguments of a message.
func TestHandlesAcrossArguments(t *testing.T) {
	var e Encoder
	e.Reset(nil)
	instant, duration := typ(t, nil, "java.time.Instant"), typ(t, nil, "java.time.Duration")
	out := hessian.AppendListLength(nil, 4)
	var err error
	for _, a := range []struct {
		typ  *Type
		json string
	}{{instant, `"2026-01-02T03:04:05Z"`}, {duration, `"PT1S"`}, {instant, `"2026-01-02T03:04:06Z"`}, {duration, `"PT2S"`}} {
		if out, _, err = e.AppendJSON(out, a.typ, []byte(a.json)); err != nil {
			t.Fatal(err)
		}
	}
	json, rest, err := hessian.AppendJSON(nil, out, hessian.Options{})
	if want := `["2026-01-02T03:04:05Z","PT1S","2026-01-02T03:04:06Z","PT2S"]`; string(json) != want || err != nil || len(rest) > 0 {
		t.Errorf("got %s, %v", json, err)
	}
}
