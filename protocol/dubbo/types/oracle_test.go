package types

import (
	"reflect"
	"testing"
	"time"

	oracle "github.com/apache/dubbo-go-hessian2"
	"github.com/apache/dubbo-go-hessian2/java8_time"
	"github.com/apache/dubbo-go-hessian2/java_sql_time"
	"github.com/apache/dubbo-go-hessian2/java_util"
)

// TestOracle lets dubbo-go-hessian2, the codec of Dubbo's own Go side, read arguments: what a Go provider would see. Its
// Decoder is used once only, since it keeps references of earlier messages.
func TestOracle(t *testing.T) {
	type m = map[any]any
	date := java8_time.LocalDate{Year: 2026, Month: 1, Day: 2}
	clock := java8_time.LocalTime{Hour: 3, Minute: 4, Second: 5, Nano: 6}
	both := java8_time.LocalDateTime{Date: date, Time: clock}
	hour := java8_time.ZoneOffSet{Seconds: 3600}
	for _, c := range []struct {
		typ, json string
		want      any
	}{
		{"byte", `-5`, int32(-5)},
		{"int", `70000`, int32(70000)},
		{"long", `70000`, int64(70000)},
		{"long", `"9223372036854775807"`, int64(9223372036854775807)},
		{"double", `2`, 2.0},
		{"float", `0.25`, 0.25},
		{"boolean", `true`, true},
		{"char", `"x"`, "x"},
		{"java.lang.String", `"é😀"`, "é😀"},
		{"java.lang.String", `null`, nil},
		{"java.math.BigDecimal", `1.10`, "1.10"},
		{"java.util.Date", `1700000000123`, time.UnixMilli(1700000000123)},
		{"byte[]", `"AQID"`, []byte{1, 2, 3}},
		{"lab.Gender", `"MALE"`, "MALE"},
		{"java.util.List<java.lang.Long>", `[1,2]`, []any{int64(1), int64(2)}},
		{"int[][]", `[[1],[]]`, []any{[]any{int32(1)}, []any{}}},
		{"java.util.Map<java.lang.Integer,java.lang.Double>", `{"5":1}`, m{int32(5): 1.0}},
		{"lab.User", `{"id":1,"tags":["a"],"parent":{"id":2},"extra":null}`, m{"id": int64(1), "tags": []any{"a"}, "parent": m{"id": int64(2)}, "extra": nil}},
		{"java.lang.Object", `{"a":[1,2147483648,1.5,true,"x",9223372036854775808]}`, m{"a": []any{int32(1), int64(2147483648), 1.5, true, "x", "9223372036854775808"}}},
		{"lab.Result<lab.Address>", `{"data":{"street":"x"}}`, m{"data": m{"class": "lab.Address", "street": "x"}}},
		{"java.time.Instant", `"1970-01-01T00:00:01.5Z"`, &java8_time.Instant{Seconds: 1, Nanos: 500_000_000}},
		{"java.time.Duration", `"PT-0.5S"`, &java8_time.Duration{Seconds: -1, Nanos: 500_000_000}},
		{"java.time.Period", `"P1Y2M3D"`, &java8_time.Period{Years: 1, Months: 2, Days: 3}},
		{"java.time.Year", `2026`, &java8_time.Year{Year: 2026}},
		{"java.time.YearMonth", `"2026-01"`, &java8_time.YearMonth{Year: 2026, Month: 1}},
		{"java.time.MonthDay", `"--01-02"`, &java8_time.MonthDay{Month: 1, Day: 2}},
		{"java.time.ZoneOffset", `"+01:00"`, &hour},
		{"java.time.OffsetTime", `"03:04:05.000000006+01:00"`, &java8_time.OffsetTime{LocalTime: clock, ZoneOffset: hour}},
		{"java.time.OffsetDateTime", `"2026-01-02T03:04:05.000000006+01:00"`, &java8_time.OffsetDateTime{DateTime: both, Offset: hour}},
		{"java.time.ZonedDateTime", `"2026-01-02T03:04:05.000000006+01:00[Europe/Paris]"`, &java8_time.ZonedDateTime{DateTime: both, Offset: hour, ZoneId: "Europe/Paris"}},
		{"java.util.UUID", `"01234567-89ab-cdef-8edc-ba9876543210"`, &java_util.UUID{Value: "01234567-89ab-cdef-8edc-ba9876543210"}},
		{"java.util.Locale", `"fr-FR"`, &java_util.LocaleHandle{Value: "fr_FR"}},
		{"java.sql.Date", `1700000000123`, &java_sql_time.Date{Time: time.UnixMilli(1700000000123)}},
	} {
		t.Run(c.typ+" "+c.json, func(t *testing.T) {
			in, err := encode(t, typ(t, parse(t, shop), c.typ), c.json, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := oracle.NewDecoder(in).Decode()
			if err != nil {
				t.Fatal(err)
			}
			switch want := c.want.(type) {
			case time.Time:
				if at, ok := got.(time.Time); !ok || !at.Equal(want) {
					t.Errorf("got %v", got)
				}
			case *java_sql_time.Date:
				if at, ok := got.(*java_sql_time.Date); !ok || !at.Equal(want.Time) {
					t.Errorf("got %v", got)
				}
			default:
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("got  %#v\nwant %#v", got, c.want)
				}
			}
		})
	}
}
