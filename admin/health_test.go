package admin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestOpinions: what checks found and what requests have shown stand beside what the registry says, in status and metrics.
func TestOpinions(t *testing.T) {
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			http.Error(w, "no database", http.StatusServiceUnavailable)
		}
	}))
	defer ill.Close()
	well, unchecked := instance(t, "well"), instance(t, "unchecked")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	_ = l.Close()
	sick := ill.Listener.Addr().String()
	h := open(t, fmt.Sprintf(`
registries:
- {name: local, type: static, services: {orders: [%q, %q, %q], plain: [%q, %q]}}
routes:
- {name: orders, match: {path: /orders}, to: {service: orders}}
- {name: plain, match: {path: /plain}, to: {service: plain, retries: {attempts: 0}}}
services:
- {match: {service: orders}, outlier: off, healthCheck: {kind: http, path: /health, interval: 100ms, timeout: 100ms, unhealthyThreshold: 1}}
- {match: {service: plain}, balance: {policy: roundRobin}, outlier: {consecutiveErrors: 2}}
`, sick, well, dead, unchecked, dead))
	type answer struct{ Services []serviceDoc }
	service := func(name string) map[string]instanceDoc {
		_, body := h.do("GET", "/api/v1/services/"+name)
		var a answer
		if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Services) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		out := map[string]instanceDoc{}
		for _, i := range a.Services[0].Instances {
			out[i.Address] = i
		}
		return out
	}
	until(t, func() bool {
		s := service("orders")
		return s[sick].Health.Checks == "unhealthy" && s[dead].Health.Checks == "unhealthy" && s[well].Health.Made > 1
	})
	s := service("orders")
	if d := s[sick].Health; d.Registry != "healthy" || d.Failing != "answered 503: no database" || d.LastError != d.Failing || d.Since == nil || d.LastCheck == nil {
		t.Errorf("%+v", d)
	}
	// The server of this test answers any path.
	if d := s[well].Health; d.Checks != "healthy" || d.Failing != "" || d.Since == nil || s[well].Outlier != nil {
		t.Errorf("%+v", d)
	}
	if d := s[dead].Health; !strings.Contains(d.Failing, "connection refused") {
		t.Errorf("%+v", d)
	}

	for range 8 {
		h.fetch("GET", h.base+"/plain")
	}
	s = service("plain")
	d := s[dead].Outlier
	if d == nil || !d.Ejected || d.Reason != "consecutiveErrors" || d.Detail != "2 errors in a row" || d.Since == nil || d.Until.Sub(*d.Since) < 29*time.Second || d.Times != 1 {
		t.Errorf("%+v", d)
	}
	if s[unchecked].Outlier != nil || s[unchecked].Health != nil {
		t.Errorf("nothing is known, but shown: %+v", s[unchecked])
	}

	_, metrics := h.do("GET", "/metrics")
	for _, line := range []string{
		`sluice_upstream_healthy{registry="local",service="orders"} 1`,
		`sluice_upstream_ejected{registry="local",service="orders"} 0`,
		`sluice_upstream_ejected{registry="local",service="plain"} 1`,
		`sluice_upstream_ejections_total{reason="consecutiveErrors",registry="local",service="plain"} 1`,
		`sluice_upstream_panic{registry="local",service="orders"} 1`,
		`sluice_upstream_panic{registry="local",service="plain"} 0`,
		`sluice_health_checks_total{result="failed"} `,
		`sluice_health_checks_total{result="good"} `,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, `sluice_upstream_healthy{registry="local",service="plain"}`) {
		t.Error("a service without checks has healthy instances")
	}
}
