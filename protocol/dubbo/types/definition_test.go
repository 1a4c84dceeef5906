package types

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// shop is a definition as Dubbo 3.3 publishes it.
const shop = `{"annotations":[],"canonicalName":"lab.Shop","codeSource":"file:/x/","methods":[
 {"annotations":[],"name":"hello","parameterTypes":["java.lang.String"],"parameters":[],"returnType":"java.lang.String"},
 {"name":"hello","parameterTypes":["java.lang.String","int"],"returnType":"java.lang.String"},
 {"name":"find","parameterTypes":["int"],"returnType":"lab.User"},
 {"name":"find","parameterTypes":["lab.User"],"returnType":"lab.User"},
 {"name":"find","parameterTypes":["java.lang.String"],"returnType":"lab.User"},
 {"name":"find","parameterTypes":["java.util.List<java.lang.Long>"],"returnType":"lab.User"},
 {"name":"sum","parameterTypes":["int"],"returnType":"int"},
 {"name":"sum","parameterTypes":["long"],"returnType":"long"},
 {"name":"sum","parameterTypes":["java.lang.Object"],"returnType":"long"},
 {"name":"ping","parameterTypes":[],"returnType":"void"},
 {"name":"save","parameterTypes":["lab.User"],"returnType":"void"},
 {"name":"page","parameterTypes":["lab.Page"],"returnType":"lab.Page"},
 {"name":"pair","parameterTypes":["lab.Pair"],"returnType":"void"},
 {"name":"raw","parameterTypes":["java.util.List","java.util.Map"],"returnType":"void"},
 {"name":"nested","parameterTypes":["lab.Outer.Inner","lab.Outer.Inner[]"],"returnType":"void"},
 {"name":"ints","parameterTypes":["java.util.Map<java.lang.Integer,java.util.List<lab.Address>>"],"returnType":"void"},
 {"name":"own","parameterTypes":["lab.Names","lab.Index"],"returnType":"void"},
 {"name":"grow","parameterTypes":["lab.Growing"],"returnType":"void"}],
"parameters":{"side":"provider"},"types":[
 {"enums":[],"items":[],"properties":{"id":"java.lang.Long","name":"java.lang.String","gender":"lab.Gender","age":"int",
   "balance":"java.math.BigDecimal","birthday":"java.util.Date","address":"lab.Address","tags":"java.util.List<java.lang.String>",
   "scores":"java.util.Map<java.lang.String,java.lang.Integer>","friends":"lab.User[]","parent":"lab.User","vip":"boolean",
   "joined":"java.time.LocalDateTime","seen":"java.time.Instant","picture":"byte[]","extra":"java.lang.Object"},"type":"lab.User"},
 {"enums":["MALE","FEMALE"],"items":[],"properties":{},"type":"lab.Gender"},
 {"enums":[],"items":[],"properties":{"street":"java.lang.String","zip":"char[]","latitude":"double"},"type":"lab.Address"},
 {"enums":[],"items":[],"properties":{"total":"int","items":"java.util.List<T>","first":"java.lang.Object","byName":"java.util.Map<java.lang.String,T>","all":"java.lang.Object[]"},"type":"lab.Page"},
 {"enums":[],"items":[],"properties":{"keys":"java.util.List<K>","values":"java.util.List<V>"},"type":"lab.Pair"},
 {"enums":[],"items":[],"properties":{"code":"int","data":"java.lang.Object","attributes":"java.util.Map<java.lang.String,java.lang.Object>"},"type":"lab.Result"},
 {"enums":[],"items":[],"properties":{"x":"int"},"type":"lab.Outer.Inner"},
 {"enums":[],"items":["java.lang.String"],"properties":{},"type":"lab.Names"},
 {"enums":[],"items":["java.lang.Integer","lab.Gender"],"properties":{},"type":"lab.Index"},
 {"enums":[],"items":[],"properties":{"more":"lab.Growing<java.util.List<T>>","it":"java.lang.Object"},"type":"lab.Growing"},
 {"enums":[],"items":["java.lang.String"],"properties":{},"type":"java.util.List<java.lang.String>"},
 {"enums":[],"items":[],"properties":{"seconds":"long","nanos":"int"},"type":"java.time.Instant"},
 {"enums":[],"items":[],"properties":{"value":"byte[]","hash":"int"},"type":"java.lang.String"},
 {"enums":[],"items":[],"properties":{},"type":"int"}],
"uniqueId":"lab.Shop@file:/x/"}`

func parse(t testing.TB, doc string) *Definition {
	t.Helper()
	d, err := ParseDefinition([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDefinition(t *testing.T) {
	d := parse(t, shop)
	if d.Service() != "lab.Shop" {
		t.Errorf("service %q", d.Service())
	}
	if got := strings.Join(d.Names(), " "); got != "find grow hello ints nested own page pair ping raw save sum" {
		t.Errorf("methods %s", got)
	}
	hello := d.Methods("hello")
	if len(hello) != 2 || hello[0].String() != "hello(java.lang.String)" || hello[1].String() != "hello(java.lang.String,int)" {
		t.Errorf("overloads %v", hello)
	}
	if ping := d.Methods("ping"); len(ping) != 1 || ping[0].String() != "ping()" || len(ping[0].ErasedTypes) != 0 {
		t.Errorf("no arguments: %v", ping)
	}
	if got := d.Methods("ints")[0]; got.String() != "ints(java.util.Map)" || got.Params[0].Name() != "java.util.Map<java.lang.Integer,java.util.List<lab.Address>>" {
		t.Errorf("generics: %v %s", got, got.Params[0].Name())
	}
	if got := d.Methods("nested")[0].String(); got != "nested(lab.Outer$Inner,lab.Outer$Inner[])" {
		t.Errorf("nested class: %s", got)
	}
	if d.Methods("none") != nil {
		t.Error("a method that is not there")
	}
	if u := d.Methods("save")[0].Params[0]; !u.IsObject() || u.IsScalar() || u.Name() != "lab.User" || u.Erased() != "lab.User" {
		t.Errorf("bean %+v", u)
	}
	if e, ok := d.Methods("nested")[0].Params[1].Elem(); !ok || e.Name() != "lab.Outer.Inner" {
		t.Errorf("element %v %t", e, ok)
	}
	if got := d.Methods("hello")[0].Return.Name(); got != "java.lang.String" {
		t.Errorf("return type %s", got)
	}
	var none *Definition
	if none.Methods("x") != nil || none.Names() != nil || none.Service() != "" {
		t.Error("a nil definition knows something")
	}
}

// old is the same kind of thing from Dubbo 2.7: nested objects and fastjson's references.
const old = `{"canonicalName":"lab.Shop","codeSource":"x","methods":[
 {"name":"save","parameterTypes":["lab.User"],"parameters":[{"$ref":"$.types[0]"}],"returnType":"void"},
 {"name":"all","parameterTypes":["java.util.List<lab.User>","java.util.Map<java.lang.String, lab.Status>"],"returnType":"java.util.List<lab.User>"},
 {"$ref":"$.methods[0]"}],
"types":[
 {"id":"{x}","properties":{
   "id":{"type":"long","typeBuilderName":"org.apache.dubbo.metadata.definition.builder.DefaultTypeBuilder"},
   "status":{"enums":["ON","OFF"],"type":"lab.Status"},
   "old.status":{"$ref":"$.types[0].properties.status"},
   "other":{"$ref":"$.types[0].properties.old.status"},
   "address":{"$ref":"$.types[1]"},
   "home":{"$ref":"$.types[2]"},
   "tags":{"items":[{"type":"java.lang.String"}],"type":"java.util.List<java.lang.String>"},
   "addresses":{"items":[{"$ref":"$.types[1]"}],"type":"java.util.List"},
   "array":{"items":[{"$ref":"$.types[1]"}],"type":"lab.Address[]"},
   "parent":{"$ref":"lab.User","type":"lab.User"},
   "again":{"$ref":"lab.User"},
   "unknown":{"$ref":"$.types[99].properties"},
   "loop":{"$ref":"$.types[0].properties.loop"}},
  "type":"lab.User","typeBuilderName":"org.apache.dubbo.metadata.definition.builder.DefaultTypeBuilder"},
 {"properties":{"street":{"type":"java.lang.String"},"city":{"properties":{"name":{"type":"java.lang.String"}},"type":"lab.City"}},"type":"lab.Address"},
 {"$ref":"$.types[1]"},
 {"$ref":"$.types[0].properties.status"},
 {"type":"java.lang.String"}]}`

func TestOldDefinition(t *testing.T) {
	d := parse(t, old)
	if got := strings.Join(d.Names(), " "); got != "all save" || len(d.Methods("save")) != 1 {
		t.Fatalf("methods %s", got)
	}
	user := d.Methods("save")[0].Params[0]
	want := map[string]struct {
		kind kind
		name string
	}{
		"id": {wholeKind, "long"}, "status": {enumKind, "lab.Status"}, "old.status": {enumKind, "lab.Status"},
		"other": {enumKind, "lab.Status"}, "address": {beanKind, "lab.Address"}, "home": {beanKind, "lab.Address"},
		"tags": {listKind, "java.util.List<java.lang.String>"}, "addresses": {listKind, "java.util.List<lab.Address>"},
		"array": {listKind, "lab.Address[]"}, "parent": {beanKind, "lab.User"}, "again": {beanKind, "lab.User"},
		"unknown": {opaqueKind, "java.lang.Object"}, "loop": {opaqueKind, "java.lang.Object"},
	}
	if len(user.props) != len(want) {
		t.Errorf("%d properties", len(user.props))
	}
	for name, w := range want {
		p := user.props[name]
		if p == nil || p.typ.kind != w.kind || p.typ.name != w.name {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if user.props["parent"].typ != user {
		t.Error("recursion does not lead back to the same type")
	}
	city := user.props["address"].typ.props["city"].typ
	if city.kind != beanKind || city.props["name"].typ.kind != stringKind {
		t.Errorf("nested object: %+v", city)
	}
	if e := user.props["addresses"].typ.elem; e.kind != beanKind {
		t.Errorf("items by reference: %+v", e)
	}
	all := d.Methods("all")[0]
	if all.String() != "all(java.util.List,java.util.Map)" || all.Params[1].elem.kind != enumKind {
		t.Errorf("generics: %s", all)
	}
}

func TestBadDefinitions(t *testing.T) {
	for _, doc := range []string{
		``, `[]`, `{`, `null`, `"x"`, `{}`, `{"methods":{}}`,
	} {
		if d, err := ParseDefinition([]byte(doc)); err == nil {
			t.Errorf("%s gave %+v", doc, d)
		}
	}
	if _, err := ParseDefinition(make([]byte, maxDocument+1)); err == nil {
		t.Error("a huge document was read")
	}
	// What cannot be understood does not take the rest with it.
	d := parse(t, `{"methods":[{"name":"a","parameterTypes":["java.util.List<"]},{"name":""},7,{"name":"b","parameterTypes":[7,null,{"x":1}]},
		{"name":"c","parameterTypes":["lab.X"],"returnType":"<"}],
		"types":[7,null,{"type":7},{"type":"lab.X","properties":{"y":"<<","class":"java.lang.Class","z":"int"}},{"type":"lab.E","enums":[7,"A"]},{"$ref":"$"},{"$ref":"$.types[-1]"},{"$ref":"$x"},{"$ref":"$[0]"},{"$ref":"$.types.x"},{"type":"<"}]}`)
	if got := strings.Join(d.Names(), " "); got != "b c" {
		t.Errorf("methods %s", got)
	}
	if x := d.Methods("c")[0].Params[0]; len(x.props) != 2 || x.props["y"].typ.kind != opaqueKind {
		t.Errorf("properties %v", x.props)
	}
}

// References that multiply are cut off, not followed for hours.
func TestTangledDefinition(t *testing.T) {
	var doc strings.Builder
	doc.WriteString(`{"methods":[],"types":[{"type":"java.util.List<x>","items":["int"]}`)
	for i := range 60 {
		ref := `{"$ref":"$.types[` + itoa(i) + `]"}`
		doc.WriteString(`,{"type":"java.util.List<x>","items":[` + ref + `,` + ref + `]}`)
	}
	doc.WriteString(`]}`)
	if _, err := ParseDefinition([]byte(doc.String())); !errors.Is(err, errTangled) {
		t.Errorf("got %v", err)
	}
}

func itoa(i int) string { return strings.TrimSuffix(strings.TrimPrefix(index(i), "["), "]") }

func TestSignature(t *testing.T) {
	d := parse(t, shop)
	for _, c := range []struct {
		method string
		types  []string
		want   string
		same   bool // it is the definition's own method
	}{
		{"hello", []string{"java.lang.String", "int"}, "hello(java.lang.String,int)", true},
		{"ping", nil, "ping()", true},
		{"page", []string{"lab.Page"}, "page(lab.Page)", true},
		{"page", []string{"lab.Page<lab.User>"}, "page(lab.Page)", false},
		{"nested", []string{"lab.Outer$Inner", "[Llab.Outer$Inner;"}, "nested(lab.Outer$Inner,lab.Outer$Inner[])", true},
		{"stale", []string{"lab.User"}, "stale(lab.User)", false},
		{"hello", []string{"[B", "[[I", "long[]"}, "hello(byte[],int[][],long[])", false},
	} {
		m, err := d.Signature(c.method, c.types)
		if err != nil || m.String() != c.want {
			t.Errorf("%s %v: %v, %v", c.method, c.types, m, err)
			continue
		}
		if c.same != slices.Contains(d.Methods(c.method), m) {
			t.Errorf("%s %v: same %t", c.method, c.types, !c.same)
		}
	}
	var none *Definition
	m, err := none.Signature("x", []string{"java.util.List<lab.User>", "lab.User", "int"})
	if err != nil || m.String() != "x(java.util.List,lab.User,int)" || m.Params[1].kind != opaqueKind {
		t.Errorf("without a definition: %v, %v", m, err)
	}
	for _, bad := range []string{"", "java.util.List<", "int[", "int]", "[Q", "[Llab.User", "a b", "List<int>>", strings.Repeat("a<", 40) + strings.Repeat(">", 40), "x" + strings.Repeat("[]", 300), strings.Repeat("[", 300) + "I", "a'b"} {
		if m, err := d.Signature("x", []string{bad}); err == nil {
			t.Errorf("%q was taken as %v", bad, m)
		}
	}
}

func TestChoose(t *testing.T) {
	d := parse(t, shop)
	for _, c := range []struct {
		method string
		args   []Kind
		want   string
	}{
		{"hello", []Kind{String}, "hello(java.lang.String)"},
		{"hello", []Kind{String, Integer}, "hello(java.lang.String,int)"},
		{"hello", []Kind{Object, Array}, "hello(java.lang.String,int)"}, // the only one of two arguments; encoding will tell
		{"hello", []Kind{Text}, "hello(java.lang.String)"},
		{"find", []Kind{Integer}, "find(int)"},
		{"find", []Kind{String}, "find(java.lang.String)"},
		{"find", []Kind{Object}, "find(lab.User)"},
		{"find", []Kind{Array}, "find(java.util.List)"},
		{"sum", []Kind{Object}, "sum(java.lang.Object)"},
		{"sum", []Kind{String}, "sum(long)"},
		{"ping", nil, "ping()"},
	} {
		m, err := Choose(d.Methods(c.method), c.args...)
		if err != nil || m.String() != c.want {
			t.Errorf("%s %v: %v, %v; want %s", c.method, c.args, m, err, c.want)
		}
	}
	for _, c := range []struct {
		method    string
		args      []Kind
		ambiguous bool
		text      string
	}{
		{"sum", []Kind{Integer}, true, "the arguments fit several overloads of sum: sum(int), sum(long), sum(java.lang.Object)"},
		{"find", []Kind{Text}, true, "the arguments fit several overloads of find: find(int), find(lab.User), find(java.lang.String), find(java.util.List)"},
		{"find", []Kind{Null}, true, "the arguments fit several overloads of find: find(lab.User), find(java.lang.String), find(java.util.List)"},
		{"find", []Kind{Bool}, false, "the arguments fit no overload of find: find(int), find(lab.User), find(java.lang.String), find(java.util.List)"},
		{"hello", nil, false, "the arguments fit no overload of hello: hello(java.lang.String), hello(java.lang.String,int)"},
		{"none", nil, false, "there is no such method"},
	} {
		m, err := Choose(d.Methods(c.method), c.args...)
		var e *OverloadError
		if m != nil || !errors.As(err, &e) || e.Ambiguous != c.ambiguous || err.Error() != c.text {
			t.Errorf("%s %v: %v, %v; want %s", c.method, c.args, m, err, c.text)
		}
	}
}
