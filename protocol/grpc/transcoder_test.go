package grpc

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestUnaryByReflection(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", `{"name":"a","serial":"7","color":"RED","tags":["x","y"]}`)
	if r.status != 200 || r.body != `{"name":"a","serial":"7","color":"RED","tags":["x","y"]}` {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got := r.header.Get("X-Shop"); got != "open" {
		t.Errorf("metadata %q", got)
	}
	for _, name := range []string{"Grpc-Status", "Grpc-Encoding", "Grpc-Accept-Encoding", "X-After"} {
		if got := r.header.Get(name); got != "" {
			t.Errorf("%s: %s came through", name, got)
		}
	}
}

// TestBindings goes through the rules of google.api.http. want is the request as the server saw it.
func TestBindings(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for _, c := range []struct{ method, path, body, want string }{
		// Path templates: several segments, one, a custom method, a verb.
		{"GET", "/v1/shelves/1/items/2", "", `{"name":"shelves/1/items/2"}`},
		{"GET", "/v1/shelves/a%20b/items/c%2Fd", "", `{"name":"shelves/a b/items/c%2Fd"}`},
		{"GET", "/v1/things/c%2Fd%20e", "", `{"name":"c/d e"}`},
		{"GET", "/v1/things/a:b", "", `{"name":"a:b"}`},
		{"LOCK", "/v1/locks/x", "", `{"name":"x"}`},
		// The body is the message, and the path wins over it.
		{"PATCH", "/v1/shelves/1/items/2", `{"name":"other","count":3}`, `{"name":"shelves/1/items/2","count":3}`},
		// The body is a field: a message, a list; the rest comes from the query.
		{"POST", "/v1/shelves/1/items", `{"name":"n","price":{"units":"5"}}`, `{"parent":"shelves/1","item":{"name":"n","price":{"units":"5"}}}`},
		{"POST", "/v1/shelves/1/items?dry_run=true&tags=a&tags=b", `{}`, `{"parent":"shelves/1","item":{},"tags":["a","b"],"dryRun":true}`},
		{"POST", "/v1/shelves/1/items?dryRun=true", "", `{"parent":"shelves/1","dryRun":true}`},
		{"PUT", "/v1/tags/x?item.name=i&item.made=2026-01-02T03:04:05Z", `["a","b"]`,
			`{"parent":"x","item":{"name":"i","made":"2026-01-02T03:04:05Z"},"tags":["a","b"]}`},
		{"PATCH", "/v1/nested/EUR?item.price.units=3", ` ["a"] `, `{"item":{"price":{"currency":"EUR","units":"3"}},"tags":["a"]}`},
		// Query parameters of every kind.
		{"POST", "/test.shop.v1.Shop/CreateItem", `{"parent":"p","dryRun":true}`, `{"parent":"p","dryRun":true}`},
		{"POST", "/test.shop.v1.Shop/GetItem", "", `{}`},
	} {
		r := ask(t, c.method, url+c.path, c.body)
		var got struct{ Name string }
		if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 200 {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
			continue
		}
		if c.method == "PATCH" && !strings.HasPrefix(c.path, "/v1/nested") {
			got.Name = r.body
		}
		if got.Name != c.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.method, c.path, got.Name, c.want)
		}
	}
	for _, c := range []struct{ method, path string }{
		{"POST", "/v1/shelves/1/items/2:cancel"}, {"DELETE", "/v1/shelves/1/items/2"},
	} {
		if r := ask(t, c.method, url+c.path, ""); r.status != 200 || r.body != "{}" {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
		}
	}
}

func TestQueryParameters(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for query, want := range map[string]string{
		"":                                     ``,
		"page_size=5&pageSize":                 `expected one value`,
		"pageSize=-5":                          `"pageSize":-5`,
		"tags=a&tags=b%26&tags=":               `"tags":["a","b&",""]`,
		"color=GREEN":                          `"color":"GREEN"`,
		"color=1":                              `"color":"RED"`,
		"at_least.units=9007199254740993":      `"atLeast":{"units":"9007199254740993"}`,
		"atLeast.currency=a+b":                 `"atLeast":{"currency":"a b"}`,
		"since=2026-01-02T03:04:05Z":           `"since":"2026-01-02T03:04:05Z"`,
		"active=false":                         `"active":false`,
		"colors=RED&colors=GREEN":              `"colors":["RED","GREEN"]`,
		"read_mask=a,bC":                       `"readMask":"a,bC"`,
		"token=-_8":                            `"token":"+/8="`,
		"ratio=1e3":                            `"ratio":1000`,
		"ratio=NaN":                            `"ratio":"NaN"`,
		"ids=1&ids=2":                          `"ids":["1","2"]`,
		"inner.inner.page_size=1":              `"inner":{"inner":{"pageSize":1}}`,
		"&&page_size=1&":                       `"pageSize":1`,
		"page_size=x":                          `query.page_size: expected int32, got x`,
		"page_size=3000000000":                 `query.page_size: expected int32, got 3000000000`,
		"page_size=1&page_size=2":              `query.page_size: expected one value, got 2`,
		"color=BLUE":                           `query.color: expected test.shop.v1.Color, got BLUE`,
		"since=yesterday":                      `query.since: expected google.protobuf.Timestamp, got yesterday`,
		"active=yes":                           `query.active: expected google.protobuf.BoolValue, got yes`,
		"at_least=5":                           `query.at_least: expected test.shop.v1.Money, got 5`,
		"labels=5":                             `query.labels: expected no map, got 5`,
		"labels.a=5":                           `query.labels.a: expected a field of test.shop.v1.ListItemsRequest`,
		"nothing=5":                            `query.nothing: expected a field of test.shop.v1.ListItemsRequest, got 5`,
		"parent=x":                             `query.parent: expected nothing: it comes from the path or the body, got x`,
		"page_size.x=1":                        `query.page_size.x: expected a field of`,
		"tags=%ff":                             `query.tags: expected string`,
		"token=*":                              `query.token: expected bytes, got *`,
		strings.Repeat("inner.", 200) + "a=1":  `expected a field of`,
		"pageSize=" + strings.Repeat("9", 500): `query.pageSize: expected int32, got 999`,
	} {
		r := ask(t, "GET", url+"/v1/shelves/1/items?"+query, "")
		var got struct {
			Items  []struct{ Name string }
			Detail string
			Code   string
			Path   string
		}
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		if strings.Contains(want, "expected ") {
			if r.status != 400 || !strings.Contains(got.Detail, want) || got.Code != "bad_argument" || !strings.HasPrefix(got.Path, "query.") {
				t.Errorf("%s:\ngot  %d %s\nwant %s", query, r.status, r.body, want)
			}
			continue
		}
		saw := `{"parent":"shelves/1"}`
		if want != "" {
			saw = `{"parent":"shelves/1",` + want + `}`
		}
		if r.status != 200 || got.Items[1].Name != saw {
			t.Errorf("%s:\ngot  %d %s\nwant %s", query, r.status, r.body, saw)
		}
	}
}

func TestResponseBody(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for path, want := range map[string]string{
		"/v1/all/a/b/c": `[{"name":"a"},{"name":"{\"parent\":\"a/b/c\"}"}]`,
		"/v1/count/x":   `"2"`,
		"/v1/best/x":    `{}`,
	} {
		if r := ask(t, "GET", url+path, ""); r.status != 200 || r.body != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// TestWhatIsNotThere shows what a client is told, and that no server is asked.
func TestWhatIsNotThere(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{Services: []string{"test.shop.v1.Shop"}})
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/", 404, "no_route"},
		{"GET", "/v1", 404, "no_route"},
		{"GET", "/v1/shelves/1/items/2/3", 404, "no_route"},
		{"GET", "/v1/shelves//items/2", 404, "no_route"},
		{"POST", "/test.shop.v1.Shop/Nothing", 404, "no_route"},
		{"POST", "/test.shop.v1.Old/Echo", 404, "no_route"},
		{"POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", 404, "no_route"},
		{"GET", "/test.shop.v1.Shop/Echo", 405, "method_not_allowed"},
		{"PUT", "/v1/shelves/1/items/2", 405, "method_not_allowed"},
	} {
		r := ask(t, c.method, url+c.path, "")
		if r.status != c.status || !strings.Contains(r.body, `"code":"`+c.code+`"`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
		}
	}
	if n := s.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestMetadata shows which fields a service gets to see.
func TestMetadata(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	r := ask(t, "POST", url+"/test.shop.v1.Shop/Echo", `{}`, "Authorization", "Bearer x", "X-Tenant", "t", "Accept", "application/json",
		"Accept-Encoding", "br", "Grpc-Encoding", "snappy", "Content-Type", "application/json; charset=utf-8", "Expect", "100-continue")
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	md := *s.metadata.Load()
	for name, want := range map[string]string{
		"authorization": "Bearer x", "x-tenant": "t", "content-type": "application/grpc+proto", "accept": "", "accept-encoding": "", "expect": "",
	} {
		if got := strings.Join(md.Get(name), ","); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestHTTPBody(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	r := ask(t, "POST", url+"/v1/files/x", "\x00any\xff", "Content-Type", "png")
	if r.status != 200 || r.body != "\x00any\xff" || r.header.Get("Content-Type") != "text/x-png" {
		t.Errorf("%d %q %v", r.status, r.body, r.header)
	}
	r = ask(t, "GET", url+"/v1/download?count=3&size=4", "")
	if r.status != 200 || r.body != "dddddddddddd" || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%d %q %v", r.status, r.body, r.header)
	}
	if r = ask(t, "GET", url+"/v1/download?fail_with=5", ""); r.status != 404 || !strings.Contains(r.body, "NOT_FOUND") {
		t.Errorf("%d %q", r.status, r.body)
	}
	if r, err := try(t.Context(), "GET", url+"/v1/download?count=2&size=5&fail_with=5", ""); err == nil && r.status == 200 {
		t.Errorf("a file that broke off looks whole: %+v", r)
	}
	if r = ask(t, "GET", url+"/v1/download", ""); r.status != 200 || r.body != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
}

// TestStatuses carries every code, with its message and details.
func TestStatuses(t *testing.T) {
	s := startShop(t)
	url := s.gateway(t, Route{})
	for code := OK + 1; code < numCodes; code++ {
		r := ask(t, "GET", fmt.Sprintf("%s/v1/fail/%d?message=100%%25%%20b%%C3%%A4d%%0A", url, code), "")
		var got struct {
			Status                   int
			Detail, GRPCStatus, Code string
		}
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		if r.status != code.HTTPStatus() || got.Status != r.status || got.Detail != "100% b\u00e4d\n" || got.GRPCStatus != code.String() ||
			got.Code != "upstream_exception" || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", code, r.status, r.body)
		}
	}
	r := ask(t, "GET", url+"/v1/fail/3?details=true&message=no", "")
	want := `"details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"name","description":"is \"bad\""}]},` +
		`{"@type":"type.googleapis.com/google.rpc.RequestInfo"}]}`
	if r.status != 400 || !strings.Contains(r.body, want) || !json.Valid([]byte(r.body)) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, "GET", url+"/v1/fail/77", ""); r.status != 500 || !strings.Contains(r.body, `"grpcStatus":"77"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := ask(t, "POST", url+"/test.shop.v1.Shop/Unfinished", "{}"); r.status != 501 || !strings.Contains(r.body, "UNIMPLEMENTED") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestGRPCPasses shows that what is gRPC already is left alone.
func TestGRPCPasses(t *testing.T) {
	s := startShop(t)
	c := s.client(t)
	_, h := transcoder(t, Route{}, &Reflection{Target: c}, c)
	out, err := s.invoke(t.Context(), dial(t, listen2(t, h)), "Echo", `{"name":"x"}`)
	if err != nil || out != `{"name":"x"}` {
		t.Errorf("%s, %v", out, err)
	}
}

func TestNewTranscoderRefuses(t *testing.T) {
	if _, err := NewTranscoder(Route{}, nil, nil); err == nil {
		t.Error("no descriptors")
	}
	d := NewDescriptors(protos, 0, nil)
	defer d.Close()
	if _, err := NewTranscoder(Route{MessageLimit: -1}, d, nil); err == nil {
		t.Error("a negative limit")
	}
}
