package types

import (
	"strings"
	"testing"
)

// order is a bean of 25 properties as services have them.
const order = `{"methods":[],"types":[{"type":"lab.Order","properties":{
 "id":"long","number":"java.lang.String","customer":"java.lang.String","email":"java.lang.String","status":"lab.Status","total":"java.math.BigDecimal",
 "tax":"java.math.BigDecimal","count":"int","weight":"double","gift":"boolean","created":"java.util.Date","due":"java.time.LocalDate","note":"java.lang.String",
 "street":"java.lang.String","city":"java.lang.String","zip":"java.lang.String","country":"java.lang.String","phone":"java.lang.String","tags":"java.util.List<java.lang.String>",
 "lines":"java.util.List<lab.Line>","attributes":"java.util.Map<java.lang.String,java.lang.Integer>","priority":"java.lang.Integer","version":"java.lang.Long","channel":"lab.Status","coupon":"java.lang.String"}},
 {"type":"lab.Line","properties":{"sku":"java.lang.String","quantity":"int","price":"java.math.BigDecimal"}},
 {"type":"lab.Status","enums":["OPEN","PAID","SENT"]}]}`

const orderJSON = `{"id":1234567890123,"number":"A-2026-000123","customer":"Ada Lovelace","email":"ada@example.com","status":"PAID","total":199.90,` +
	`"tax":31.92,"count":3,"weight":1.25,"gift":false,"created":1700000000123,"due":"2026-12-24","note":"bitte klingeln, Tür links",` +
	`"street":"12 St James's Square","city":"London","zip":"SW1Y 4JH","country":"GB","phone":"+44 20 7946 0000","tags":["new","fragile"],` +
	`"lines":[{"sku":"X-1","quantity":1,"price":99.95},{"sku":"X-2","quantity":2,"price":49.98}],"attributes":{"shelf":12,"row":4},"priority":1,"version":7,"channel":"OPEN","coupon":null}`

func TestEncodeAllocates(t *testing.T) {
	for name, c := range map[string]struct{ typ, json string }{
		"bean":       {"lab.Order", orderJSON},
		"untyped":    {"java.lang.Object", orderJSON},
		"escapes":    {"java.util.List<java.lang.String>", `["a\nb","\ud83d\ude00"]`},
		"temporal":   {"java.util.List<java.time.ZonedDateTime>", `["2026-01-02T10:20+01:00[Europe/Paris]"]`},
		"sql":        {"java.sql.Timestamp", `"2026-01-02T10:20:30+01:00"`},
		"bytes":      {"byte[]", `"` + strings.Repeat("AAAA", 2000) + `"`},
		"typed keys": {"java.util.Map<java.lang.Integer,java.lang.Long>", `{"1":"2","2":3}`},
	} {
		typ, in := typ(t, parse(t, order), c.typ), []byte(c.json)
		var e Encoder
		var buf []byte
		allocs := testing.AllocsPerRun(100, func() {
			e.Reset(nil)
			var err error
			if buf, _, err = e.AppendJSON(buf[:0], typ, in); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func BenchmarkEncodeBean(b *testing.B) {
	typ, in := typ(b, parse(b, order), "lab.Order"), []byte(orderJSON)
	var e Encoder
	var buf []byte
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(nil)
		var err error
		if buf, _, err = e.AppendJSON(buf[:0], typ, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeUntyped(b *testing.B) {
	in := []byte(orderJSON)
	var e Encoder
	var buf []byte
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(nil)
		buf, _, _ = e.AppendJSON(buf[:0], object, in)
	}
}

func BenchmarkParseDefinition(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDefinition([]byte(shop)); err != nil {
			b.Fatal(err)
		}
	}
}
