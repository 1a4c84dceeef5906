package grpc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

func kinds(t testing.TB, s *Schema) (protoreflect.MessageDescriptor, *plan) {
	t.Helper()
	d, err := s.files.FindDescriptorByName("test.shop.v1.Kinds")
	if err != nil {
		t.Fatal(err)
	}
	var p plans
	return d.(protoreflect.MessageDescriptor), p.of(d.(protoreflect.MessageDescriptor))
}

// TestQuickIsTheSame reads and writes every kind in every form, the quick way and with protobuf's own library.
func TestQuickIsTheSame(t *testing.T) {
	s := testSchema(t)
	d, q := kinds(t, s)
	if q.slow {
		t.Fatal("the plan is slow")
	}
	values := map[string][]string{
		"int32":   {"0", "1", "-1", "2147483647", "-2147483648", `"5"`, "2147483648", "-2147483649", "1.0", "1e2", "1.5", `" 1"`, "-0", "01", "+1", "true", `""`},
		"uint32":  {"0", "1", "4294967295", "4294967296", "-1", "-0", `"7"`, "1e1"},
		"int64":   {"0", "-1", "9223372036854775807", `"-9223372036854775808"`, "9223372036854775808", `"1e3"`},
		"uint64":  {"0", "18446744073709551615", `"18446744073709551615"`, "18446744073709551616", "-1"},
		"float":   {"0", "-0", "1.5", "-1e-3", "3.4e38", "3.5e38", `"NaN"`, `"Infinity"`, `"-Infinity"`, `"1.5"`, "1.", "1.e5", ".5", "1e", "1e+5", "0.1", "16777217", "1e-50"},
		"bool":    {"true", "false", `"true"`, "1", "truex", "t"},
		"string":  {`""`, `"a"`, `"\u00e4"`, `"\n\"\\"`, `"\ud83d\ude00"`, `"\ud83d"`, "\"\u00e4\u2028\"", "\"\xff\"", "\"a\nb\"", "5", `"open`, `"\x"`, "\"\x7f\""},
		"bytes":   {`""`, `"AA=="`, `"AAA="`, `"AAAA"`, `"AA"`, `"-_8="`, `"+/8="`, `"A"`, `"AB=="`, `"A A="`, "1"},
		"color":   {`"RED"`, `"COLOR_UNSPECIFIED"`, "1", "77", "-1", `"BLUE"`, `"1"`, "1.0", `"red"`},
		"message": {"{}", `{"aInt32":5}`, `{"a_message":{"rString":["x"]}}`, "[]", "5", `{"x":1}`, `{"aInt32":1,"aInt32":2}`, `{"aInt32":1,"a_int32":2}`},
	}
	for _, alias := range []string{"sint32", "sfixed32"} {
		values[alias] = values["int32"]
	}
	values["fixed32"], values["double"] = values["uint32"], values["float"]
	for _, alias := range []string{"sint64", "sfixed64", "unpacked"} {
		values[alias] = values["int64"]
	}
	values["fixed64"] = values["uint64"]
	options := protojson.UnmarshalOptions{Resolver: s.types}
	r := quickReader{options: options}
	both := func(text string) {
		t.Helper()
		want := dynamicpb.NewMessage(d)
		wantErr := options.Unmarshal([]byte(text), want)
		wire, err := r.read(nil, []byte(text), q)
		if err != nil {
			// The slow way judges; but only what is odd may go there.
			if !errors.Is(err, errSlow) && !errors.Is(err, errRefused) {
				t.Errorf("%s: %v", text, err)
			}
			if wantErr == nil {
				t.Errorf("%s goes the slow way as a whole: %v", text, err)
			}
			return
		}
		got := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(wire, got); err != nil || wantErr != nil || !sameMessage(t, got, want) {
			t.Errorf("%s is read as %v (%v), want %v (%v)", text, got, err, want, wantErr)
			return
		}
		for _, o := range []JSON{{}, {EnumNumbers: true}, {Int64Numbers: true}, {ProtoNames: true}} {
			w := writer{options: o, types: s.types}
			ordered, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			slow, err := w.message(nil, want, 0)
			if err != nil {
				t.Fatal(err)
			}
			quick, err := w.quick(nil, ordered, q, 0)
			if err != nil && !strings.Contains(text, "-0") || err == nil && string(quick) != string(slow) {
				t.Errorf("%s with %+v:\nquick %s, %v\nslow  %s", text, o, quick, err, slow)
			}
		}
	}
	for name, list := range values {
		for _, v := range list {
			if name != "unpacked" {
				both(fmt.Sprintf(`{"a_%s":%s}`, name, v))
			}
			both(fmt.Sprintf(`{"r_%s":[%s]}`, name, v))
			both(fmt.Sprintf(` { "r_%s" : [ %s , %s ] } `, name, list[0], v))
			switch name {
			case "int32", "string", "color":
				both(fmt.Sprintf(`{"o_%s":%s}`, name, v))
			}
			switch name {
			case "int32", "string", "message":
				both(fmt.Sprintf(`{"c_%s":%s}`, name, v))
			}
		}
	}
	for _, text := range []string{
		`{}`, ` {} `, `{"aInt32":null,"rInt32":null,"aMessage":null,"cInt32":null}`, `{"rInt32":[]}`, `{"rInt32":[null]}`, `{"rMessage":[null]}`,
		`{"cInt32":1,"cString":"x"}`, `{"cInt32":1,"cString":null}`, `{"cInt32":1,"cMessage":{}}`, `{"cInt32":1.0,"cString":"x"}`, `{"cInt32":1.0,"cString":"\n"}`,
		`{"aInt32":1,}`, `{"aInt32" 1}`, `{aInt32:1}`, `{"aInt32":1`, `{"aInt32":1}}`, `{"aInt32":1}{}`, `{,}`, `{"rInt32":[1,]}`, `{"rInt32":[1 2]}`, `{"rInt32":[1}`, ``, `null`,
		`{"a\u0049nt32":1}`, `{"none":1}`, `{"aMessage":{"none":1}}`,
		`{"aMessage":` + strings.Repeat(`{"aMessage":`, 30) + `{"aString":"\n","rColor":[1]}` + strings.Repeat("}", 31),
	} {
		if strings.HasPrefix(text, `{"a\u0049`) {
			continue // an escaped name goes the slow way, and comes out right there
		}
		both(text)
	}
}

// TestQuickReadsOddWire: what other writers may do with a message is read as protobuf says, or left to the slow way.
func TestQuickReadsOddWire(t *testing.T) {
	s := testSchema(t)
	d, q := kinds(t, s)
	w := writer{types: s.types}
	tag := func(n protowire.Number, typ protowire.Type) []byte { return protowire.AppendTag(nil, n, typ) }
	join := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	one := join(tag(1, protowire.VarintType), []byte{5})
	packed := join(tag(101, protowire.BytesType), []byte{2, 1, 2})
	single := join(tag(101, protowire.VarintType), []byte{3})
	unknown := join(tag(999, protowire.BytesType), []byte{1, 'x'})
	for name, c := range map[string]struct {
		wire []byte
		slow bool // as a whole
		bad  bool
	}{
		"a value":                 {wire: one},
		"twice":                   {wire: join(one, one), slow: true},
		"unknown":                 {wire: join(unknown, one, unknown)},
		"an unknown group":        {wire: join(tag(998, protowire.StartGroupType), one, tag(998, protowire.EndGroupType), one)},
		"packed and single":       {wire: join(packed, single, packed)},
		"parts apart":             {wire: join(packed, one, single), slow: true},
		"packed where it is not":  {wire: join(tag(118, protowire.BytesType), []byte{2, 1, 2})},
		"an empty list":           {wire: join(tag(101, protowire.BytesType), []byte{0})},
		"a zero":                  {wire: join(tag(1, protowire.VarintType), []byte{0})},
		"an optional zero":        {wire: join(tag(201, protowire.VarintType), []byte{0})},
		"a long varint":           {wire: join(tag(1, protowire.VarintType), []byte{0x85, 0x80, 0x00})},
		"an int32 of 64 bits":     {wire: join(tag(1, protowire.VarintType), protowire.AppendVarint(nil, 1<<40|7))},
		"a sint32 of 64 bits":     {wire: join(tag(2, protowire.VarintType), protowire.AppendVarint(nil, 1<<40|7))},
		"a uint32 of 64 bits":     {wire: join(tag(4, protowire.VarintType), protowire.AppendVarint(nil, 1<<40|7))},
		"a bool of 2":             {wire: join(tag(13, protowire.VarintType), []byte{2})},
		"an enum that is unknown": {wire: join(tag(16, protowire.VarintType), protowire.AppendVarint(nil, 1<<64-5))},
		"a long tag":              {wire: []byte{0x88, 0x80, 0x00, 5}},
		"two of a oneof":          {wire: join(tag(204, protowire.VarintType), []byte{1}, tag(205, protowire.BytesType), []byte{1, 'x'}), slow: true},
		"another type":            {wire: join(tag(1, protowire.BytesType), []byte{1, 'x'}), slow: true},
		"not UTF-8":               {wire: join(tag(14, protowire.BytesType), []byte{1, 0xff}), slow: true, bad: true},
		"cut":                     {wire: one[:1], slow: true, bad: true},
		"cut in a list":           {wire: packed[:4], slow: true, bad: true},
		"cut in an unknown":       {wire: unknown[:3], slow: true, bad: true},
		"field 0":                 {wire: []byte{0, 0}, slow: true, bad: true},
		"an end of no group":      {wire: tag(1, protowire.EndGroupType), slow: true, bad: true},
	} {
		quick, err := w.quick(nil, c.wire, q, 0)
		if (err != nil) != c.slow {
			t.Errorf("%s: %s, %v", name, quick, err)
		}
		m := dynamicpb.NewMessage(d)
		if err := proto.Unmarshal(c.wire, m); (err != nil) != c.bad {
			t.Errorf("%s: protobuf says %v", name, err)
		}
		if c.slow {
			continue
		}
		if slow, err := w.message(nil, m, 0); err != nil || string(slow) != string(quick) {
			t.Errorf("%s:\nquick %s\nslow  %s, %v", name, quick, slow, err)
		}
	}
}

// TestPlans: what is required or extended anywhere below goes the slow way, the rest does not.
func TestPlans(t *testing.T) {
	s := testSchema(t)
	for name, slow := range map[string]bool{
		"test.shop.v1.Item": false, "test.shop.v1.ListItemsResponse": false, "test.shop.v1.OldMessage": true, "test.shop.v1.Money": false,
		"google.protobuf.Timestamp": true, "google.api.HttpBody": true,
	} {
		d, err := s.files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		var p plans
		if got := p.of(d.(protoreflect.MessageDescriptor)).slow; got != slow {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestQuickOverlay: path and query replace and complete what the body says, as they do the slow way.
func TestQuickOverlay(t *testing.T) {
	s := testSchema(t)
	for _, c := range []struct{ method, path, query, body string }{
		{"PATCH", "/v1/shelves/1/items/2", "", `{"name":"other","count":3,"book":"b"}`},
		{"POST", "/v1/shelves/1/items", "tags=a&dry_run=true", `{"name":"n","price":{"units":"5"}}`},
		{"POST", "/v1/shelves/1/items", "", `{}`},
		{"PATCH", "/v1/nested/EUR", "item.price.units=3&item.name=x", `["a"]`},
	} {
		quick, slow := bareCall(t, s, c.method, c.path), bareCall(t, s, c.method, c.path)
		quick.rawQuery, slow.rawQuery = c.query, c.query
		a, err := quick.encode(nil, []byte(c.body), "body")
		if err != nil {
			t.Fatal(err)
		}
		b := *slow.binding
		b.in = nil
		slow.binding = &b
		z, err := slow.encode(nil, []byte(c.body), "body")
		if err != nil {
			t.Fatal(err)
		}
		x, y := dynamicpb.NewMessage(b.input.Descriptor()), dynamicpb.NewMessage(b.input.Descriptor())
		if proto.Unmarshal(a[prefixLen:], x) != nil || proto.Unmarshal(z[prefixLen:], y) != nil || !sameMessage(t, x, y) {
			t.Errorf("%s %s: quick %v, slow %v", c.method, c.path, x, y)
		}
	}
}
