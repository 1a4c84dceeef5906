package types

import (
	"math"
	"testing"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// TestTemporal gives text to every java.time type and reads what a provider would see; "" means that it is refused.
func TestTemporal(t *testing.T) {
	for _, c := range []struct{ typ, text, want string }{
		{"Instant", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"},
		{"Instant", "2026-01-02t03:04z", "2026-01-02T03:04:00Z"},
		{"Instant", "0000-01-01T00:00:00+18:00", "-0001-12-31T06:00:00Z"},
		{"Instant", "2026-01-02T03:04:05", ""},
		{"Instant", "2026-01-02 03:04:05Z", ""},
		{"Instant", "2026-01-02", ""},
		{"Instant", "03:04:05Z", ""},
		{"Instant", "2026-01-02T03:04:05Z[UTC]", ""},
		{"Instant", "2026-01-02T03:04:05.Z", ""},
		{"Instant", "2026-01-02T03:04:05.1234567890Z", ""},
		{"Instant", "2026-00-02T03:04:05Z", ""},
		{"Instant", "2026-04-31T03:04:05Z", ""},
		{"Instant", "2026-04-00T03:04:05Z", ""},
		{"Instant", "2026-1-02T03:04:05Z", ""},
		{"Instant", "2026-01-02T03:60:05Z", ""},
		{"Instant", "2026-01-02T03:04:60Z", ""},
		{"Instant", "2026-01-02T03:04:05+1", ""},
		{"Instant", "2026-01-02T03:04:05+01:60", ""},
		{"Instant", "2026-01-02T03:04:05+18:01", ""},
		{"Instant", "2026-01-02T03:04:05x", ""},
		{"Instant", "2026-01-02T03", ""},
		{"Instant", "2026-01-02T", ""},
		{"Instant", "", ""},
		{"Duration", "PT0S", "PT0S"},
		{"Duration", "P1DT2H3M4.5S", "PT26H3M4.5S"},
		{"Duration", "-PT1.5S", "PT-1.5S"},
		{"Duration", "PT-0.5S", "PT-0.5S"},
		{"Duration", "+P-1D", "PT-24H"},
		{"Duration", "PT1H-1M", "PT59M"},
		{"Duration", "PT1,5S", "PT1.5S"},
		{"Duration", "P", ""},
		{"Duration", "PT", ""},
		{"Duration", "P1", ""},
		{"Duration", "PT1D", ""},
		{"Duration", "P1H", ""},
		{"Duration", "PT1S1M", ""},
		{"Duration", "PT1M1M", ""},
		{"Duration", "PT1.5H", ""},
		{"Duration", "P1DT", ""},
		{"Duration", "PT1STT", ""},
		{"Duration", "PT9223372036854775807H", ""},
		{"Duration", "PT99999999999999999999S", ""},
		{"Duration", "PT9223372036854775807S", "PT2562047788015215H30M7S"},
		{"Duration", "P1DT9223372036854775807S", ""},
		{"Period", "P1Y2M3W4D", "P1Y2M25D"},
		{"Period", "-P1Y-2M", "P-1Y2M"},
		{"Period", "+P0D", "P0D"},
		{"Period", "P", ""},
		{"Period", "1Y", ""},
		{"Period", "P1H", ""},
		{"Period", "P1M1Y", ""},
		{"Period", "P1.5Y", ""},
		{"Period", "P1", ""},
		{"Period", "PY", ""},
		{"Period", "P2147483648D", ""},
		{"Year", "2026", "2026"},
		{"Year", "26", ""},
		{"YearMonth", "2026-12", "2026-12"},
		{"YearMonth", "2026-13", ""},
		{"YearMonth", "2026-00", ""},
		{"YearMonth", "2026-12-01", ""},
		{"MonthDay", "--02-29", "--02-29"},
		{"MonthDay", "--02-30", ""},
		{"MonthDay", "-02-29", ""},
		{"ZoneId", "Asia/Shanghai", "Asia/Shanghai"},
		{"ZoneId", "UTC+01:00", "UTC+01:00"},
		{"ZoneId", "a b", ""},
		{"ZoneId", "", ""},
		{"ZoneOffset", "Z", "Z"},
		{"ZoneOffset", "+05:30", "+05:30"},
		{"ZoneOffset", "-05:30:15", "-05:30:15"},
		{"ZoneOffset", "+05", "+05:00"},
		{"ZoneOffset", "+19", ""},
		{"ZoneOffset", "+05:3", ""},
		{"ZoneOffset", "+05:30:1", ""},
		{"ZoneOffset", "05:30", ""},
		{"ZoneOffset", "+05:30x", ""},
		{"OffsetTime", "10:20+01:00", "10:20:00+01:00"},
		{"OffsetTime", "10:20", ""},
		{"OffsetTime", "2026-01-02T10:20Z", ""},
		{"OffsetDateTime", "2026-01-02T10:20:30.5-03:00", "2026-01-02T10:20:30.5-03:00"},
		{"OffsetDateTime", "2026-01-02T10:20", ""},
		{"ZonedDateTime", "2026-01-02T10:20Z", "2026-01-02T10:20:00Z"},
		{"ZonedDateTime", "2026-01-02T10:20+00:00", "2026-01-02T10:20:00Z"},
		{"ZonedDateTime", "2026-01-02T10:20+01:00", "2026-01-02T10:20:00+01:00"},
		{"ZonedDateTime", "2026-01-02T10:20+01:00[Europe/Paris]", "2026-01-02T10:20:00+01:00[Europe/Paris]"},
		{"ZonedDateTime", "2026-01-02T10:20[Europe/Paris]", ""},
		{"ZonedDateTime", "2026-01-02T10:20+01:00[]", ""},
		{"ZonedDateTime", "2026-01-02T10:20+01:00[Europe/Paris", ""},
	} {
		var e Encoder
		out, err := e.AppendText(nil, typ(t, nil, "java.time."+c.typ), c.text)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s %q was taken as %q", c.typ, c.text, out)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %q: %v", c.typ, c.text, err)
			continue
		}
		got, rest, err := hessian.AppendJSON(nil, out, hessian.Options{})
		if string(got) != `"`+c.want+`"` || err != nil || len(rest) > 0 {
			t.Errorf("%s %q: got %s, rest %q, %v; want %s", c.typ, c.text, got, rest, err, c.want)
		}
	}
}

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "+7": 7, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64, "00000000000000000000000001": 1,
	} {
		if got, ok := parseInt([]byte(text)); got != want || !ok {
			t.Errorf("%s: %d, %t", text, got, ok)
		}
	}
	for _, text := range []string{"9223372036854775808", "-9223372036854775809", "18446744073709551616", "18446744073709551617", "92233720368547758070", "99999999999999999999999999"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("%s gave %d", text, got)
		}
	}
}

func TestSumOverflow(t *testing.T) {
	for _, c := range []struct {
		parts    [][2]int64
		overflow bool
	}{
		{[][2]int64{{math.MaxInt64, 1}}, false},
		{[][2]int64{{math.MaxInt64, 1}, {1, 1}}, true},
		{[][2]int64{{math.MinInt64, 1}, {-1, 1}}, true},
		{[][2]int64{{math.MinInt64, 1}, {0, 60}}, false},
		{[][2]int64{{math.MaxInt64, 2}}, true},
		{[][2]int64{{math.MinInt64, -1}}, true},
		{[][2]int64{{5, 60}, {-5, 60}}, false},
	} {
		var s sum
		for _, p := range c.parts {
			s.add(p[0], p[1])
		}
		if s.overflow != c.overflow {
			t.Errorf("%v: %+v", c.parts, s)
		}
	}
}
