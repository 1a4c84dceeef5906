package proxy

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/telemetry"
)

// explain asks about a GET, or what method says.
func (g *gateway) explain(url string, fields ...string) *Explanation {
	g.t.Helper()
	q := Question{URL: url}
	if method, rest, ok := strings.Cut(url, " "); ok {
		q.Method, q.URL = method, rest
	}
	for i := 0; i < len(fields); i += 2 {
		q.Header = append(q.Header, protocol.Field{Name: fields[i], Value: fields[i+1]})
	}
	x, err := g.Explain(q)
	if err != nil {
		g.t.Fatalf("%s: %v", url, err)
	}
	return x
}

const explainRoutes = `
routes:
  - {name: all, match: {path: "/orders/**"}, to: {service: a}}
  - name: one
    match: {hosts: [shop.example.com, "*.org"], path: "/orders/{id}", methods: [GET]}
    filters: [stripPrefix, {setRequestHeader: {name: X-Gateway, value: sluice}}]
    flowControl: {qps: 100}
    to: {service: a}
  - {name: v2, match: {hosts: [shop.example.com], path: "/orders/{id}", headers: {X-Version: {exact: "2"}}}, to: {service: a}}
  - {name: health, match: {path: "/healthz"}, filters: [fixedResponse]}
  - name: split
    match: {path: "/split"}
    to: {split: [{service: a, weight: 3}, {service: b, weight: 1}], mirror: {service: b, share: 0.5}}
  - {name: by-name, match: {path: "/s/{service}/**"}, to: {service: "{service}"}}
  - {name: call, match: {path: "/call"}, to: {dubbo: {interface: com.x.S, method: m}}}
`

func TestExplain(t *testing.T) {
	g := start(t, registries(one("a", echo(t, "A")), one("b", echo(t, "B")))+explainRoutes)
	g.ready()
	x := g.explain("HEAD http://Shop.Example.com:80/a/../orders/%37?x=1#part")
	if !x.Won || x.Route.Config.Name != "one" || x.Path != "/orders/7" || x.Query != "x=1" || x.Host != "Shop.Example.com:80" || x.Routes != 7 || x.Refused != nil {
		t.Fatalf("%+v", x)
	}
	if len(x.Route.Params) != 1 || x.Route.Params[0] != (protocol.Param{Name: "id", Value: "7"}) {
		t.Errorf("params %v", x.Route.Params)
	}
	if len(x.Targets) != 1 || x.Targets[0].Key.Service.Name != "a" || x.Targets[0].Share != 1 || x.Targets[0].Total != 1 || x.Targets[0].Registry.Word() != "live" {
		t.Errorf("targets %+v", x.Targets)
	}
	said := map[string]string{}
	for _, c := range x.Candidates {
		said[c.Config.Name] = fmt.Sprintf("%s %s|%s|%s|%s", c.Failed, c.Name, c.Wanted, c.Seen, c.Behind)
	}
	if x.Candidates[0].Config.Name != "one" || said["one"] != " |||" {
		t.Errorf("first %q", said["one"])
	}
	for name, want := range map[string]string{
		"all": ` |||the winner names a host, this one none`, "v2": `header X-Version|"2"|none|`,
		"health": `path |/healthz|segment 1 is "orders", not "healthz"|`,
	} {
		if said[name] != want {
			t.Errorf("%s: %q", name, said[name])
		}
	}
	for url, want := range map[string]string{
		"http://x.org/orders/1": "one", "http://x.com/orders/1": "all", "POST http://shop.example.com/orders/1": "all", "/healthz": "health",
		"/split": "split", "/nothing": "404 no_route", "http://shop.example.com": "404 no_route", "OPTIONS *": "404 no_route",
	} {
		x := g.explain(url)
		got := ""
		if x.Won {
			got = x.Route.Config.Name
		} else {
			got = fmt.Sprint(x.Refused.Status, " ", x.Refused.Code)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	if x = g.explain("/orders/1", "HOST", "shop.example.com", "X-Version", "2"); x.Route.Config.Name != "one" || x.Candidates[1].Config.Name != "v2" {
		t.Errorf("%+v", x.Candidates[:2])
	}
	if got := g.get("/orders/1"); !strings.HasPrefix(got, "200") {
		t.Error(got)
	}
	eventually(t, func() bool { x = g.explain("/orders/1"); return x.Route.Requests == 1 && x.Route.InFlight == 0 })
	if n := x.Targets[0].Instances[0].InstanceStatus.Requests; n != 1 {
		t.Errorf("after one request: %d", n)
	}
}

func TestExplainTargets(t *testing.T) {
	g := start(t, registries(one("a", echo(t, "A")), one("b", echo(t, "B")))+explainRoutes)
	g.ready()
	x := g.explain("/split")
	if len(x.Targets) != 3 {
		t.Fatalf("%+v", x.Targets)
	}
	for i, want := range []struct {
		service string
		share   float64
		mirror  bool
	}{{"a", 0.75, false}, {"b", 0.25, false}, {"b", 0.5, true}} {
		got := x.Targets[i]
		if got.Key.Service.Name != want.service || math.Abs(got.Share-want.share) > 1e-9 || got.Mirror != want.mirror || got.Total != 1 {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if x = g.explain("/s/a/x"); !x.Targets[0].Unwatched && x.Targets[0].Total != 1 || x.Targets[0].Key.Service.Name != "a" {
		t.Errorf("%+v", x.Targets[0])
	}
	if x = g.explain("/s/zz/x"); x.Targets[0].Refused == nil || x.Targets[0].Refused.Status != 404 {
		t.Errorf("%+v", x.Targets[0])
	}
	if x = g.explain("/call"); len(x.Targets) != 1 || x.Targets[0].Refused == nil || x.Targets[0].Refused.Code != protocol.CodeNoInstance {
		t.Errorf("%+v", x.Targets)
	}
	if x = g.explain("/healthz"); len(x.Targets) != 0 || !x.Won {
		t.Errorf("%+v", x.Targets)
	}
}

func TestExplainRefusesWhatListenersDo(t *testing.T) {
	g := start(t, "routes: [{name: a, match: {path: \"/**\"}, filters: [fixedResponse]}]\n")
	for url, want := range map[string]string{
		"/%zz": "400", "http://ex ample/": "host", "orders": "slash", "": "slash", "/a/..;x/b": "400", "/" + strings.Repeat("x", 70_000): "longer",
	} {
		if _, err := g.Explain(Question{URL: url}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %s", url, err, want)
		}
	}
	empty := New(Options{Components: parts(), Logger: g.logger, Namespace: t.Name() + "empty"})
	defer func() {
		if err := empty.Shutdown(t.Context(), 0); err != nil {
			t.Error(err)
		}
	}()
	if _, err := empty.Explain(Question{URL: "/"}); err == nil || empty.Recent() != nil {
		t.Error("explained without a document")
	}
}

// send sends a request with an id.
func (g *gateway) send(method, path, id string) int {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.base+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	if id != "" {
		req.Header.Set("X-Request-Id", id)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// recalled waits for the books of n exchanges with an id to be closed: that is a moment after the client has its answer.
func (g *gateway) recalled(id string, n int) []telemetry.Exchange {
	g.t.Helper()
	var found []telemetry.Exchange
	eventually(g.t, func() bool { found = g.Recent().Find(id, 10); return len(found) == n })
	return found
}

func TestRecentRequests(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	_ = l.Close()
	text := registries(one("a", echo(t, "A")), fmt.Sprintf("d: [%q, %q]", dead, echo(t, "D")), one("gone", dead)) + `
routes:
  - {name: a, match: {path: "/a/**"}, filters: [stripPrefix], to: {service: a}}
  - {name: d, match: {path: "/d"}, to: {service: d, retries: {attempts: 1}}}
  - {name: gone, match: {path: "/gone"}, to: {service: gone, retries: {attempts: 1}}}
services: [{match: {service: d}, balance: {policy: roundRobin}}]
`
	g := start(t, text)
	g.ready()
	g.send("GET", "/a/x", "one")
	x := g.recalled("one", 1)[0]
	if x.Path != "/a/x" || x.Status != 200 || x.Route != "a" || x.Service != "a" || x.Attempts != 1 || x.Instance == "" || x.Upstream <= 0 || x.Duration < x.Upstream || x.Earlier != nil {
		t.Errorf("%+v", x)
	}
	if since := time.Since(x.Start); since < 0 || since > time.Minute {
		t.Errorf("started %v ago", since)
	}
	g.send("GET", "/a/x", "")
	g.send("POST", "/none", "two")
	if x = g.recalled("two", 1)[0]; x.Status != 404 || x.Code != protocol.CodeNoRoute || x.Attempts != 0 || x.Route != "" {
		t.Errorf("%+v", x)
	}
	again := 0
	for n := range 10 {
		id := fmt.Sprint("d", n)
		g.send("GET", "/d", id)
		if x = g.recalled(id, 1)[0]; x.Status != 200 {
			t.Errorf("%+v", x)
		}
		if x.Attempts == 2 {
			again++
			if len(x.Earlier) != 1 || x.Earlier[0].Instance != dead || x.Earlier[0].Code != protocol.CodeUpstreamConnect || x.Instance == dead {
				t.Errorf("%+v", x)
			}
		}
	}
	if again == 0 {
		t.Error("nothing was tried again")
	}
	g.send("GET", "/gone", "")
	var failed []telemetry.Exchange
	eventually(t, func() bool { failed = g.Recent().Failed(100); return len(failed) == again+1 })
	if x = failed[0]; x.Status != 502 || x.ID != "" || x.Attempts != 2 || !strings.Contains(x.Err, dead) || x.Code != protocol.CodeUpstreamConnect {
		t.Errorf("%+v", x)
	}
	// What is remembered outlives reloads, as long as as much is to be remembered.
	before := g.Recent()
	if err := g.reload(text + "zone: z\n"); err != nil {
		t.Fatal(err)
	}
	if g.Recent() != before || len(g.Recent().Find("one", 1)) != 1 {
		t.Error("a reload forgets")
	}
	doc, mistakes := config.Parse("test.yaml", []byte("accessLog: {path: \"off\"}\nadmin: {address: \"off\", recent: 0}\n"+web+text), kinds())
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	if err := g.Reload(doc); err != nil {
		t.Fatal(err)
	}
	g.send("GET", "/gone", "x")
	if g.Recent() != nil {
		t.Error("recent: 0 remembers")
	}
}

// TestRememberedRequestAllocatesNothing is TestProxiedRequestAllocatesNothing for a request that is remembered.
func TestRememberedRequestAllocatesNothing(t *testing.T) {
	if protocol.Poisoning {
		t.Skip("with the race detector pools forget on purpose")
	}
	client := call(t, proxied(t, "off"), strings.Replace(getRequest(), "\r\n", "\r\nX-Request-Id: 5f2b8c1e-8a4d-4b6f-9d53-0d1b5f0f5a11\r\n", 1))
	for range 200 {
		client.once()
	}
	if n := testing.AllocsPerRun(2000, client.once); n > 0.05 {
		t.Errorf("%v allocations a request", n)
	}
}

func TestExplainGRPC(t *testing.T) {
	g := start(t, registries(one("a", echo(t, "A")))+"routes: [{name: a, match: {path: \"/x.S/**\"}, to: {service: a, grpc: {web: true}}}]\n")
	g.ready()
	if x := g.explain("POST /x.S/M"); len(x.Targets) != 1 || x.Targets[0].Total != 1 || x.Targets[0].Key.Service.Name != "a" {
		t.Errorf("%+v", x.Targets)
	}
}

func FuzzQuestion(f *testing.F) {
	for _, s := range []string{"/", "http://h:80/a?b#c", "https://[::1]/%2e%2e/x", "//x/y", "http://", "*", "/a%zz", "é://h", "/ü?é", "/\x00"} {
		f.Add("GET", s, "Host", "h")
	}
	f.Fuzz(func(t *testing.T, method, url, name, value string) {
		q := Question{Method: method, URL: url, Header: []protocol.Field{{Name: name, Value: value}}}
		req, err := q.request()
		if err != nil {
			return
		}
		if req.Path == "*" && method == "OPTIONS" {
			return
		}
		var a protocol.Arena
		if again, err := protocol.NormalizePath(&a, req.Path); err != nil || again != req.Path || !strings.HasPrefix(again, "/") {
			t.Errorf("%q: path %q, again %q, %v", url, req.Path, again, err)
		}
		if req.Authority != "" && !protocol.ValidAuthority(req.Authority) {
			t.Errorf("%q: host %q", url, req.Authority)
		}
	})
}
