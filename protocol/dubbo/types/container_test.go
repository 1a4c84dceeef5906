package types

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// TestContainers writes JSON as hessian2 and reads that back: what a provider would see.
func TestContainers(t *testing.T) {
	for _, c := range []struct {
		typ, json, want string
		opts            Options
	}{
		{"java.util.List<int>", ` [ 1 , 2 ]`, `[1,2]`, Options{}},
		{"java.util.List<java.lang.Long>", `["9007199254740993",2,null]`, `[9007199254740993,2,null]`, Options{}},
		{"java.util.Set<lab.Gender>", `["MALE"]`, `["MALE"]`, Options{}},
		{"long[]", `[]`, `[]`, Options{}},
		{"int[][]", `[[1],[2,3],null]`, `[[1],[2,3],null]`, Options{}},
		{"java.util.List", `[1,"a",{"x":[true]}]`, `[1,"a",{"x":[true]}]`, Options{}},
		{"java.util.List<?>", `[1]`, `[1]`, Options{}},
		{"java.util.List<? extends lab.Address>", `[{"latitude":1}]`, `[{"latitude":1.0}]`, Options{}},
		{"java.util.Map<java.lang.String,java.math.BigDecimal>", `{"a":1.10,"b":null}`, `{"a":"1.10","b":null}`, Options{}},
		{"java.util.Map<lab.Gender,java.lang.Double>", `{"MALE":1}`, `{"MALE":1.0}`, Options{}},
		{"java.util.Map<java.util.Date,java.util.List<java.lang.String>>", `{"1970-01-01":["a"]}`, `{"1970-01-01T00:00:00Z":["a"]}`, Options{}},
		{"java.util.Map", `{"a":{"b":[{}]}}`, `{"a":{"b":[{}]}}`, Options{}},
		{"java.util.Properties", `{"a":"b"}`, `{"a":"b"}`, Options{}},
		{"lab.Names", `["a","b"]`, `["a","b"]`, Options{}},
		{"lab.Index", `{"5":"MALE"}`, `{"5":"MALE"}`, Options{}},
		{"lab.User", `{"id":1,"name":"bob","gender":"MALE","age":7,"balance":1.10,"birthday":0,"address":{"street":"x","zip":["1","2"],"latitude":1.5},
			"tags":["a"],"scores":{"x":1},"friends":[{"id":2}],"parent":{"parent":{"id":3}},"vip":true,"joined":"2026-01-02T03:04:05",
			"seen":"2026-01-02T03:04:05Z","picture":"AQID","extra":{"free":[1,2.5]}}`,
			`{"id":1,"name":"bob","gender":"MALE","age":7,"balance":"1.10","birthday":"1970-01-01T00:00:00Z","address":{"street":"x","zip":["1","2"],"latitude":1.5},` +
				`"tags":["a"],"scores":{"x":1},"friends":[{"id":2}],"parent":{"parent":{"id":3}},"vip":true,"joined":"2026-01-02T03:04:05",` +
				`"seen":"2026-01-02T03:04:05Z","picture":"AQID","extra":{"free":[1,2.5]}}`, Options{}},
		{"lab.User", `{}`, `{}`, Options{}},
		{"lab.User", `null`, `null`, Options{}},
		{"lab.User", `{"n\u0061me":null}`, `{"name":null}`, Options{}},
		{"lab.User", `{"nope":{"a":[1,"\n",null,true,false]},"id":1,"x":1e5}`, `{"id":1}`, Options{Unknown: IgnoreUnknown}},
		{"lab.Page", `{"total":1,"items":[{"free":1}],"first":"x"}`, `{"total":1,"items":[{"free":1}],"first":"x"}`, Options{}},
		{"lab.Page<lab.User>", `{"total":1,"items":[{"id":1}],"first":{"parent":{"id":2}},"byName":{"a":{"id":3}},"all":[{"id":4}]}`,
			`{"total":1,"items":[{"class":"lab.User","id":1}],"first":{"class":"lab.User","parent":{"id":2}},"byName":{"a":{"class":"lab.User","id":3}},"all":[{"class":"lab.User","id":4}]}`, Options{}},
		{"lab.Page<java.util.List<lab.User>>", `{"first":[{"id":1}]}`, `{"first":[{"class":"lab.User","id":1}]}`, Options{}},
		{"lab.Page<lab.Page<lab.User>>", `{"first":{"first":{"id":1}}}`, `{"first":{"class":"lab.Page","first":{"class":"lab.User","id":1}}}`, Options{}},
		{"lab.Page<lab.Unknown>", `{"first":{"id":1},"items":["x"]}`, `{"first":{"class":"lab.Unknown","id":1},"items":["x"]}`, Options{}},
		{"lab.Page<lab.User,lab.User>", `{"first":{"free":1}}`, `{"first":{"free":1}}`, Options{}},
		{"lab.Page<java.lang.Long>", `{"first":1}`, `{"first":1}`, Options{}},
		{"lab.Pair<java.lang.Long,lab.User>", `{"keys":[1],"values":[{"id":1}]}`, `{"keys":[1],"values":[{"class":"lab.User","id":1}]}`, Options{}},
		{"lab.Result<lab.User>", `{"code":1,"data":{"id":1},"attributes":{"a":{"free":1}}}`, `{"code":1,"data":{"class":"lab.User","id":1},"attributes":{"a":{"free":1}}}`, Options{}},
		{"lab.Result<lab.Gender>", `{"data":"MALE"}`, `{"data":"MALE"}`, Options{}},
		{"lab.Page<java.math.BigDecimal>", `{"first":1.10,"items":["2.50"]}`, `{"first":1.10,"items":[2.50]}`, Options{}},
		{"lab.Page<java.time.LocalDate>", `{"first":"2026-01-02"}`, `{"first":"2026-01-02"}`, Options{}},
		{"lab.Result", `{"data":{"free":1}}`, `{"data":{"free":1}}`, Options{}},
		{"lab.Growing<lab.User>", `{"it":{"id":1},"more":{"it":[{"id":2}]}}`, `{"it":{"class":"lab.User","id":1},"more":{"it":[{"class":"lab.User","id":2}]}}`, Options{}},
	} {
		t.Run(c.typ+" "+c.json, func(t *testing.T) {
			out, err := encode(t, typ(t, parse(t, shop), c.typ), c.json, &c.opts)
			if err != nil {
				t.Fatal(err)
			}
			got, rest, err := hessian.AppendJSON(nil, out, hessian.Options{KeepClass: true})
			if string(got) != c.want || err != nil || len(rest) > 0 {
				t.Errorf("got  %s, rest %q, %v\nwant %s", got, rest, err, c.want)
			}
		})
	}
}

// Keys of maps are written in their own type.
func TestTypedKeys(t *testing.T) {
	for typeName, want := range map[string]string{
		"java.util.Map<java.lang.Integer,java.lang.String>": `48 95 01"x" 5a`,
		"java.util.Map<java.lang.Long,java.lang.String>":    `48 e5 01"x" 5a`,
		"java.util.Map<java.lang.Double,java.lang.String>":  `48 5d05 01"x" 5a`,
		"java.util.Map<java.lang.String,java.lang.String>":  `48 01"5" 01"x" 5a`,
		"java.util.Map<java.lang.Object,java.lang.String>":  `48 01"5" 01"x" 5a`,
		"java.util.Map":             `48 01"5" 01"x" 5a`,
		"java.util.Map<K,V>":        `48 01"5" 01"x" 5a`,
		"java.util.TreeMap<byte,?>": `48 95 01"x" 5a`,
	} {
		got, err := encode(t, typ(t, nil, typeName), `{"5":"x"}`, nil)
		if string(got) != string(raw(t, want)) || err != nil {
			t.Errorf("%s: %q, %v", typeName, got, err)
		}
	}
}

// Where the provider does not know the type, strings would stay strings: these values go as objects.
func TestExactTypes(t *testing.T) {
	d := parse(t, shop)
	for typeName, c := range map[string]struct{ good, class, bad string }{
		"lab.Gender":              {`"MALE"`, `"lab.Gender"`, `"male"`},
		"java.math.BigDecimal":    {`1.10`, `"java.math.BigDecimal"`, `"x"`},
		"java.time.LocalDate":     {`"2026-01-02"`, handlePackage + `LocalDateHandle"`, `"2026-01-02T00:00"`},
		"java.time.LocalTime":     {`"10:20"`, handlePackage + `LocalTimeHandle"`, `"10:20Z"`},
		"java.time.LocalDateTime": {`"2026-01-02T10:20"`, handlePackage + `LocalDateTimeHandle"`, `"2026-01-02"`},
	} {
		out, err := encode(t, typ(t, d, "lab.Result<"+typeName+">"), `{"data":`+c.good+`}`, nil)
		if err != nil || !strings.Contains(string(out), strings.Trim(c.class, `"`)) {
			t.Errorf("%s: %q, %v", typeName, out, err)
		}
		if out, err = encode(t, typ(t, d, "java.util.List<"+typeName+">"), `[`+c.good+`]`, nil); err != nil || strings.Contains(string(out), "C0") {
			t.Errorf("%s, which the provider knows: %q, %v", typeName, out, err)
		}
		if out, err = encode(t, typ(t, d, "lab.Result<"+typeName+">"), `{"data":`+c.bad+`}`, nil); err == nil {
			t.Errorf("%s: %s was taken as %q", typeName, c.bad, out)
		}
	}
}

// A raw List of the definition leaves the provider with maps, so the class is written where the route knows it.
func TestRawCollections(t *testing.T) {
	d := parse(t, shop)
	m, err := d.Signature("raw", []string{"java.util.List<lab.User>", "java.util.Map<java.lang.String,lab.User>"})
	if err != nil {
		t.Fatal(err)
	}
	for i, json := range []string{`[{"parent":{}}]`, `{"a":{"id":1}}`} {
		out, err := encode(t, m.Params[i], json, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _, _ := hessian.AppendJSON(nil, out, hessian.Options{KeepClass: true})
		if want := []string{`[{"class":"lab.User","parent":{}}]`, `{"a":{"class":"lab.User","id":1}}`}[i]; string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestErrorPaths(t *testing.T) {
	for _, c := range []struct{ typ, json, path, expected, got string }{
		{"lab.User", `{"age":"x"}`, "$.age", "int", `string "x"`},
		{"lab.User", `{"friends":[{},{"address":{"latitude":"far"}}]}`, "$.friends[1].address.latitude", "double", `string "far"`},
		{"lab.User", `{"scores":{"a b":null,"it's \"q\"":1.5}}`, `$.scores['it\'s "q"']`, "int without fraction or exponent", "number 1.5"},
		{"lab.User", `{"scores":{"":"x"}}`, "$.scores['']", "int", `string "x"`},
		{"lab.User", `{"scores":{"\u0000é":"x"}}`, `$.scores['\x00é']`, "int", `string "x"`},
		{"lab.User", `{"` + strings.Repeat("k", 100) + `":1}`, "$['" + strings.Repeat("k", 64) + "...']", "a property of lab.User", "an unknown property"},
		{"lab.User", `{"nope":1}`, "$.nope", "a property of lab.User", "an unknown property"},
		{"lab.User", `{"address":{"nope":1}}`, "$.address.nope", "a property of lab.Address", "an unknown property"},
		{"lab.User", `{"class":"lab.Admin"}`, "$.class", `no key "class"`, `the key "class"`},
		{"lab.User", `{"cl\u0061ss":"lab.Admin"}`, "$.class", `no key "class"`, `the key "class"`},
		{"lab.User", `{"parent":{"class":"lab.Admin"}}`, "$.parent.class", `no key "class"`, `the key "class"`},
		{"lab.User", `{"extra":[{"a":{"class":"x"}}]}`, "$.extra[0].a.class", `no key "class"`, `the key "class"`},
		{"lab.User", `{"scores":{"class":1}}`, "$.scores.class", `no key "class"`, `the key "class"`},
		{"java.lang.Object", `{"class":"x"}`, "$.class", `no key "class"`, `the key "class"`},
		{"lab.Unknown", `{"class":"x"}`, "$.class", `no key "class"`, `the key "class"`},
		{"java.util.Map<java.lang.Integer,?>", `{"class":1}`, "$.class", `no key "class"`, `the key "class"`},
		{"java.util.Map<java.lang.Integer,?>", `{"x":1}`, "$.x", "int", `string "x"`},
		{"java.util.Map<lab.Address,?>", `{"x":1}`, "$.x", "an object (lab.Address)", `string "x"`},
		{"lab.User", `{"id":1,"id":2}`, "$.id", "each key once in an object", "it twice"},
		{"lab.User", `{"scores":{"a":1,"\u0061":2}}`, "$.scores.a", "each key once in an object", "it twice"},
		{"java.lang.Object", `{"a":{"a":1,"b":2,"a":3}}`, "$.a.a", "each key once in an object", "it twice"},
		{"java.util.Map<java.lang.Integer,?>", `{"5":1,"05":2}`, "$['05']", "each key once in an object", "it twice"},
		{"int[]", `[1,null]`, "$[1]", "int", "null"},
		{"lab.User", `{"vip":null}`, "$.vip", "boolean", "null"},
		{"lab.User", `{"picture":"?"}`, "$.picture", "byte[], as a string of base64", `string "?"`},
	} {
		_, err := encode(t, typ(t, parse(t, shop), c.typ), c.json, nil)
		var e *ArgumentError
		if !errors.As(err, &e) || e.Path != c.path || e.Expected != c.expected || e.Got != c.got {
			t.Errorf("%s %s:\ngot  %v\nwant %s: expected %s, got %s", c.typ, c.json, err, c.path, c.expected, c.got)
		}
	}
	e := &ArgumentError{Path: "$.a", Expected: "int", Got: "null"}
	if got := e.Prefix("path.id").Error(); got != "path.id.a: expected int, got null" || e.Path != "$.a" {
		t.Errorf("prefixed: %s, %s", got, e.Path)
	}
	// Unknown properties are looked through, but must be valid; "class" is refused on any level that would be sent.
	_, err := encode(t, typ(t, parse(t, shop), "lab.User"), `{"nope":[1,]}`, &Options{Unknown: IgnoreUnknown})
	if !errors.As(err, &e) || e.Path != "$.nope" {
		t.Errorf("got %v", err)
	}
	_, err = encode(t, typ(t, parse(t, shop), "lab.User"), `{"class":1}`, &Options{Unknown: IgnoreUnknown})
	if !errors.As(err, &e) || e.Path != "$.class" {
		t.Errorf("got %v", err)
	}
}

// Keys are compared however many there are, in whatever nesting, and one object's keys are no other's.
func TestManyKeys(t *testing.T) {
	object := func(n int, inner string) string {
		var b strings.Builder
		b.WriteByte('{')
		for i := range n {
			b.WriteString(`"k` + itoa(i) + `":` + inner + `,`)
		}
		return b.String()
	}
	nested := object(3, object(40, `{"k1":1,"k2":2}`)+`"z":1}`)
	anyType := typ(t, nil, "java.lang.Object")
	if _, err := encode(t, anyType, nested+`"k3":1}`, nil); err != nil {
		t.Error(err)
	}
	_, err := encode(t, anyType, nested+`"k1":1}`, nil)
	if e := (*ArgumentError)(nil); !errors.As(err, &e) || e.Path != "$.k1" {
		t.Errorf("got %v", err)
	}
	big := object(5000, `0`)
	if _, err := encode(t, anyType, big+`"k5000":1}`, nil); err != nil {
		t.Error(err)
	}
	if _, err := encode(t, anyType, big+`"k4999":1}`, nil); err == nil {
		t.Error("the last key was taken twice")
	}
	// An encoder that stopped in the middle starts afresh.
	var e Encoder
	for range 3 {
		e.Reset(nil)
		if _, _, err := e.AppendJSON(nil, anyType, []byte(`{"a":{"b":1,"c":`)); err == nil {
			t.Fatal("half an object was taken")
		}
		if _, _, err := e.AppendJSON(nil, anyType, []byte(`{"a":1,"b":1}`)); err != nil {
			t.Fatal(err)
		}
	}
}

// A bean may have more properties than fit the bits.
func TestWideBean(t *testing.T) {
	var doc, all strings.Builder
	doc.WriteString(`{"methods":[],"types":[{"type":"lab.Wide","properties":{"p":"int"`)
	all.WriteString(`{"p":0`)
	for i := range 300 {
		doc.WriteString(`,"p` + itoa(i) + `":"int"`)
		all.WriteString(`,"p` + itoa(i) + `":1`)
	}
	doc.WriteString(`}}]}`)
	wide := typ(t, parse(t, doc.String()), "lab.Wide")
	if _, err := encode(t, wide, all.String()+`}`, nil); err != nil {
		t.Error(err)
	}
	for _, again := range []string{"p", "p0", "p99", "p299"} {
		if _, err := encode(t, wide, all.String()+`,"`+again+`":2}`, nil); err == nil {
			t.Errorf("%s was taken twice", again)
		}
	}
}

// Java allows type arguments that grow with every step. They end somewhere, and what is beyond is taken as it comes.
func TestGrowingType(t *testing.T) {
	deep := strings.Repeat(`{"more":`, 60) + `null` + strings.Repeat(`}`, 60)
	if _, err := encode(t, typ(t, parse(t, shop), "lab.Growing<lab.User>"), deep, nil); err != nil {
		t.Error(err)
	}
}
