package admin

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy"
	"github.com/sluice-gateway/sluice/proxy/upstream"
)

// asked is a question to the management address; pairs of keys and values follow.
func (h *house) asked(pairs ...string) (*http.Response, string) {
	h.t.Helper()
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return h.do("GET", "/api/v1/explain?"+q.Encode())
}

func (h *house) explained(pairs ...string) Explanation {
	h.t.Helper()
	resp, body := h.asked(pairs...)
	var doc Explanation
	if err := json.Unmarshal([]byte(body), &doc); err != nil || resp.StatusCode != 200 {
		h.t.Fatalf("%s %v: %s", resp.Status, err, body)
	}
	return doc
}

func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func explainText(address string) string {
	return fmt.Sprintf(`
registries: [{name: r, type: static, services: {s: [%q, {address: "10.0.0.1:80", weight: 0}]}}]
routes:
  - {name: all, match: {path: "/orders/**"}, to: {service: s}}
  - name: one
    match: {hosts: [shop.example.com], path: "/orders/{id}", methods: [GET]}
    filters: [stripPrefix]
    flowControl: {qps: 100, concurrency: 5}
    to: {service: s, timeout: 3s, retries: {attempts: 1, perTry: 1s}}
  - {name: health, match: {path: "/healthz", headers: {X-A: {exact: b}}}, filters: [fixedResponse]}
services: [{match: {service: s}, limits: {instance: 7, queue: 9}}]
`, address)
}

func TestExplain(t *testing.T) {
	address := nobody(t)
	h := open(t, explainText(address))
	x := h.explained("method", "GET", "url", "http://shop.example.com/orders/1?a=b", "header", "X-A:b", "header", "X-C: d:e")
	if !x.Matched || x.Routes != 3 || x.Answer != nil || x.Request != (ExplainedRequest{"GET", "shop.example.com", "/orders/1", "a=b"}) {
		t.Fatalf("%+v", x)
	}
	r := x.Route
	if r.Name != "one" || r.Position == "" || r.To != "s@r" && r.To != "s" || r.Timeout != "3s" || r.Retries.Attempts != 1 || r.Retries.PerTry != "1s" ||
		len(r.Filters) != 1 || r.FlowControl.QPS != 100 || r.FlowControl.Concurrency != 5 || len(r.Captures) != 1 || r.Captures[0] != (Capture{"id", "1"}) {
		t.Errorf("%+v", r)
	}
	if len(x.Candidates) != 3 || !x.Candidates[0].Won || x.Candidates[1].Behind == "" || x.Candidates[2].Failed != "path" || x.Candidates[2].Wanted != "/healthz" {
		t.Errorf("%+v", x.Candidates)
	}
	d := x.Targets[0]
	if d.Service != "s" || d.Registry != "r" || d.RegistryState != "live" || d.Share != 1 || d.Total != 1 || d.ExcludedTotal != 1 || d.Policy != "peakEWMA" ||
		!d.Answered || d.LastChange == nil || d.Limits.Instance != 7 || d.Limits.Queue != 9 || d.RetryBudget.Left != 3 || d.RetryBudget.Share != 0.2 {
		t.Errorf("%+v", d)
	}
	i := d.Instances[0]
	if i.Address != address || i.Chance != 1 || i.Share != 1 || i.Warm != 1 || i.Weight != 1 || i.Limit != 7 || i.Flags != nil || i.Tier != nil || i.Source != "r" {
		t.Errorf("%+v", i)
	}
	if len(d.Excluded) != 1 || d.Excluded[0] != (excludedDoc{"10.0.0.1:80", "r", "weight 0"}) {
		t.Errorf("%+v", d.Excluded)
	}
}

func TestExplainWithoutARoute(t *testing.T) {
	h := open(t, explainText(nobody(t)))
	x := h.explained("url", "/healthz")
	if x.Matched || x.Route != nil || x.Targets != nil || x.Answer.Status != 404 || x.Answer.Code != "no_route" || x.Candidates[0].Won {
		t.Errorf("%+v", x)
	}
	if c := x.Candidates[0]; c.Name != "health" || c.Failed != "header" || c.Of != "X-A" || c.Wanted != `"b"` || c.Seen != "none" {
		t.Errorf("%+v", c)
	}
	x = h.explained("url", "/orders/1", "header", "Host: shop.example.com", "method", "GET")
	if !x.Matched || x.Request.Host != "shop.example.com" {
		t.Errorf("%+v", x)
	}
}

func TestExplainBadQuestions(t *testing.T) {
	h := open(t, explainText(nobody(t)))
	for _, c := range []struct {
		pairs  []string
		status int
		says   string
	}{
		{nil, 400, "url: is missing"},
		{[]string{"url", "/%zz"}, 400, "refuses this with 400"},
		{[]string{"url", "/", "header", "nonsense"}, 400, "NAME:VALUE"},
		{[]string{"url", "/", "header", ": x"}, 400, "NAME:VALUE"},
		{[]string{"url", "/", "client", "x"}, 400, "client"},
		{[]string{"request", ""}, 400, "X-Request-Id"},
		{[]string{"request", "unknown"}, 404, "1024"},
		{[]string{"failed", "x"}, 400, "how many"},
		{[]string{"failed", "0"}, 400, "how many"},
		{[]string{"failed", "7"}, 200, `"requests": []`},
		{[]string{"url", "/", "client", "10.0.0.1"}, 200, "no_route"},
	} {
		if resp, body := h.asked(c.pairs...); resp.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%v: %d %s", c.pairs, resp.StatusCode, body)
		}
	}
	empty := open(t, "")
	if resp, body := empty.asked("url", "/"); resp.StatusCode != 400 || !strings.Contains(body, "no document") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	for _, pair := range [][]string{{"request", "x"}, {"failed", "1"}} {
		if resp, body := empty.asked(pair...); resp.StatusCode >= 500 {
			t.Errorf("%v: %d %s", pair, resp.StatusCode, body)
		}
	}
}

func (h *house) past(pairs ...string) Remembered {
	h.t.Helper()
	var doc Remembered
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		resp, body := h.asked(pairs...)
		if resp.StatusCode == 200 {
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				h.t.Fatal(err)
			}
			if len(doc.Requests) > 0 {
				return doc
			}
		}
		if time.Now().After(end) {
			h.t.Fatalf("%v: %s", pairs, body)
		}
	}
}

func TestExplainWhatHasBeen(t *testing.T) {
	address := nobody(t)
	h := open(t, explainText(address))
	req, err := http.NewRequestWithContext(t.Context(), "GET", h.base+"/orders/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.example.com"
	req.Header.Set("X-Request-Id", `a "b"`)
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	for _, pairs := range [][]string{{"request", `a "b"`}, {"failed", "5"}} {
		doc := h.past(pairs...)
		x := doc.Requests[0]
		if doc.Size != 1024 || len(doc.Requests) != 1 || x.RequestID != `a "b"` || x.Status != 502 || x.Method != "GET" || x.Host != "shop.example.com" || x.Path != "/orders/1" ||
			x.Route != "one" || x.Service != "s" || x.Attempts != 2 || x.Code != "upstream_connect" || !strings.Contains(x.Error, address) || x.DurationMs <= 0 {
			t.Errorf("%+v", x)
		}
		if len(x.Tries) != 2 || x.Tries[0].Instance != address || x.Tries[0].Code != "upstream_connect" || x.Tries[1].Code != "upstream_connect" || x.Tries[0].Status != 0 {
			t.Errorf("%+v", x.Tries)
		}
	}
}

// TestExplainManyAtOnce: questions do not disturb each other or the traffic.
func TestExplainManyAtOnce(t *testing.T) {
	h := open(t, explainText(nobody(t)))
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 20 {
				path := fmt.Sprintf("/orders/%d-%d", n, i)
				if x := h.explained("url", path); !x.Matched || x.Request.Path != path {
					t.Errorf("%+v", x)
				}
			}
		})
	}
	all.Wait()
}

func TestRounded(t *testing.T) {
	for in, want := range map[float64]float64{1.23456: 1.235, math.Inf(1): 0, math.NaN(): 0, 0: 0, 1e12: 1e12} {
		if got := rounded(in); got != want {
			t.Errorf("%v: %v", in, got)
		}
	}
	var i upstream.InstanceView
	i.Price, i.TierShare = math.Inf(1), 0.5
	if _, err := json.Marshal(explainedInstance(&i, true)); err != nil {
		t.Error(err)
	}
	d := destinationOf(&proxy.ExplainedTarget{Destination: upstream.Destination{Refused: protocol.NewError(503, protocol.CodeNoInstance, "none")}})
	if d.Answer.Status != 503 || d.RetryBudget != nil || d.Limits != nil || d.RegistryState != "" {
		t.Errorf("%+v", d)
	}
}
