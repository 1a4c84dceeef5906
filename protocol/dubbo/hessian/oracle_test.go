package hessian

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	oracle "github.com/apache/dubbo-go-hessian2"
	"github.com/apache/dubbo-go-hessian2/java8_time"
	"github.com/apache/dubbo-go-hessian2/java_sql_time"
	"github.com/apache/dubbo-go-hessian2/java_util"
	big "github.com/dubbogo/gost/math/big"
)

// These tests ask dubbo-go-hessian2, the codec of Dubbo's own Go side, for a second opinion. A Decoder of it is used once
// only: it keeps references of earlier messages.

type oracleUser struct {
	ID     int64
	Name   string
	Tags   []string
	Parent *oracleUser
}

func (oracleUser) JavaClassName() string { return "lab.User" }

// TestReadsOracle reads what dubbo-go-hessian2 writes.
func TestReadsOracle(t *testing.T) {
	decimal, err := big.NewDecFromString("1.10")
	if err != nil {
		t.Fatal(err)
	}
	integer := &big.Integer{}
	if err := integer.FromString("-123456789012345678901234567890"); err != nil {
		t.Fatal(err)
	}
	shared := &oracleUser{ID: 1, Name: "x"}
	cyclic := &oracleUser{ID: 1}
	cyclic.Parent = cyclic
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		{"null", nil, `null`},
		{"bool", true, `true`},
		{"text", "é😀\"", `"é😀\""`},
		{"long text", strings.Repeat("é😀", 20_000), `"` + strings.Repeat("é😀", 20_000) + `"`},
		{"double", 12.25, `12.25`},
		{"bytes", make([]byte, 100_000), `"` + strings.Repeat("A", 133_334) + `=="`},
		{"date", at, `"2026-01-02T03:04:05.006Z"`},
		{"date of minutes", time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), `"2026-01-02T03:04:00Z"`},
		{"list", []any{int32(1), int64(2), "a", nil}, `[1,2,"a",null]`},
		{"typed list", []int32{1, 2}, `[1,2]`},
		{"map", map[any]any{int32(7): "x"}, `{"7":"x"}`},
		{"object", &oracleUser{ID: 5, Name: "bob", Tags: []string{"a", "b"}}, `{"iD":5,"name":"bob","tags":["a","b"],"parent":null}`},
		{"shared object", []any{shared, shared}, `[{"iD":1,"name":"x","tags":null,"parent":null},{"iD":1,"name":"x","tags":null,"parent":null}]`},
		{"cycle", cyclic, `{"iD":1,"name":"","tags":null,"parent":null}`},
		{"decimal", decimal, `1.10`},
		{"big integer", integer, `-123456789012345678901234567890`},
		{"instant", java8_time.Instant{Seconds: 1, Nanos: 5}, `"1970-01-01T00:00:01.000000005Z"`},
		{"duration", java8_time.Duration{Seconds: 90}, `"PT1M30S"`},
		{"local date", java8_time.LocalDate{Year: 2026, Month: 1, Day: 2}, `"2026-01-02"`},
		{"zoned", java8_time.ZonedDateTime{
			DateTime: java8_time.LocalDateTime{Date: java8_time.LocalDate{Year: 2026, Month: 1, Day: 2}, Time: java8_time.LocalTime{Hour: 3}},
			Offset:   java8_time.ZoneOffSet{Seconds: 3600}, ZoneId: "Europe/Paris",
		}, `"2026-01-02T03:00:00+01:00[Europe/Paris]"`},
		{"period", java8_time.Period{Years: 1, Days: 2}, `"P1Y2D"`},
		{"uuid", &java_util.UUID{Value: "01234567-89ab-cdef-8edc-ba9876543210"}, `"01234567-89ab-cdef-8edc-ba9876543210"`},
		{"sql date", &java_sql_time.Date{Time: at}, `"2026-01-02T03:04:05.006Z"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := oracle.NewEncoder()
			if err := e.Encode(c.v); err != nil {
				t.Fatal(err)
			}
			got, rest, err := AppendJSON(nil, e.Buffer(), Options{CyclesAsNull: true})
			if string(got) != c.want || err != nil || len(rest) > 0 {
				t.Errorf("%q:\ngot  %.200s, %d left, %v\nwant %.200s", e.Buffer()[:min(100, len(e.Buffer()))], got, len(rest), err, c.want)
			}
		})
	}
}

// TestOracleReads lets dubbo-go-hessian2 read what is written here.
func TestOracleReads(t *testing.T) {
	var c Classes
	open, mark := AppendListStart(nil)
	open = AppendInt(AppendString(open, "a"), 5)
	PatchListLength(open, mark, 2)
	for name, w := range map[string]struct {
		in   []byte
		want any
	}{
		"long text":    {AppendString(nil, strings.Repeat("é😀", 20_000)), strings.Repeat("é😀", 20_000)},
		"bytes":        {AppendBinary(nil, make([]byte, 100_000)), make([]byte, 100_000)},
		"date":         {AppendDate(nil, 1700000000123), time.UnixMilli(1700000000123)},
		"patched list": {open, []any{"a", int32(5)}},
		"list":         {AppendLong(AppendListLength(nil, 1), 5), []any{int64(5)}},
		"typed list":   {AppendString(AppendTypedListLength(nil, "[string", 1), "x"), []string{"x"}},
		"map":          {AppendMapEnd(AppendDouble(AppendInt(AppendMapStart(nil), 1), 2.5)), map[any]any{int32(1): 2.5}},
		"instant":      {AppendInt(AppendLong(c.AppendObject(nil, InstantHandle), 7), 8), &java8_time.Instant{Seconds: 7, Nanos: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := oracle.NewDecoder(w.in).Decode()
			if err != nil {
				t.Fatal(err)
			}
			if at, ok := got.(time.Time); ok {
				if !at.Equal(w.want.(time.Time)) {
					t.Errorf("got %v", at)
				}
			} else if !reflect.DeepEqual(got, w.want) {
				t.Errorf("got %.200v", got)
			}
		})
	}
}

// TestScalarsAgainstOracle compares numbers over their whole range, bytes and values.
func TestScalarsAgainstOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		n := int64(random.Uint64()) >> (i % 64)
		e := oracle.NewEncoder()
		f := float64(n) / float64(int64(1)<<(i%20))
		for _, v := range []any{int32(n), n, f} {
			if err := e.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		var d Decoder
		d.Reset(e.Buffer(), Options{})
		got, err := d.AppendJSON(nil)
		if want := fmt.Sprint(int32(n)); string(got) != want || err != nil {
			t.Fatalf("int %s, %v; want %s", got, err, want)
		}
		if got, err = d.AppendJSON(got[:0]); string(got) != fmt.Sprint(n) || err != nil {
			t.Fatalf("long %s, %v; want %d", got, err, n)
		}
		var back float64
		if got, err = d.AppendJSON(got[:0]); err != nil || json.Unmarshal(got, &back) != nil || back != f {
			t.Fatalf("double %s, %v; want %v", got, err, f)
		}
		in := AppendDouble(AppendLong(AppendInt(nil, int32(n)), n), f)
		o := oracle.NewDecoder(in)
		for _, want := range []any{int32(n), n, f} {
			if got, err := o.Decode(); got != want || err != nil {
				t.Fatalf("%x: dubbo-go reads %v, %v; want %v", in, got, err, want)
			}
		}
	}
	if v, err := oracle.NewDecoder(AppendDouble(nil, math.Copysign(0, -1))).Decode(); err != nil || !math.Signbit(v.(float64)) {
		t.Errorf("negative zero became %v, %v", v, err)
	}
}
