package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// frame is a document with one registry around some routes.
func frame(routes string) string {
	return "listeners: [{name: web, address: ':8080'}]\nregistries: [{name: r, type: nacos}]\nroutes:\n" + routes
}

func parse(t *testing.T, text string) *Document {
	t.Helper()
	doc, problems := Parse("f.yaml", []byte(text), testKinds())
	if problems != nil {
		t.Fatal(problems)
	}
	return doc
}

func TestBadRouteIsRefusedAlone(t *testing.T) {
	doc, problems := Parse("f.yaml", []byte(frame(`
  - {name: a, match: {path: /a}, to: {service: a}}
  - {name: b, match: {path: /b}, to: {service: a, timout: 3s}}
  - {match: {path: c}, to: {service: a}}
  - {name: a, match: {path: /d}, to: {service: a}}
  - {name: e, match: {path: /e}, to: {service: a}}
`)), testKinds())
	if len(problems) != 4 || doc == nil {
		t.Fatal(doc, problems)
	}
	if len(doc.Routes) != 2 || doc.Routes[0].Match.Path != "/a" || doc.Routes[1].Name != "e" {
		t.Errorf("%+v", doc.Routes)
	}
	if p := doc.Routes[1].Pos; p.String() != "f.yaml:9:5" {
		t.Error(p)
	}
	var got []string
	for _, r := range doc.Refused {
		got = append(got, fmt.Sprintf("%s at %s: %s", r.Name, r.Pos, strings.ReplaceAll(r.Problems.Error(), "\n", " & ")))
	}
	want := []string{
		`b at f.yaml:6:5: f.yaml:6:51: routes[1].to.timout: unknown key "timout"; did you mean "timeout"?`,
		`routes[2] at f.yaml:7:5: f.yaml:7:5: routes[2].name: is missing & f.yaml:7:14: routes[2].match.path: must begin with /`,
		`a at f.yaml:8:5: f.yaml:8:6: routes[3].name: "a" is already the name of routes[0]`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestFrameIsRefusedWhole: a mistake that may concern every route leaves nothing to apply.
func TestFrameIsRefusedWhole(t *testing.T) {
	for _, text := range []string{
		"", "[]", "a: b: c", "routes: 7", "listeners: []",
		frame("  - {name: a, match: {path: /a}, to: {service: a}}\nadmin: {address: x}"),
		frame("  - {name: a, match: {path: a}, to: {service: a}}\nroutess: []"),
		frame("  {}"),
	} {
		if doc, problems := Parse("f.yaml", []byte(text), testKinds()); doc != nil || len(problems) == 0 {
			t.Errorf("%q: %+v %v", text, doc, problems)
		}
	}
}

// TestSharedMistake: what an anchor holds is wrong in every route that uses it.
func TestSharedMistake(t *testing.T) {
	doc, problems := Parse("f.yaml", []byte(frame(`
  - {name: a, match: {path: /a}, to: &to {service: a, timeout: 3}}
  - {name: b, match: {path: /b}, to: *to}
  - {name: c, match: {path: /c}, to: {<<: *to, timeout: 3s}}
`)), testKinds())
	if len(problems) != 2 || doc == nil || len(doc.Routes) != 1 || doc.Routes[0].Name != "c" || len(doc.Refused) != 2 {
		t.Errorf("%+v %v", doc, problems)
	}
}

func TestDefaults(t *testing.T) {
	doc := parse(t, `
listeners: [{name: web, address: "127.0.0.1:0", trustedProxies: [10.0.0.0/8], limits: {bodyBytes: 10MB}, timeouts: {idle: 1m}}]
registries: [{name: n, type: nacos, addresses: [a]}]
routes: [{name: a, match: {path: "/{s}/x", headers: {X-A: b, X-C: {present: false}}}, filters: [cors, {stripPrefix: }], to: {service: "{s}"}}]
services: [{match: {service: "*"}}]
shutdown: {grace: 5s}
`)
	want := &Document{
		Listeners: []Listener{{
			Name: "web", Address: "127.0.0.1:0", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Limits:   Limits{HeaderBytes: 64 << 10, HeaderCount: 128, URIBytes: 16 << 10, Streams: 250, BodyBytes: 10 << 20},
			Timeouts: ListenerTimeouts{Header: 10 * time.Second, Body: 30 * time.Second, Idle: time.Minute, Write: 30 * time.Second},
		}},
		Registries: []Registry{{
			Name: "n", Type: "nacos", Config: &server{Namespace: "public", Addresses: []string{"a"}}, Pos: at(3, 14),
			Protection: Protection{Service: 0.7, Registry: 0.3, Min: 4, Hold: time.Minute},
		}},
		Admin: Admin{"127.0.0.1:9900", 1024},
		Routes: []Route{{
			Name:  "a",
			Match: Match{Path: "/{s}/x", Headers: map[string]ValueMatch{"X-A": {Exact: "b"}, "X-C": {Present: new(bool)}}},
			Filters: []Plugin{
				{"cors", &cors{[]string{"*"}}, at(4, 97)},
				{"stripPrefix", &stripPrefix{1}, at(4, 104)},
			},
			To:  &Target{Service: "{s}", Registry: "n", Timeout: time.Minute, Retries: Retries{Attempts: 1, On: []string{"connect", "reset"}, Backoff: 25 * time.Millisecond}},
			Pos: at(4, 10),
		}},
		Services: []Service{{
			Match: ServiceMatch{Service: "*"}, Balance: Balance{Policy: "peakEWMA", PanicThreshold: 0.5}, PreserveHost: true, RetryBudget: RetryBudget{Share: 0.2, MinPerSecond: 3},
			Outlier:     outlierDefaults(),
			Limits:      RequestLimits{Queue: 64, QueueTimeout: 100 * time.Millisecond},
			Connections: Connections{Pending: 1024, Idle: 90 * time.Second},
			Timeouts:    UpstreamTimeouts{Connect: 3 * time.Second, Idle: 5 * time.Minute},
		}},
		LastKnownGood: LastKnownGood{MaxAge: 24 * time.Hour},
		AccessLog:     AccessLog{"stdout"}, Startup: Startup{30 * time.Second}, Shutdown: Shutdown{Grace: 5 * time.Second},
	}
	if d := cmp.Diff(want, doc, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestVariables(t *testing.T) {
	doc := parse(t, `
listeners: [{name: web, address: ":${PORT}"}]
registries: [{name: n, type: nacos, password: "${SECRET}", namespace: "${NS:-dev}"}]
`)
	got := doc.Registries[0].Config.(*server)
	if doc.Listeners[0].Address != ":8080" || got.Password != "s3cret: ${PORT}" || got.Namespace != "dev" {
		t.Errorf("%+v %+v", doc.Listeners, got)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	_, problems := Parse("f.yaml", []byte(frame("  - {name: a, match: {path: /a}, to: {service: a, timeout: \"${SECRET}\"}}")), testKinds())
	if len(problems) != 1 || strings.Contains(problems.Error(), "s3cret") {
		t.Error(problems)
	}
}

func TestRedirectNeedsNoTarget(t *testing.T) {
	doc := parse(t, frame("  - {name: a, match: {path: /a}, filters: [{redirect: {to: /b}}]}"))
	if doc.Routes[0].To != nil {
		t.Error(doc.Routes[0].To)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "512": 512, "512B": 512, "64KB": 64 << 10, "64 kib": 64 << 10, "1.5MB": 3 << 19, "1G": 1 << 30, "2MiB": 2 << 20,
	} {
		if got, ok := parseSize(text); !ok || got != want {
			t.Errorf("%s: %d %v, want %d", text, got, ok, want)
		}
		if back, ok := parseSize(want.String()); !ok || back != want {
			t.Errorf("%s is written %s", text, want)
		}
	}
	for _, text := range []string{"", "B", "-1", "1TB", "1.5", "0.3B", "1e3", "99999999999GB", "1 2", "KB1", "+1"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
	var s Size
	for _, v := range []any{int64(-1), 1.5, nil, true, []any{}} {
		if s.UnmarshalConfig(v) == nil {
			t.Errorf("%v is a size", v)
		}
	}
}

func TestCaptures(t *testing.T) {
	for pattern, want := range map[string]string{
		"/a": "[]", "/{a}/{b}": "[a b]", "/{a:[0-9]{2}}/x": "[a]", "/{*rest}": "[rest]", "/{a": "[]", "/}{a}": "[a]", `/{a:\}}`: "[a]", "": "[]",
	} {
		if got := fmt.Sprint(captures(pattern)); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

// FuzzParse feeds any document: no panic, and a document exactly when it is usable.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		frame("  - {name: a, match: {path: '/{a}'}, to: {dubbo: {interface: a, method: '{a}', args: ['{path.a}', {x: 1}]}}}"),
		frame("  - {name: a, match: {path: /a, headers: {a: {regex: '['}}}, filters: [cors, {stripPrefix: {parts: 0}}, {redirect: }], flowControl: {qps: 1}}"),
		"listeners: [{limits: {bodyBytes: 1XB}}]\nservices: [{match: {service: a}, tls: {cert: a}}]\nadmin: {address: ':'}",
		"registries: &r [{name: a, type: static, services: {a: [b, {address: c}]}}]\nroutes: *r",
	} {
		f.Add([]byte(s))
	}
	kinds := testKinds()
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, problems := Parse("f", data, kinds)
		if doc == nil && len(problems) == 0 {
			t.Fatal("neither a document nor a problem")
		}
		if doc == nil {
			return
		}
		refused := 0
		for _, r := range doc.Refused {
			refused += len(r.Problems)
		}
		if refused != len(problems) {
			t.Fatalf("%d problems, %d of them of refused routes", len(problems), refused)
		}
		for _, r := range doc.Routes {
			if r.Name == "" || r.Pos.Line == 0 || r.Match.Path == "" || r.To == nil && len(r.Filters) == 0 {
				t.Fatalf("a bad route is kept: %+v", r)
			}
		}
	})
}

func at(line, column int) Position { return Position{File: "f.yaml", Line: line, Column: column} }
