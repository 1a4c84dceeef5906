package cors

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/filter/filtertest"
)

func kinds() filtertest.Kinds {
	return filtertest.Kinds{"cors": func() filter.Config { return Default() }}
}

const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
)

func TestReadme(t *testing.T) {
	filters := filtertest.Build(t, kinds(), filtertest.Examples(t)[0])
	for origin, allowed := range map[string]bool{
		"https://shop.example.com":             true,
		"https://SHOP.example.com":             true,
		"https://a.partner.example":            true,
		"http://shop.example.com":              false,
		"https://partner.example":              false,
		"https://.partner.example":             false,
		"https://evil.com/.partner.example":    false,
		"https://evil.com:443.partner.example": false,
		"null":                                 false,
	} {
		resp, err := filtertest.Serve(filtertest.Request("GET http://h/", "Origin: "+origin), nil, filters...)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if allowed {
			want = origin
		}
		if got := resp.Header.Get(allowOrigin); got != want {
			t.Errorf("%s: allows %q, want %q", origin, got, want)
		}
		if allowed && (resp.Header.Get(allowCredentials) != "true" || resp.Header.Get("Access-Control-Expose-Headers") != "X-Request-Id") {
			t.Errorf("%s: %+v", origin, resp.Header)
		}
		if resp.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: a cache would serve this to other origins", origin)
		}
	}
}

func preflight(origin string, fields ...string) *protocol.Request {
	return filtertest.Request("OPTIONS http://h/", append([]string{"Origin: " + origin, "Access-Control-Request-Method: PUT"}, fields...)...)
}

func TestPreflight(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - cors: {allowOrigins: [\"https://a\"], maxAge: 1h}\n")
	reached := false
	end := func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		reached = true
		resp := req.NewResponse()
		resp.Status = 200
		return resp, nil
	}
	resp, err := filtertest.Serve(preflight("https://a", "Access-Control-Request-Headers: x-a, x-b"), end, filters...)
	if err != nil || resp.Status != 204 || reached {
		t.Fatalf("%v %+v reached %v", err, resp, reached)
	}
	for name, want := range map[string]string{
		allowOrigin: "https://a", "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
		"Access-Control-Allow-Headers": "x-a, x-b", "Access-Control-Max-Age": "3600", allowCredentials: "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	resp, err = filtertest.Serve(preflight("https://b"), end, filters...)
	if err != nil || resp.Status != 204 || resp.Header.Get(allowOrigin) != "" || !strings.Contains(resp.Header.Get("Vary"), "Origin") {
		t.Errorf("another origin: %v %+v", err, resp)
	}
	// An OPTIONS that is no preflight is the service's.
	if _, err := filtertest.Serve(filtertest.Request("OPTIONS http://h/", "Origin: https://a"), end, filters...); err != nil || !reached {
		t.Errorf("%v, reached %v", err, reached)
	}
}

func TestListedHeaders(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - cors: {allowHeaders: [X-A, X-B], allowMethods: [PUT]}\n")
	resp, err := filtertest.Serve(preflight("https://a", "Access-Control-Request-Headers: x-evil"), nil, filters...)
	if err != nil || resp.Header.Get("Access-Control-Allow-Headers") != "X-A, X-B" || resp.Header.Get(allowOrigin) != "*" {
		t.Errorf("%v %+v", err, resp.Header)
	}
}

func TestServiceDoesNotContradict(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - cors: {allowOrigins: [\"https://a\"]}\n")
	resp, err := filtertest.Serve(filtertest.Request("GET http://h/", "Origin: https://b"), func(_ context.Context, req *protocol.Request) (*protocol.Response, error) {
		resp := req.NewResponse()
		resp.Status = 200
		resp.Header.Add("access-control-allow-origin", "*")
		return resp, nil
	}, filters...)
	if err != nil || resp.Header.Get(allowOrigin) != "" {
		t.Errorf("%v %+v", err, resp.Header)
	}
}

func TestErrorsCanBeRead(t *testing.T) {
	filters := filtertest.Build(t, kinds(), "filters:\n  - cors: {allowOrigins: [\"https://a\"]}\n")
	original := protocol.NewError(503, protocol.CodeNoInstance, "x")
	fail := func(context.Context, *protocol.Request) (*protocol.Response, error) { return nil, original }
	_, err := filtertest.Serve(filtertest.Request("GET http://h/", "Origin: https://a"), fail, filters...)
	e := protocol.AsError(err)
	if e.Code != protocol.CodeNoInstance || len(e.Fields) != 2 || e.Fields[0].Name != allowOrigin || e.Fields[0].Value != "https://a" {
		t.Errorf("%+v", e)
	}
	if len(original.Fields) != 0 {
		t.Error("a shared error was changed")
	}
	_, err = filtertest.Serve(filtertest.Request("GET http://h/", "Origin: https://b"), fail, filters...)
	if len(protocol.AsError(err).Fields) != 0 {
		t.Error("another origin may read the error")
	}
}

func TestMistakes(t *testing.T) {
	for section, want := range map[string]string{
		`{allowOrigins: []}`:              "allowOrigins: must not be empty",
		`{allowOrigins: [shop]}`:          "is not an origin",
		`{allowOrigins: ["https://a/"]}`:  "is not an origin",
		`{allowOrigins: ["https://*.*"]}`: "is not an origin",
		`{allowCredentials: true}`:        "allowCredentials: browsers refuse",
		`{allowMethods: ["A B"]}`:         "allowMethods: ",
		`{allowHeaders: ["a,b"]}`:         "allowHeaders: ",
		`{maxAge: -1s}`:                   "maxAge: ",
		`{maxAge: soon}`:                  "maxAge",
		`{allowOrigin: ["https://a"]}`:    "allowOrigins",
	} {
		_, err := filtertest.Parse(kinds(), "filters:\n  - cors: "+section+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}
