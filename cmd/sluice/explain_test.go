package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/admin"
)

// text is what a command line prints, in this process.
func text(t *testing.T, args ...string) (out, mistakes string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = execute(t.Context(), args, &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

func instance(address string, change func(*admin.Instance)) admin.Instance {
	i := admin.Instance{Warm: 1}
	i.Address, i.Source, i.Weight = address, "nacos", 1
	if change != nil {
		change(&i)
	}
	return i
}

// everything is an explanation that has all that there can be.
func everything() *admin.Explanation {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	d := admin.Destination{
		Service: "orders", Registry: "nacos", RegistryState: "stale", LastError: "no answer from 10.0.0.9:8848", Share: 0.25, Group: "g", Version: "1",
		Subset: `version="2"`, Unfit: true, Policy: "peakEWMA", Answered: true, Hedge: "12ms", Stale: true, LastChange: &at, Panic: "unhealthy", Total: 102, ExcludedTotal: 3, Skipped: 2,
		Limits:      &admin.ServiceLimits{Service: 100, Instance: 10, Queue: 5, InFlight: 7, Waiting: 1},
		RetryBudget: &admin.ServiceRetries{Share: 0.2, MinPerSecond: 3, Left: 2.5, Granted: 4, Refused: 1},
		Instances: []admin.Instance{
			instance("10.0.0.1:80", func(i *admin.Instance) {
				i.Chance, i.LatencyMs, i.InFlight, i.Requests, i.Failures, i.Zone, i.Limit = 0.75, 1.25, 2, 100, 3, "a", 10
			}),
			instance("10.0.0.2:80", func(i *admin.Instance) {
				said := fmt.Sprintf(`{
					"flags": ["draining", "unhealthy", "ejected", "full"], "draining": true, "warm": 0.1, "health": {"failing": "status 500"},
					"outlier": {"ejected": true, "reason": "consecutiveErrors", "detail": "5 errors in a row", "until": %q},
					"tier": {"priority": 1, "zone": "a", "local": true, "share": 0.5}}`, at.Format(time.RFC3339))
				if err := json.Unmarshal([]byte(said), i); err != nil {
					panic(err)
				}
			}),
		},
	}
	return &admin.Explanation{
		Request: admin.ExplainedRequest{Method: "GET", Host: "shop.example.com", Path: "/orders/1", Query: "a=\x1b[31m"}, Matched: true, Routes: 20,
		Route: &admin.ExplainedRoute{
			Name: "orders", Position: "sluice.yaml:6:5", Hosts: []string{"shop.example.com"}, Path: "/orders/{id}",
			Captures: []admin.Capture{{Name: "id", Value: "1"}}, Filters: []string{"stripPrefix", "cors"}, Preflight: true, Earlier: true,
			FlowControl: &admin.FlowControl{QPS: 100, Concurrency: 5}, To: "orders@nacos", Timeout: "3s",
			Retries: &admin.Retries{Attempts: 2, On: []string{"connect", "503"}, PerTry: "1s", Idempotent: true}, InFlight: 1, Requests: 12,
		},
		Candidates: []admin.Candidate{
			{Name: "orders", Won: true},
			{Name: "all", Path: "/orders/**", Behind: "the winner names a host, this one none"},
			{Name: "v2", Hosts: []string{"shop.example.com"}, Path: "/orders/{id}", Failed: "header", Of: "X-Version", Wanted: `"2"`, Seen: "none"},
			{Name: "users", Path: "/users/**", Failed: "path", Wanted: "/users/**", Seen: `segment 1 is "orders", not "users"`},
			{Name: "post", Path: "/orders/{id}", Failed: "method", Wanted: "POST", Seen: "GET"},
		},
		Targets: []admin.Destination{d, {Service: "copy", Registry: "nacos", Share: 1, Mirror: true, Unwatched: true, Policy: "maglev", Answer: &admin.Answer{Status: 503, Code: "no_instance", Message: "none"}}},
	}
}

const everythingText = `GET shop.example.com/orders/1?a=\x1b[31m

Route orders (sluice.yaml:6:5)
  hosts     shop.example.com
  path      /orders/{id}
  capture   id = 1
  filters   stripPrefix, cors
  limits    100 requests/s, 5 at once
  to        orders@nacos
  timeout   3s
  retries   2, on connect, 503, 1s each, any method
  requests  12, 1 in flight
  note      the newest version of this route was refused; this is the one before
  note      a CORS preflight: the filters answer it

Other routes, the closest first
  all    /orders/**                    takes it too, but the winner names a host, this one none
  v2     shop.example.com/orders/{id}  header X-Version: wants "2", is none
  users  /users/**                     path: segment 1 is "orders", not "users"
  post   /orders/{id}                  method: wants POST, is GET
  and 15 more

Service orders@nacos
  split         25.0% of the route's requests
  registry      stale: no answer from 10.0.0.9:8848
  stale         served by what was kept on disk
  last change   2026-01-02 03:04:05
  chosen        group "g", version "1"
  subset        version="2"; no instance fits, so all are used
  policy        peakEWMA; each pick is random, by chance
  hedged        a second try after 12ms
  limits        service 7 of 100, each instance 10, 1 of 5 waiting
  retry budget  2.5 left (20.0% of requests, at least 3/s); 4 granted, 1 refused
  panic         so many instances are unhealthy that this does not count

  instance     chance  weight  latency  in flight  requests  failures  zone  source
  10.0.0.1:80  75.0%   1       1.25ms   2          100       3         a     nacos   at most 10 at once
  10.0.0.2:80  0.0%    1       -        0          0         0         -     nacos   draining; unhealthy: status 500; ejected until 03:04:05: consecutiveErrors, 5 errors in a row; full; warming up, at 10.0%; priority 1, zone a (local): 50.0%
  and 100 more

  2 entries of the registry make no sense and are skipped; status names them

Service copy@nacos
  mirror  100.0% of the route's requests are copied here, and the answers dropped
  policy  maglev; the request has no key, so the pick is random
  note    no request has named it lately; the next one asks the registry for its instances
  answer  503 no_instance (none); nothing is sent
`

func TestExplanationInWords(t *testing.T) {
	var b bytes.Buffer
	writeExplanation(&b, everything())
	if got := b.String(); got != everythingText {
		t.Errorf("got\n%s", got)
	}
	for _, c := range b.String() {
		if c != '\n' && (c < ' ' || c > '~') {
			t.Errorf("%q is not plain", c)
		}
	}
}

func TestRememberedInWords(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.Local)
	doc := &admin.Remembered{Size: 1024, Requests: []admin.Exchange{
		{
			RequestID: "abc", Time: at, Method: "GET", Host: "h", Path: "/long", PathCut: true, Status: 502, DurationMs: 12.5, Route: "orders", Service: "orders", Attempts: 6,
			Code: "upstream_reset", Error: "line\nbreak",
			Tries: []admin.ExchangeTry{{Instance: "10.0.0.1:80", Status: 503, Ms: 1}, {Instance: "10.0.0.2:80", Code: "upstream_connect", Ms: 0.5}, {Instance: "10.0.0.4:80", Ms: 2}, {Instance: "10.0.0.3:80", Code: "upstream_reset", Ms: 3}},
		},
		{Time: at, Method: "GET", Host: "h", Path: "/", Status: 404, DurationMs: 0.1},
	}}
	const want = `2026-01-02 03:04:05.006  502  GET h/long...
  id     abc
  route  orders, service orders
  took   12.5ms, 6 attempts
  code   upstream_reset
  error  line\nbreak
  try 1  10.0.0.1:80  503  1ms
  try 2  10.0.0.2:80  upstream_connect  0.5ms
  try 3  10.0.0.4:80  late; another was quicker  2ms
         ...
  try 6  10.0.0.3:80  upstream_reset  3ms

2026-01-02 03:04:05.006  404  GET h/
  route  -
  took   0.1ms, 0 attempts
`
	var b bytes.Buffer
	writeRemembered(&b, doc, true)
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	writeRemembered(&b, &admin.Remembered{Size: 8}, false)
	if b.String() != "No request that failed or was tried again is among the last 8 that are remembered.\n" {
		t.Error(b.String())
	}
}

// TestExplainRequest follows a request by its id through a whole gateway.
func TestExplainRequest(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	web, manage := free(t), free(t)
	doc := fmt.Sprintf(`
listeners: [{name: web, address: %q}]
admin: {address: %q}
accessLog: {path: "off"}
registries: [{name: r, type: static, services: {s: [%q]}}]
routes: [{name: a, match: {path: "/**"}, to: {service: s}}]
`, web, manage, s.Listener.Addr())
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	c := begin(t, "run", "-c", file)
	defer c.stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	var out, mistakes string
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+web+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Request-Id", "id-1")
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
		}
		var code int
		if out, mistakes, code = text(t, "explain", "-c", file, "--request", "id-1"); code == 0 && strings.Contains(out, "  418  GET ") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s%s", out, mistakes)
		}
	}
	if !strings.Contains(out, "  id     id-1\n  route  a, service s\n  took   ") || !strings.Contains(out, "1 attempt\n  try 1  "+s.Listener.Addr().String()+"  418  ") {
		t.Error(out)
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{
		":9900": "127.0.0.1:9900", "0.0.0.0:9900": "127.0.0.1:9900", "[::]:9900": "[::1]:9900", "10.0.0.1:1": "10.0.0.1:1", "host:1": "host:1", "host": "",
	} {
		if got, err := reachable(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", in, got, err)
		}
	}
	e := explaining{file: filepath.Join(t.TempDir(), "none.yaml")}
	if got, err := e.address(false); got != "127.0.0.1:9900" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if _, err := e.address(true); err == nil {
		t.Error("a file that was named may be missing")
	}
}

// TestExplainAsksStrangers: whatever answers at the address, the command says what is wrong, and ends.
func TestExplainAsksStrangers(t *testing.T) {
	for _, c := range []struct {
		answer http.HandlerFunc
		want   string
	}{
		{http.NotFound, "older than this command"},
		{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "invalid character"},
		{func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no\x1b[31m", 500) }, `no\x1b[31m`},
		{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"matched":true}`)) }, ""},
		{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline"},
	} {
		s := httptest.NewServer(c.answer)
		_, mistakes, code := text(t, "explain", "--admin", s.Listener.Addr().String(), "--timeout", "300ms", "/x")
		if !strings.Contains(mistakes, c.want) || (code == 0) != (c.want == "") {
			t.Errorf("%d %q, want %q", code, mistakes, c.want)
		}
		s.Close()
	}
}
