package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// userRoutes are routes to com.example.UserService in the only registry.
const userRoutes = `
routes:
  - name: get
    match: {path: "/users/{id}", methods: [GET]}
    to: {dubbo: {interface: com.example.UserService, method: get, args: ["{path.id}"]}}
  - name: create
    match: {path: "/users", methods: [POST]}
    to: {dubbo: {interface: com.example.UserService, method: create}}
  - name: create-lenient
    match: {path: "/lenient-users", methods: [POST]}
    to: {dubbo: {interface: com.example.UserService, method: create, args: ["{body}"], unknown: ignore}}
  - name: add
    match: {path: "/add"}
    to: {dubbo: {interface: com.example.UserService, method: add, args: ["{query.a}", "{query.b}"]}}
  - name: list
    match: {path: "/users"}
    to: {dubbo: {interface: com.example.UserService, method: list, args: ["{query.id}"]}}
  - name: find-by-id
    match: {path: "/find/id/{id}"}
    to: {dubbo: {interface: com.example.UserService, method: find, args: ["{path.id}"], types: [long]}}
  - name: find-by-name
    match: {path: "/find/name/{name}"}
    to: {dubbo: {interface: com.example.UserService, method: find, args: ["{path.name}"], types: [java.lang.String]}}
  - name: find-some
    match: {path: "/find/name/{name}/{limit}"}
    to: {dubbo: {interface: com.example.UserService, method: find, args: ["{path.name}", "{path.limit}"]}}
  - name: slow
    match: {path: "/slow/{ms}"}
    to: {timeout: 300ms, dubbo: {interface: com.example.UserService, method: slow, args: ["{path.ms}"]}}
  - name: attachment
    match: {path: "/attachment/{name}"}
    to: {dubbo: {interface: com.example.UserService, method: attachment, args: ["{path.name}"], attachments: [x-tenant]}}
  - name: grouped
    match: {path: "/grouped"}
    to: {dubbo: {interface: com.example.UserService, method: registration, group: g1, version: 1.0.0}}
  - name: wrong-group
    match: {path: "/wrong-group"}
    to: {dubbo: {interface: com.example.UserService, method: registration, group: g9}}
  - name: any
    match: {path: "/rpc/{method}"}
    to: {dubbo: {interface: com.example.UserService, method: "{method}"}}
`

// sampleUser is what Samples.user of the provider makes of an id, without its parent.
func sampleUser(id int) string {
	return fmt.Sprintf(`{"id":%d,"name":"user-%d","nickname":null,"age":%d,"level":7,"rank":3,"ratio":0.5,"score":99.25,"active":true,"grade":"A",
		"gender":"FEMALE","balance":12345678901234567890.10,"serial":123456789012345678901234567890,
		"createdAt":"2023-11-14T22:13:20.123Z","birthday":"1990-02-28","updatedAt":"2024-02-29T12:30:15.250",
		"tags":["red","grün","蓝","😀"],"counters":{"visits":12,"orders":3},
		"address":{"street":"Main Street","city":"Springfield","number":1,"home":true},
		"history":[{"street":"Old Road","city":"Springfield","number":2,"home":false},{"street":"Older Road","city":"Springfield","number":3,"home":false}],
		"addresses":[{"street":"First","city":"Springfield","number":10,"home":false},{"street":"Second","city":"Springfield","number":20,"home":false}],
		"roles":["admin","reader"],"avatar":"AAEC/w==","lucky":[7,13,21],"points":9007199254740993,"visits":null,"verified":true,"parent":null}`, id, id, id%100)
}

// withParent puts a parent into a user.
func withParent(user, parent string) string {
	return strings.TrimSuffix(user, "null}") + parent + "}"
}

// sameJSON compares documents digit for digit: numbers are not read as floats, and keys may stand in any order.
func sameJSON(t testing.TB, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(document(t, want), document(t, got)); diff != "" {
		t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}

func document(t testing.TB, s string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Errorf("%v in %s", err, s)
	}
	return v
}

// users tries everything that a client can want of the provider through userRoutes.
type users struct{ *sluice }

func (s users) all(t *testing.T) {
	s.values(t)
	s.echoes(t)
	s.shapes(t)
	s.refused(t)
	s.failures(t)
	s.choices(t)
}

// values are the bean of 28 properties, both ways.
func (s users) values(t *testing.T) {
	got := s.get("/users/41")
	if got.code != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("get: %d %v %s", got.code, got.header, got.body)
	}
	full := withParent(sampleUser(41), sampleUser(42))
	sameJSON(t, "get", got.body, full)
	if strings.Contains(got.body, "class") {
		t.Errorf("an answer names Java classes: %s", got.body)
	}
	created := s.must("POST", "/users", full, "Content-Type", "application/json")
	sameJSON(t, "create", created.body, full)
	listed := s.get("/users?id=1&id=2")
	sameJSON(t, "list", listed.body, "["+withParent(sampleUser(1), sampleUser(2))+","+withParent(sampleUser(2), sampleUser(3))+"]")
}

func (s users) echoes(t *testing.T) {
	for _, c := range []struct{ method, body, want string }{
		{"echoInt", "-2147483648", ""},
		{"echoLong", "9223372036854775807", ""},
		{"echoLong", `"9007199254740993"`, "9007199254740993"},
		{"echoShort", "-32768", ""},
		{"echoByte", "127", ""},
		{"echoFloat", "0.5", ""},
		{"echoDouble", "1.7976931348623157e+308", ""},
		{"echoBool", "true", ""},
		{"echoChar", `"ß"`, ""},
		{"echoBoxed", "null", ""},
		{"echoBoxed", "7", ""},
		{"echoString", `"a\u0000\"\\/ 蓝 😀"`, ""},
		{"echoString", `""`, ""},
		{"echoEnum", `"OTHER"`, ""},
		{"echoDecimal", "0.100", ""},
		{"echoDecimal", "123456789012345678901234567890.12345678901234567890", ""},
		{"echoBigInteger", "-123456789012345678901234567890", ""},
		{"echoDate", `"2024-02-29T23:59:59.999Z"`, ""},
		{"echoDate", `"2024-03-01T01:00:00+01:00"`, `"2024-03-01T00:00:00Z"`},
		{"echoDate", "1700000000123", `"2023-11-14T22:13:20.123Z"`},
		{"echoLocalDate", `"2024-02-29"`, ""},
		{"echoLocalDateTime", `"2024-02-29T12:30:15.123456789"`, ""},
		{"echoBytes", `"AAECAwT/"`, ""},
		{"echoList", `["a","",null,"蓝"]`, ""},
		{"echoMap", `{"a":1,"b":-2147483648,"":0}`, ""},
		{"echoInts", `[1,2,3]`, ""},
		{"echoInts", `[]`, ""},
		{"echoAddresses", `[{"street":"s","city":null,"number":-1,"home":true}]`, ""},
		{"echoObject", `{"a":[1,2.5,"x",null,true,{"b":9007199254740993}]}`, ""},
	} {
		want := c.want
		if want == "" {
			want = c.body
		}
		got := s.must("POST", "/rpc/"+c.method, c.body)
		if got.code != 200 {
			t.Errorf("%s(%s): %d %s", c.method, c.body, got.code, got.body)
			continue
		}
		sameJSON(t, c.method+"("+c.body+")", got.body, want)
	}
}

func (s users) shapes(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/add?a=40&b=2", "", 200, "42"},
		{"GET", "/add?b=-1&a=-2147483647", "", 200, "-2147483648"},
		{"POST", "/rpc/add", "[40, 2]", 200, "42"},
		{"GET", "/rpc/ping", "", 200, `"pong"`},
		{"POST", "/rpc/ping", "{}", 200, `"pong"`},
		{"GET", "/find/id/7", "", 200, `"id 7"`},
		{"GET", "/find/name/7", "", 200, `"name 7"`},
		{"GET", "/find/name/J%C3%BCrgen%2FO/3", "", 200, `"name Jürgen/O, at most 3"`},
		{"GET", "/rpc/returnsNull", "", 200, "null"},
		{"POST", "/rpc/touch", "", 204, ""},
		{"POST", "/rpc/big", "200000", 200, `"` + strings.Repeat("x", 200_000) + `"`},
		{"GET", "/grouped", "", 200, `"g1/1.0.0"`},
	} {
		if got := s.must(c.method, c.path, c.body); got.code != c.code || got.body != c.want {
			t.Errorf("%s %s: %d %.200s, want %d %.200s", c.method, c.path, got.code, got.body, c.code, c.want)
		}
	}
	if n := s.get("/rpc/touched").body; n == "0" {
		t.Error("touch did not touch")
	}
}

// refused are mistakes of the client's, which the provider never sees.
func (s users) refused(t *testing.T) {
	for _, c := range []struct{ method, path, body, at, expected string }{
		{"GET", "/users/x", "", "path.id", "long"},
		{"GET", "/users/9223372036854775808", "", "path.id", "long"},
		{"GET", "/add?a=1&b=2.5", "", "query.b", "int"},
		{"GET", "/add?a=1", "", "query.b", "int"},
		{"POST", "/users", `{"age":"old"}`, "body.age", "int"},
		{"POST", "/users", `{"age":2147483648}`, "body.age", "int"},
		{"POST", "/users", `{"address":{"number":[]}}`, "body.address.number", "int"},
		{"POST", "/users", `{"addresses":[{},{"home":1}]}`, "body.addresses[1].home", "boolean"},
		{"POST", "/users", `{"gender":"female"}`, "body.gender", "MALE"},
		{"POST", "/users", `{"birthday":"1990-02-30"}`, "body.birthday", "date"},
		{"POST", "/users", `{"nmae":"x"}`, "body.nmae", ""},
		{"POST", "/users", `{"class":"java.lang.ProcessBuilder"}`, "body.class", ""},
		{"POST", "/users", `{"parent":{"class":"com.example.User"}}`, "body.parent.class", ""},
		{"POST", "/rpc/echoObject", `{"a":[{"class":"java.lang.ProcessBuilder"}]}`, "body.a[0].class", ""},
		{"POST", "/rpc/echoMap", `{"class":1}`, "body.class", ""},
		{"POST", "/lenient-users", `{"class":"java.lang.ProcessBuilder"}`, "body.class", ""},
		{"POST", "/users", `{"name":`, "body", "JSON"},
		{"POST", "/rpc/ping", `1`, "body", "0 arguments"},
	} {
		p := s.must(c.method, c.path, c.body).problem(t)
		if p.Status != 400 || p.Code != "bad_argument" || !strings.HasPrefix(p.Path, c.at) || !strings.Contains(p.Expected, c.expected) {
			t.Errorf("%s %s %s: %+v, want %s and %q", c.method, c.path, c.body, p, c.at, c.expected)
		}
	}
	lenient := s.must("POST", "/lenient-users", `{"nmae":"x","name":"y"}`)
	if name, _ := document(t, lenient.body).(map[string]any); lenient.code != 200 || name["name"] != "y" {
		t.Errorf("an unknown property was to be ignored: %d %s", lenient.code, lenient.body)
	}
}

func (s users) failures(t *testing.T) {
	p := s.must("POST", "/rpc/fail", `"no such luck"`).problem(t)
	if p.Status != 500 || p.Code != "upstream_exception" || p.ExceptionClass != "com.example.BizException" || p.ExceptionMessage != "no such luck" {
		t.Errorf("fail: %+v", p)
	}
	if body := s.must("POST", "/rpc/fail", `"x"`).body; strings.Contains(body, "\tat ") || strings.Contains(body, ".java") {
		t.Errorf("a stack reached the client: %s", body)
	}
	began := time.Now()
	if p := s.get("/slow/3000").problem(t); p.Status != 504 || p.Code != "upstream_timeout" {
		t.Errorf("slow: %+v", p)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > time.Second {
		t.Errorf("a timeout of 300 ms took %v", took)
	}
	if got := s.get("/slow/20"); got.code != 200 || got.body != "20" {
		t.Errorf("not too slow: %d %s", got.code, got.body)
	}
	if p := s.get("/rpc/noSuchMethod").problem(t); p.Status != 404 || p.Code != "no_route" {
		t.Errorf("no such method: %+v", p)
	}
}

// choices are group and version, and what goes beside the arguments.
func (s users) choices(t *testing.T) {
	for _, c := range []struct {
		header []string
		want   string
	}{
		{nil, `"/"`},
		{[]string{"x-dubbo-group", "g1", "x-dubbo-version", "1.0.0"}, `"g1/1.0.0"`},
		{[]string{"x-dubbo-group", "g1"}, `"g1/1.0.0"`},
		{[]string{"x-dubbo-version", "1.0.0"}, `"g1/1.0.0"`},
	} {
		if got := s.get("/rpc/registration", c.header...); got.code != 200 || got.body != c.want {
			t.Errorf("registration for %v: %d %s, want %s", c.header, got.code, got.body, c.want)
		}
	}
	for path, header := range map[string][]string{
		"/rpc/registration": {"x-dubbo-group", "g9"},
		"/wrong-group":      nil,
	} {
		got := s.get(path, header...)
		if p := got.problem(t); p.Status != 503 || p.Code != "no_instance" || got.header.Get("Retry-After") == "" {
			t.Errorf("unknown group: %+v", p)
		}
	}
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, want := range map[string]string{"x-tenant": `"acme"`, "traceparent": `"` + trace + `"`, "x-other": "null"} {
		got := s.get("/attachment/"+name, "X-Tenant", "acme", "Traceparent", trace, "X-Other", "not listed")
		if got.code != 200 || got.body != want {
			t.Errorf("attachment %s: %d %s, want %s", name, got.code, got.body, want)
		}
	}
}
