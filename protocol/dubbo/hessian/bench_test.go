package hessian

import "testing"

// order writes what a provider answers for an order of 25 properties, as the map that a generic call gives.
func order() []byte {
	text := func(b []byte, key, value string) []byte { return AppendString(AppendString(b, key), value) }
	b := AppendMapStart(nil)
	b = text(b, "class", "lab.Order")
	b = AppendLong(AppendString(b, "id"), 1234567890123)
	for _, key := range []string{"number", "customer", "email", "status", "street", "city", "zip", "country", "phone", "coupon", "channel"} {
		b = text(b, key, "some value of "+key)
	}
	b = text(b, "note", "bitte klingeln, Tür links")
	b = append(AppendString(b, "total"), 'C')
	b = AppendString(AppendInt(AppendString(b, "java.math.BigDecimal"), 1), "value")
	b = AppendString(append(b, 0x60), "199.90")
	b = AppendString(append(AppendString(b, "tax"), 0x60), "31.92")
	for i, key := range []string{"count", "priority", "version", "row"} {
		b = AppendInt(AppendString(b, key), int32(i*1000))
	}
	b = AppendDouble(AppendString(b, "weight"), 1.25)
	b = AppendBool(AppendString(b, "gift"), true)
	b = AppendDate(AppendString(b, "created"), 1700000000123)
	b = AppendListLength(AppendString(b, "lines"), 2)
	for range 2 {
		b = text(AppendMapStart(b), "class", "lab.Line")
		b = text(b, "sku", "X-1")
		b = AppendMapEnd(AppendInt(AppendString(b, "quantity"), 2))
	}
	return AppendMapEnd(AppendNull(AppendString(b, "nothing")))
}

func TestDecodeAllocates(t *testing.T) {
	var c Classes
	messages := map[string][]byte{
		"order":       order(),
		"references":  raw(t, `7b 7a 79 91 51 92 51 91 51 92`),
		"big integer": raw(t, bigInteger(`91`, `7a 91 498ee8e136`)),
		"zoned":       zoned(3600, "Europe/Paris")(&c, nil),
		"chunks":      raw(t, `7a 52 0001 eda0bd 01 edb880 41 0002 0102 21 05`),
		"keys":        raw(t, `48 91 01"a" 5c 01"b" 48 5a 90 5a`),
	}
	for name, in := range messages {
		var d Decoder
		var out []byte
		allocs := testing.AllocsPerRun(100, func() {
			d.Reset(in, Options{})
			var err error
			if out, err = d.AppendJSON(out[:0]); err != nil {
				t.Fatal(name, err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// Memory of one unusually large message is not kept for ever.
func TestResetForgets(t *testing.T) {
	var d Decoder
	in := append([]byte{'A', 0xff, 0xff}, make([]byte, 0xffff)...)
	d.Reset(append(in, 'A', 0xff, 0xff), Options{})
	_, _ = d.AppendJSON(nil)
	d.Reset(nil, Options{})
	if cap(d.scratch) > keptScratch {
		t.Errorf("%d bytes are kept", cap(d.scratch))
	}
}

func BenchmarkDecodeOrder(b *testing.B) {
	in := order()
	var d Decoder
	var out []byte
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(in, Options{})
		var err error
		if out, err = d.AppendJSON(out[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeList(b *testing.B) {
	in := AppendListLength(nil, 4000)
	for i := range 4000 {
		in = AppendMapEnd(AppendInt(AppendString(AppendMapStart(in), "id"), int32(i)))
	}
	var d Decoder
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(in, Options{})
		out, _ = d.AppendJSON(out[:0])
	}
}

func BenchmarkAppendString(b *testing.B) {
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendString(buf[:0], "bitte klingeln, Tür links")
	}
}
