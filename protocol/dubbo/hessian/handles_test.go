package hessian

import (
	"math"
	"strings"
	"testing"
)

// ints appends a handle of ints.
func ints(c *Classes, b []byte, h Handle, parts ...int32) []byte {
	b = c.AppendObject(b, h)
	for _, p := range parts {
		b = AppendInt(b, p)
	}
	return b
}

func seconds(h Handle, s int64, nano int32) func(*Classes, []byte) []byte {
	return func(c *Classes, b []byte) []byte { return AppendInt(AppendLong(c.AppendObject(b, h), s), nano) }
}

func dateTime(c *Classes, b []byte) []byte {
	b = c.AppendObject(b, LocalDateTimeHandle)
	b = ints(c, b, LocalDateHandle, 2026, 1, 2)
	return ints(c, b, LocalTimeHandle, 3, 4, 5, 600_000_000)
}

func zoned(offset int32, zone string) func(*Classes, []byte) []byte {
	return func(c *Classes, b []byte) []byte {
		b = dateTime(c, c.AppendObject(b, ZonedDateTimeHandle))
		return AppendString(ints(c, b, ZoneOffsetHandle, offset), zone)
	}
}

func simple(h Handle, parts ...int32) func(*Classes, []byte) []byte {
	return func(c *Classes, b []byte) []byte { return ints(c, b, h, parts...) }
}

func TestHandles(t *testing.T) {
	for _, c := range []struct {
		write func(*Classes, []byte) []byte
		want  string
	}{
		{seconds(InstantHandle, 0, 0), "1970-01-01T00:00:00Z"},
		{seconds(InstantHandle, -1, 999_999_999), "1969-12-31T23:59:59.999999999Z"},
		{seconds(InstantHandle, 1700000000, 120_000_000), "2023-11-14T22:13:20.12Z"},
		{seconds(DurationHandle, 0, 0), "PT0S"},
		{seconds(DurationHandle, 90061, 0), "PT25H1M1S"},
		{seconds(DurationHandle, 1, 500_000_000), "PT1.5S"},
		{seconds(DurationHandle, -1, 500_000_000), "PT-0.5S"},
		{seconds(DurationHandle, -2, 500_000_000), "PT-1.5S"},
		{seconds(DurationHandle, -60, 0), "PT-1M"},
		{seconds(DurationHandle, -61, 999_999_999), "PT-1M-0.000000001S"},
		{seconds(DurationHandle, math.MinInt64, 0), "PT-2562047788015215H-30M-8S"},
		{simple(LocalDateHandle, 2026, 11, 24), "2026-11-24"},
		{simple(LocalDateHandle, 12026, 1, 2), "+12026-01-02"},
		{simple(LocalDateHandle, -44, 3, 15), "-0044-03-15"},
		{simple(LocalTimeHandle, 9, 0, 0, 0), "09:00:00"},
		{simple(LocalTimeHandle, 9, 0, 0, 1000), "09:00:00.000001"},
		{dateTime, "2026-01-02T03:04:05.6"},
		{simple(ZoneOffsetHandle, 0), "Z"},
		{simple(ZoneOffsetHandle, 19800), "+05:30"},
		{simple(ZoneOffsetHandle, -18000-59), "-05:00:59"},
		{zoned(3600, "Europe/Paris"), "2026-01-02T03:04:05.6+01:00[Europe/Paris]"},
		{zoned(3600, "+01:00"), "2026-01-02T03:04:05.6+01:00"},
		{zoned(0, "Z"), "2026-01-02T03:04:05.6Z"},
		{func(c *Classes, b []byte) []byte {
			return ints(c, dateTime(c, c.AppendObject(b, OffsetDateTimeHandle)), ZoneOffsetHandle, -3600)
		}, "2026-01-02T03:04:05.6-01:00"},
		{func(c *Classes, b []byte) []byte {
			b = ints(c, c.AppendObject(b, OffsetTimeHandle), LocalTimeHandle, 1, 2, 3, 0)
			return ints(c, b, ZoneOffsetHandle, 7200)
		}, "01:02:03+02:00"},
		{simple(PeriodHandle, 1, -2, 3), "P1Y-2M3D"},
		{simple(PeriodHandle, 0, 0, 0), "P0D"},
		{simple(YearHandle, 2026), "2026"},
		{simple(YearMonthHandle, 2026, 1), "2026-01"},
		{simple(MonthDayHandle, 2, 29), "--02-29"},
		{func(c *Classes, b []byte) []byte { return AppendString(c.AppendObject(b, ZoneIDHandle), "Asia/Tokyo") }, "Asia/Tokyo"},
		{func(c *Classes, b []byte) []byte {
			return AppendString(c.AppendObject(b, UUIDHandle), "01234567-89ab-cdef-8edc-ba9876543210")
		}, "01234567-89ab-cdef-8edc-ba9876543210"},
		{func(c *Classes, b []byte) []byte { return AppendString(c.AppendObject(b, LocaleHandle), "fr_FR") }, "fr_FR"},
		{func(c *Classes, b []byte) []byte { return AppendDate(c.AppendObject(b, DateHandle), 0) }, "1970-01-01T00:00:00Z"},
		{func(c *Classes, b []byte) []byte { return AppendDate(c.AppendObject(b, TimeHandle), 0) }, "1970-01-01T00:00:00Z"},
		{func(c *Classes, b []byte) []byte { return AppendDate(c.AppendObject(b, TimestampHandle), 1) }, "1970-01-01T00:00:00.001Z"},
	} {
		var classes Classes
		in := c.write(&classes, AppendListLength(nil, 2))
		in = c.write(&classes, in) // the second time without definitions
		got, rest, err := AppendJSON(nil, in, Options{})
		want := `["` + c.want + `","` + c.want + `"]`
		if string(got) != want || err != nil || len(rest) > 0 {
			t.Errorf("got %s, rest %q, %v; want %s", got, rest, err, want)
		}
	}
}

// A handle may refer to a part that an earlier one had already.
func TestHandleReference(t *testing.T) {
	var c Classes
	in := AppendListLength(nil, 3)
	in = ints(&c, in, LocalTimeHandle, 1, 2, 3, 0) // container 1
	in = ints(&c, in, ZoneOffsetHandle, 3600)      // container 2
	in = append(c.AppendObject(in, OffsetTimeHandle), 0x51, 0x91, 0x51, 0x92)
	got, _, err := AppendJSON(nil, in, Options{})
	if want := `["01:02:03","+01:00","01:02:03+01:00"]`; string(got) != want || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	// Its parts may be missing or of a wrong kind: what is known is written.
	in = append(c.AppendObject(AppendListLength(nil, 1), OffsetTimeHandle), 'N', 'T')
	if got, _, err = AppendJSON(nil, in, Options{}); err == nil {
		t.Errorf("a class of another message was found: %s", got)
	}
	c.Reset()
	in = append(c.AppendObject(AppendListLength(nil, 1), OffsetTimeHandle), 'N', 'T')
	if got, _, err = AppendJSON(nil, in, Options{}); string(got) != `["00:00:00Z"]` || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestClassesReset(t *testing.T) {
	var c Classes
	first := ints(&c, nil, YearHandle, 1)
	if again := ints(&c, nil, YearHandle, 1); len(again) >= len(first) {
		t.Error("the definition was written twice")
	}
	c.Reset()
	if again := ints(&c, nil, YearHandle, 1); string(again) != string(first) {
		t.Error("Reset kept a definition")
	}
}

func TestEnums(t *testing.T) {
	var c Classes
	in := AppendListLength(nil, 5)
	in = c.AppendEnum(in, "lab.Gender", []byte("MALE"))
	in = ints(&c, in, YearHandle, 2026)
	in = c.AppendEnum(in, "lab.Color", []byte("RED"))
	start := len(in)
	in = c.AppendEnum(in, "lab.Gender", []byte("FEMALE"))
	if len(in)-start != 8 {
		t.Errorf("the second constant takes %d bytes", len(in)-start)
	}
	in = ints(&c, in, YearHandle, 2027)
	got, rest, err := AppendJSON(nil, in, Options{})
	if want := `["MALE","2026","RED","FEMALE","2027"]`; string(got) != want || err != nil || len(rest) > 0 {
		t.Errorf("got %s, %v", got, err)
	}
	c.Reset()
	if again := c.AppendEnum(nil, "lab.Gender", []byte("MALE")); again[0] != 'C' {
		t.Errorf("Reset kept a definition: %q", again)
	}
}

// More than sixteen classes in one message need a longer form.
func TestAllHandles(t *testing.T) {
	var c Classes
	in := AppendListLength(nil, int(handles))
	for h := range handles {
		in = c.AppendObject(in, h)
		_, fields := handleClass(h)
		for range strings.Count(fields, ",") + 1 {
			in = AppendInt(in, 1)
		}
	}
	if _, rest, err := AppendJSON(nil, in, Options{}); err != nil || len(rest) > 0 {
		t.Errorf("%v, %d left", err, len(rest))
	}
}
