package grpc

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestFieldErrors: a field of the wrong shape is told by its path, before a byte goes to the server.
func TestFieldErrors(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for body, want := range map[string]string{
		`{"count":"x"}`:             `body.count|int32|"x"`,
		`{"count":1.5}`:             `body.count|int32|1.5`,
		`{"count":3000000000}`:      `body.count|int32|3000000000`,
		`{"serial":{}}`:             `body.serial|int64|{}`,
		`{"active":"true"}`:         `body.active|bool|"true"`,
		`{"name":5}`:                `body.name|string|5`,
		`{"data":"*"}`:              `body.data|bytes|"*"`,
		`{"color":"BLUE"}`:          `body.color|test.shop.v1.Color|"BLUE"`,
		`{"colors":["RED","BLUE"]}`: `body.colors[1]|test.shop.v1.Color|"BLUE"`,
		`{"tags":"a"}`:              `body.tags|an array of string|"a"`,
		`{"tags":["a",null]}`:       `body.tags[1]|string|null`,
		`{"parts":[{},{"parts":[{"price":{"units":[]}}]}]}`: `body.parts[1].parts[0].price.units|int64|[]`,
		`{"parts":[5]}`:                                       `body.parts[0]|test.shop.v1.Item|5`,
		`{"price":[]}`:                                        `body.price|test.shop.v1.Money|[]`,
		`{"price":{"unit":1}}`:                                `body.price.unit|a field of test.shop.v1.Money|1`,
		`{"price":{"units":1,"units":2}}`:                     `body.price.units|the field once|2`,
		`{"display_name":"a","shownAs":"b"}`:                  `body.shownAs|the field once|"b"`,
		`{"book":"a","coin":{}}`:                              `body.coin|only one of book and coin|{}`,
		`{"stock":{"a":1,"b":"x"}}`:                           `body.stock.b|int32|"x"`,
		`{"stock":{"a b":"x"}}`:                               `body.stock["a b"]|int32|"x"`,
		`{"stock":[]}`:                                        `body.stock|an object|[]`,
		`{"stock":{"a":1,"a":2}}`:                             `body.stock|each key once|{"a":1,"a":2}`,
		`{"by_serial":{"7":{"count":"x"}}}`:                   `body.by_serial.7.count|int32|"x"`,
		`{"bySerial":{"x":{}}}`:                               `body.bySerial.x|a key of type int64|"x"`,
		`{"flags":{"true":"PINK"}}`:                           `body.flags.true|test.shop.v1.Color|"PINK"`,
		`{"made":"yesterday"}`:                                `body.made|google.protobuf.Timestamp|"yesterday"`,
		`{"life":"5"}`:                                        `body.life|google.protobuf.Duration|"5"`,
		`{"note":5}`:                                          `body.note|google.protobuf.StringValue|5`,
		`{"payload":{"@type":"type.googleapis.com/no.Such"}}`: `body.payload|google.protobuf.Any|{"@type":"type.googleapis.com/no.Such"}`,
		`{"such a \"field\"":1}`:                              `body["such a \"field\""]|a field of test.shop.v1.Item|1`,
		`[]`:                                                  `body|test.shop.v1.Item|[]`,
		`5`:                                                   `body|test.shop.v1.Item|5`,
		`null`:                                                `body|test.shop.v1.Item|null`,
		`{"name":"` + strings.Repeat("n", 200) + `","count":"` + strings.Repeat("x", 200) + `"}`: `body.count|int32|"` + strings.Repeat("x", 63) + `...`,
	} {
		r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", body)
		var got struct{ Code, Path, Expected, Value, Detail string }
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		if saw := got.Path + "|" + got.Expected + "|" + got.Value; r.status != 400 || got.Code != "bad_argument" || saw != want {
			t.Errorf("%s\ngot  %d %s\nwant %s", body, r.status, saw, want)
		}
	}
	for body, want := range map[string]string{
		`{`:                       "body: it is not valid JSON at byte 1",
		`{"name":"a"} {}`:         "body: it is not valid JSON at byte 14",
		`{"name":"a",}`:           "body: it is not valid JSON at byte 13",
		"{\"name\":\"\xff\"}":     "body",
		`{"name":"\ud800"}`:       "body",
		"{'name':1}":              "body: it is not valid JSON at byte 2",
		strings.Repeat(`[`, 9999): "body: it is not valid JSON",
	} {
		r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", body)
		if r.status != 400 || !strings.Contains(r.body, `"detail":"`+want) {
			t.Errorf("%.50s: %d %s", body, r.status, r.body)
		}
	}
	// A list as the body cannot smuggle fields beside it.
	for body, want := range map[string]string{
		`["a"],"dryRun":true`: "body: it is not valid JSON",
		`{}`:                  `body: expected an array of string, got {}`,
		`["a",5]`:             `body[1]: expected string, got 5`,
	} {
		r := ask(t, "PUT", url+"/v1/tags/x", body)
		if r.status != 400 || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	if r := ask(t, "POST", url+"/v1/shelves/1/items", `{"price":{"units":"x"}}`); r.status != 400 || !strings.Contains(r.body, "body.price.units: expected int64") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, "DELETE", url+"/v1/shelves/1/items/2", `{}`); r.status != 400 || !strings.Contains(r.body, "body: expected no body") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if n := s.calls.Load(); n != 0 {
		t.Errorf("%d calls reached the server", n)
	}
}

// TestHostileJSON bounds what a refused body may cost.
func TestHostileJSON(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{MessageLimit: 1 << 20})
	deep := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	begun := time.Now()
	for name, body := range map[string]string{
		"deep parts":       deep(20000, `{"parts":[`, `{"count":"x"}`, `]}`),
		"just too deep":    deep(99, `{"parts":[`, `{"count":"x"}`, `]}`),
		"long and deep":    deep(90, `{"name":"`+strings.Repeat("n", 9000)+`","parts":[`, `{"count":"x"}`, `]}`),
		"deep struct":      `{"extra":` + deep(5000, `{"a":`, `1`, `}`) + `}`,
		"deep list":        `{"anything":` + deep(50000, `[`, ``, `]`) + `}`,
		"deep any":         `{"payload":` + deep(5000, `{"@type":"type.googleapis.com/google.protobuf.Any","value":`, `{}`, `}`) + `}`,
		"many unknown":     `{` + strings.Repeat(`"a":1,`, 100000) + `"b":2}`,
		"many wrong":       `{"tags":[` + strings.Repeat(`1,`, 200000) + `2]}`,
		"a long number":    `{"count":` + strings.Repeat("9", 900000) + `}`,
		"a long exponent":  `{"weight":1e` + strings.Repeat("9", 9000) + `}`,
		"unclosed strings": strings.Repeat(`"`, 99999),
	} {
		r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", body)
		if r.status != 400 || len(r.body) > 2000 {
			t.Errorf("%s: %d, %.500s", name, r.status, r.body)
		}
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("took %v", took)
	}
	r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", `{"name":"`+strings.Repeat("x", 1<<20)+`"}`)
	if r.status != 413 {
		t.Errorf("too large: %d %.200s", r.status, r.body)
	}
	if n := s.calls.Load(); n != 0 {
		t.Errorf("%d calls reached the server", n)
	}
}

// TestJSONForms sends every type in its different forms, and reads it in the canonical one.
func TestJSONForms(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for in, want := range map[string]string{
		`{"count":"5","serial":9007199254740993,"big":"18446744073709551615","weight":"1.5","ratio":0.1}`: `{"count":5,"serial":"9007199254740993","big":"18446744073709551615","weight":1.5,"ratio":0.1}`,
		`{"weight":"Infinity","ratio":"-Infinity"}`:                                                       `{"weight":"Infinity","ratio":"-Infinity"}`,
		`{"weight":1e-9,"ratio":1e30}`:                                                                    `{"weight":1e-09,"ratio":1e+30}`,
		`{"data":"-_8","color":2,"colors":[1,"GREEN",77]}`:                                                `{"data":"+/8=","color":"GREEN","colors":["RED","GREEN",77]}`,
		`{"display_name":"\u00e4\ud83d\ude00\"","active":true}`:                                           "{\"active\":true,\"shownAs\":\"\u00e4\U0001f600\\\"\"}",
		`{"stock":{"b":1,"a":2},"by_serial":{"10":{},"-2":{"name":"x"}}}`:                                 `{"stock":{"a":2,"b":1},"bySerial":{"-2":{"name":"x"},"10":{}}}`,
		`{"flags":{"true":"RED","false":0}}`:                                                              `{"flags":{"false":"COLOR_UNSPECIFIED","true":"RED"}}`,
		`{"made":"2026-01-02T03:04:05.5+01:00","life":"1.5s"}`:                                            `{"made":"2026-01-02T02:04:05.500Z","life":"1.500s"}`,
		`{"note":"n","limit":5,"mask":"a,bC","raw":"AA=="}`:                                               `{"note":"n","limit":"5","mask":"a,bC","raw":"AA=="}`,
		`{"anything":null,"list":[]}`:                                                                     `{"anything":null,"list":[]}`,
		`{"anything":5}`:                                                                                  `{"anything":5}`,
		`{"rank":0,"count":0}`:                                                                            `{"rank":0}`,
		`{"name":"","book":""}`:                                                                           `{"book":""}`,
		`{"coin":{}}`:                                                                                     `{"coin":{}}`,
		`{"tags":null,"price":null,"count":null}`:                                                         `{}`,
		`{"serials":[1,"2"],"f32":4294967295,"s64":"-1","small":7}`:                                       `{"serials":["1","2"],"f32":4294967295,"s64":"-1","small":7}`,
		` {"name" : "x" } `:                                                                               `{"name":"x"}`,
		``:                                                                                                `{}`,
		" \n":                                                                                             `{}`,
	} {
		r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", in)
		if r.status != 200 || r.body != want {
			t.Errorf("%s:\ngot  %d %s\nwant %s", in, r.status, r.body, want)
		}
	}
	for _, in := range []string{
		`{"extra":{"a":[1,null,{"b":true}],"c":"d"},"anything":{"x":[]}}`,
		`{"payload":{"@type":"type.googleapis.com/test.shop.v1.Money","currency":"EUR","units":"3"}}`,
		`{"payload":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"3s"}}`,
		`{"payload":{"@type":"x/google.rpc.RequestInfo","requestId":"r"}}`,
	} {
		r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", in)
		if r.status != 200 {
			t.Errorf("%s: %d %s", in, r.status, r.body)
			continue
		}
		var a, b any
		if json.Unmarshal([]byte(in), &a) != nil || json.Unmarshal([]byte(r.body), &b) != nil {
			t.Fatal("not JSON")
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Errorf("%s came back as %s", in, r.body)
		}
	}
}

func TestJSONOptions(t *testing.T) {
	s := startShop(t)
	const in = `{"shownAs":"d","serial":"7","color":"RED","limit":"8","serials":["1"],"stock":{"a":1}}`
	for _, c := range []struct {
		options JSON
		want    string
	}{
		{JSON{ProtoNames: true}, `{"serial":"7","color":"RED","stock":{"a":1},"limit":"8","display_name":"d","serials":["1"]}`},
		{JSON{EnumNumbers: true}, `{"serial":"7","color":1,"stock":{"a":1},"limit":"8","shownAs":"d","serials":["1"]}`},
		{JSON{Int64Numbers: true}, `{"serial":7,"color":"RED","stock":{"a":1},"limit":8,"shownAs":"d","serials":[1]}`},
	} {
		r := ask(t, "POST", s.gateway(t, Route{JSON: c.options})+"/test.shop.v1.Shop/Echo", in)
		if r.status != 200 || r.body != c.want {
			t.Errorf("%+v: %d %s", c.options, r.status, r.body)
		}
	}
	url := s.gateway(t, Route{JSON: JSON{Unset: true}})
	r := ask(t, "POST", url+"/test.shop.v1.Shop/CreateItem", `{}`)
	if !strings.Contains(r.body, `"count":0,"serial":"0"`) || !strings.Contains(r.body, `"tags":[],"parts":[],"stock":{}`) || !strings.Contains(r.body, `"price":null`) ||
		strings.Contains(r.body, `"rank"`) || strings.Contains(r.body, `"book"`) || strings.Contains(r.body, `"coin"`) || !strings.Contains(r.body, `"color":"COLOR_UNSPECIFIED"`) {
		t.Errorf("%s", r.body)
	}
	url = s.gateway(t, Route{JSON: JSON{IgnoreUnknown: true}})
	if r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", `{"nowhere":{"a":[1]},"price":{"x":1}}`); r.status != 200 || r.body != `{"price":{}}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, "GET", url+"/v1/shelves/1/items?nowhere=1&a.b=2", ""); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", `{"nowhere":1,"count":"x"}`); r.status != 400 || !strings.Contains(r.body, "body.count: expected int32") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestProto2 has required fields, defaults, groups and extensions.
func TestProto2(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for in, want := range map[string]string{
		`{"id":"a"}`: `{"id":"a"}`,
		`{"id":"a","level":0,"inner":{"text":"t"}}`: `{"id":"a","level":0,"inner":{"text":"t"}}`,
		`{"id":"a","[test.shop.v1.color]":"red"}`:   `{"id":"a","[test.shop.v1.color]":"red"}`,
	} {
		if r := ask(t, "POST", url+"/test.shop.v1.Old/Echo", in); r.status != 200 || r.body != want {
			t.Errorf("%s: %d %s", in, r.status, r.body)
		}
	}
	for in, want := range map[string]string{
		`{"level":1}`:                         "a required field is missing",
		`{"id":"a","[test.shop.v1.color]":1}`: `body[\"[test.shop.v1.color]\"]: expected string, got 1`,
		`{"id":"a","[test.shop.v1.none]":1}`:  `body[\"[test.shop.v1.none]\"]: expected a field of`,
	} {
		if r := ask(t, "POST", url+"/test.shop.v1.Old/Echo", in); r.status != 400 || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s", in, r.status, r.body)
		}
	}
}
