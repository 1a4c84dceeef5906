package admin

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/registry"
)

// document has a bit of everything that status shows.
func document(orders string) string {
	return `registries:
  - name: local
    type: static
    services:
      orders:
        - {address: "` + orders + `", zone: a, metadata: {rack: r7}}
        - {address: "10.0.0.2:80", disabled: true}
        - {address: "10.0.0.3:80", weight: 0}
        - {address: "10.0.0.4:80", protocol: gopher}
    dubbo:
      - {interface: com.acme.Users, group: g, version: "1.0", instances: ["10.0.0.5:20880"]}
routes:
  - name: orders
    match: {path: "/orders/**", methods: [GET, POST]}
    filters: [{stripPrefix: {parts: 1}}, requestSize: {max: 1MB}]
    to: {service: orders}
  - name: user
    match: {path: "/users/{id}"}
    to: {dubbo: {interface: com.acme.Users, group: g, version: "1.0", method: get, types: [long], args: ["{path.id}"]}}
  - name: hello
    match: {path: "/hello"}
    filters: [{fixedResponse: {body: hello}}]
services:
  - match: {service: orders}
    balance: {policy: roundRobin}
`
}

// masked hides what differs from run to run.
func masked(s string, addresses ...string) string {
	s = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]+"`).ReplaceAllString(s, `"TIME"`)
	s = regexp.MustCompile(`("(?:age|lastPushAge)": )"[^"]+"`).ReplaceAllString(s, `$1"AGE"`)
	s = regexp.MustCompile(`("latencyMs": )[1-9][0-9.]*|("latencyMs": )0\.[0-9]+`).ReplaceAllString(s, `"latencyMs": 1`)
	for i, a := range addresses {
		s = strings.ReplaceAll(s, a, "ADDRESS"+string(rune('0'+i)))
	}
	return s
}

func TestStatus(t *testing.T) {
	orders := instance(t, "orders")
	h := open(t, document(orders))
	until(t, func() bool { status, _ := h.readiness(); return status == 200 })
	if _, body := h.fetch("GET", h.base+"/orders/1"); body != "orders" {
		t.Fatalf("the gateway answers %s", body)
	}
	until(t, func() bool { st := h.status(); return st.Routes[0].Requests == 1 && st.Routes[0].InFlight == 0 })
	_, body := h.do("GET", "/api/v1/status")
	got := masked(body, orders, strings.TrimPrefix(h.base, "http://"))
	got = regexp.MustCompile(`"(connections|idle|parked)": \d+`).ReplaceAllString(got, `"$1": N`)
	const want = `{
  "version": "1.2.3",
  "started": "TIME",
  "ready": true,
  "plan": {
    "applied": "TIME",
    "age": "AGE"
  },
  "listeners": [
    {
      "name": "web",
      "address": "ADDRESS1",
      "connections": N,
      "idle": N,
      "parked": N,
      "inFlight": 0,
      "rejectedRequests": 0
    }
  ],
  "registries": [
    {
      "name": "local",
      "state": "live",
      "since": "TIME",
      "lastPush": "TIME",
      "lastPushAge": "AGE",
      "services": 2,
      "usable": 3,
      "excluded": 2
    }
  ],
  "routes": [
    {
      "name": "orders",
      "position": "sluice.yaml:15:5",
      "methods": [
        "GET",
        "POST"
      ],
      "path": "/orders/**",
      "filters": [
        "stripPrefix",
        "requestSize"
      ],
      "to": "orders@local",
      "requests": 1,
      "inFlight": 0
    },
    {
      "name": "user",
      "position": "sluice.yaml:19:5",
      "path": "/users/{id}",
      "to": "dubbo g/com.acme.Users:1.0.get@local",
      "requests": 0,
      "inFlight": 0
    },
    {
      "name": "hello",
      "position": "sluice.yaml:22:5",
      "path": "/hello",
      "filters": [
        "fixedResponse"
      ],
      "requests": 0,
      "inFlight": 0
    }
  ],
  "services": [
    {
      "name": "g/com.acme.Users:1.0",
      "registry": "local",
      "kind": "dubbo",
      "policy": "peakEWMA",
      "answered": true,
      "lastChange": "TIME",
      "instances": [
        {
          "address": "10.0.0.5:20880",
          "source": "local",
          "protocol": "dubbo",
          "weight": 1,
          "group": "g",
          "version": "1.0",
          "inFlight": 0,
          "requests": 0,
          "failures": 0,
          "latencyMs": 0
        }
      ]
    },
    {
      "name": "orders",
      "registry": "local",
      "kind": "plain",
      "policy": "roundRobin",
      "answered": true,
      "lastChange": "TIME",
      "instances": [
        {
          "address": "ADDRESS0",
          "source": "local",
          "weight": 1,
          "zone": "a",
          "metadata": {
            "rack": "r7"
          },
          "inFlight": 0,
          "requests": 1,
          "failures": 0,
          "latencyMs": 1
        }
      ],
      "excluded": [
        {
          "address": "10.0.0.2:80",
          "source": "local",
          "reason": "disabled"
        },
        {
          "address": "10.0.0.3:80",
          "source": "local",
          "reason": "weight 0"
        },
        {
          "address": "10.0.0.4:80",
          "source": "local",
          "reason": "protocol \"gopher\" is not one of dubbo, http1"
        }
      ]
    }
  ]
}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStatusOfRefusedRoutes(t *testing.T) {
	h := open(t, document("10.0.0.1:80"))
	applied := h.status().Plan.Applied
	h.reload(strings.Replace(document("10.0.0.1:80"), `"/users/{id}"`, `"users/{id}"`, 1))
	st := h.status()
	if len(st.Refused) != 1 {
		t.Fatalf("refused %+v", st.Refused)
	}
	want := refusedRoute{Name: "user", Position: "sluice.yaml:19:5", Problems: []string{
		"sluice.yaml:20:13: routes[1].match.path: must begin with /"}}
	if diff := cmp.Diff(want, st.Refused[0]); diff != "" {
		t.Error(diff)
	}
	for _, r := range st.Routes {
		if r.Earlier != (r.Name == "user") {
			t.Errorf("route %+v", r)
		}
	}
	if len(st.Routes) != 3 || !st.Plan.Applied.After(applied) || st.Plan.Rejected != "" {
		t.Errorf("%d routes, plan %+v", len(st.Routes), st.Plan)
	}
	h.reload(document("10.0.0.1:80"))
	if st := h.status(); len(st.Refused) != 0 || st.Routes[1].Earlier {
		t.Errorf("after mending: %+v", st)
	}
}

func TestStatusOfARejectedDocument(t *testing.T) {
	h := open(t, document("10.0.0.1:80"))
	applied := h.status().Plan.Applied
	h.reload("registries: [\n")
	st := h.status()
	if !strings.HasPrefix(st.Plan.Rejected, "sluice.yaml:") || st.Plan.RejectedAt == nil || !st.Plan.Applied.Equal(applied) || len(st.Routes) != 3 {
		t.Errorf("plan %+v, %d routes", st.Plan, len(st.Routes))
	}
	h.reload(document("10.0.0.1:80"))
	if st := h.status(); st.Plan.Rejected != "" || st.Plan.RejectedAt != nil {
		t.Errorf("after mending: %+v", st.Plan)
	}
}

func TestStatusOfNothing(t *testing.T) {
	h := open(t, "")
	_, body := h.do("GET", "/api/v1/status")
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	// Lists are lists even when nothing is in them: readers need no case for null.
	for _, name := range []string{"listeners", "registries", "routes", "services"} {
		if list, ok := doc[name].([]any); !ok || len(list) != 0 {
			t.Errorf("%s is %v", name, doc[name])
		}
	}
}

func TestLongMetadataIsLeftOut(t *testing.T) {
	e := &discovery.Endpoint{Instance: registry.Instance{Metadata: map[string]string{
		"methods": strings.Repeat("m,", 500), "rack": "r7",
	}}}
	if diff := cmp.Diff(map[string]string{"rack": "r7"}, visible(e)); diff != "" {
		t.Error(diff)
	}
	if len(e.Metadata) != 2 {
		t.Error("the endpoint itself was written to")
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := age(now, time.Time{}); got != "" || when(time.Time{}) != nil {
		t.Errorf("never is %q", got)
	}
	if got := age(now, now.Add(-1234567*time.Microsecond)); got != "1.235s" {
		t.Errorf("%q", got)
	}
}

func TestMetrics(t *testing.T) {
	orders := instance(t, "orders")
	h := open(t, document(orders))
	until(t, func() bool { status, _ := h.readiness(); return status == 200 })
	h.fetch("GET", h.base+"/orders/1")
	h.fetch("GET", h.base+"/nowhere")
	// A request is counted when it has ended, which its client may know before we do.
	until(t, func() bool {
		_, body := h.do("GET", "/metrics")
		return h.status().Routes[0].Requests == 1 && strings.Contains(body, `sluice_http_requests_total{route="-",status="4xx"} 1`)
	})
	resp, body := h.do("GET", "/metrics")
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string, labels ...string) float64 {
		t.Helper()
		f := families[name]
		if f == nil {
			t.Errorf("no %s", name)
			return -1
		}
		for _, m := range f.Metric {
			if labelled(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() +
					float64(m.GetHistogram().GetSampleCount())
			}
		}
		t.Errorf("no %s%v in %v", name, labels, f)
		return -1
	}
	for _, test := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"sluice_http_requests_total", []string{"route", "orders", "status", "2xx"}, 1},
		{"sluice_http_requests_total", []string{"route", "-", "status", "4xx"}, 1},
		{"sluice_http_request_duration_seconds", []string{"route", "orders"}, 1},
		{"sluice_http_requests_in_flight", []string{"route", "orders"}, 0},
		{"sluice_errors_total", []string{"route", "-", "code", "no_route"}, 1},
		{"sluice_http_body_bytes_total", []string{"route", "orders", "direction", "out"}, 6},
		{"sluice_upstream_requests_total", []string{"registry", "local", "service", "orders", "instance", orders}, 1},
		{"sluice_upstream_failures_total", []string{"registry", "local", "service", "orders", "instance", orders}, 0},
		{"sluice_upstream_requests_in_flight", []string{"registry", "local", "service", "orders", "instance", orders}, 0},
		{"sluice_service_instances", []string{"registry", "local", "service", "orders", "state", "usable"}, 1},
		{"sluice_service_instances", []string{"registry", "local", "service", "orders", "state", "excluded"}, 3},
		{"sluice_service_instances", []string{"registry", "local", "service", "orders", "state", "invalid"}, 0},
		{"sluice_registry_up", []string{"registry", "local"}, 1},
		{"sluice_plan_routes", nil, 3},
		{"sluice_plan_refused_routes", nil, 0},
		{"sluice_listener_parked_connections", []string{"listener", "web"}, 0},
		{"sluice_access_log_dropped_total", nil, 0},
	} {
		if got := value(test.name, test.labels...); got != test.want {
			t.Errorf("%s%v is %v, want %v", test.name, test.labels, got, test.want)
		}
	}
	for _, name := range []string{"sluice_registry_last_push_age_seconds", "sluice_plan_age_seconds", "sluice_listener_connections",
		"sluice_upstream_latency_seconds", "go_goroutines", "process_cpu_seconds_total"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	for name, f := range families {
		if strings.HasPrefix(name, "sluice_") && f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
	}
}

func labelled(m *dto.Metric, labels []string) bool {
	have := map[string]string{}
	for _, l := range m.Label {
		have[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(labels); i += 2 {
		if have[labels[i]] != labels[i+1] {
			return false
		}
	}
	return len(have) == len(labels)/2
}
