// Package grafana holds the dashboard, the alerts and the guide's page about metrics against a gateway at work.
package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is what the guide says of metrics.
const page = "../../docs/guide/metrics.md"

// TestDashboard asks a gateway, which has served, failed, retried, checked and ejected, for everything that dashboard, alerts and
// guide ask Prometheus for.
func TestDashboard(t *testing.T) {
	all := atWork(t)
	// Nothing registers itself in a registry of type static; test/docs knows this one from the code.
	all["sluice_registration_up"] = map[string]map[string]bool{"registry": {}, "service": {}}
	codes := read(t, "../../docs/guide/errors.md")
	excused := map[string]func(string) bool{
		"code":  func(code string) bool { return strings.Contains(codes, "| `"+code+"` |") },
		"route": func(name string) bool { return name == "-" },
	}
	look := func(where, query string) {
		for _, problem := range all.problems(query, excused) {
			t.Errorf("%s: %s: %s", where, query, problem)
		}
	}

	panels := 0
	for _, p := range dashboard(t).Panels {
		if p.Type == "row" {
			continue
		}
		panels++
		if len(p.Targets) == 0 || p.Title == "" {
			t.Errorf("panel %d (%q) shows nothing", p.ID, p.Title)
		}
		for _, target := range p.Targets {
			look(p.Title, target.Expr)
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(strings.Join(grouped(target.Expr), " "), m[1]) {
					t.Errorf("%s: the legend names %s, which the query has not", p.Title, m[1])
				}
			}
		}
	}
	if panels < 20 {
		t.Errorf("only %d panels were read", panels)
	}
	for _, v := range dashboard(t).Templating.List {
		if m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Query.text); m != nil {
			look("variable "+v.Name, "sum by ("+m[2]+") ("+m[1]+")")
		} else if v.Type == "query" {
			t.Errorf("variable %s: %q is no query for values", v.Name, v.Query.text)
		}
	}

	rules := alerts(t)
	if len(rules) < 10 {
		t.Errorf("only %d alerts were read", len(rules))
	}
	text := read(t, page)
	for name, rule := range rules {
		look(name, rule.Expr)
		for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule.Annotations["summary"], -1) {
			if !strings.Contains(strings.Join(grouped(rule.Expr), " "), m[1]) {
				t.Errorf("%s: the summary names %s, which the query has not", name, m[1])
			}
		}
		if !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("the guide does not tell of %s", name)
		}
	}
	for _, m := range regexp.MustCompile("\\| `(Sluice\\w+)` \\|").FindAllStringSubmatch(text, -1) {
		if _, ok := rules[m[1]]; !ok {
			t.Errorf("the guide tells of %s, which is no alert", m[1])
		}
	}

	blocks := regexp.MustCompile("(?s)```promql\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 3 {
		t.Errorf("only %d queries were found in the guide", len(blocks))
	}
	for _, b := range blocks {
		for query := range strings.SplitSeq(strings.TrimSpace(b[1]), "\n\n") {
			look("guide", query)
		}
	}
	for _, m := range regexp.MustCompile("`(sluice_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
		if all[m[1]] == nil && all[m[1]+"_bucket"] == nil {
			t.Errorf("the guide tells of %s, which does not exist", m[1])
		}
	}
}

type board struct {
	Panels []struct {
		ID          int
		Type, Title string
		Targets     []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      query
		}
	}
}

// query is a text, or a section that holds one.
type query struct{ text string }

func (q *query) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &q.text) == nil {
		return nil
	}
	var section struct{ Query string }
	err := json.Unmarshal(data, &section)
	q.text = section.Query
	return err
}

func dashboard(t *testing.T) (d board) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

type rule struct {
	Alert       string
	Expr        string
	For         string
	Annotations map[string]string
}

func alerts(t *testing.T) map[string]rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]rule{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Annotations["summary"] == "" {
				t.Errorf("%s has no summary", r.Alert)
			}
			all[r.Alert] = r
		}
	}
	return all
}

// atWork runs the binary until it has done what metrics tell of, and returns these.
func atWork(t *testing.T) series {
	t.Helper()
	server := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	good := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "good") }
	bad := func(w http.ResponseWriter, r *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil && r.URL.Path != "/health" {
			conn.Close()
		}
	}
	failing := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad", http.StatusServiceUnavailable) }
	web, admin := free(t), free(t)
	text := fmt.Sprintf(`listeners: [{name: web, address: %q}]
admin: {address: %q}
accessLog: {path: "off"}
registries:
  - {name: local, type: static, services: {orders: [%q, %q, %q], failing: [%q]}}
routes:
  - {name: orders, match: {path: /orders}, to: {service: orders}}
  - {name: failing, match: {path: /failing}, to: {service: failing, retries: {attempts: 0}}}
services:
  - match: {service: orders}
    balance: {policy: roundRobin}
    healthCheck: {kind: http, path: /health, interval: 100ms, timeout: 100ms}
    outlier: {consecutiveErrors: 1}
`, web, admin, server(good), server(good), server(bad), server(failing))
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "sluice")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/sluice-gateway/sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	testbed.StartProgram(t, "sluice", func(ctx context.Context) error {
		code, body, err := get(ctx, "http://"+admin+"/readyz")
		if err == nil && code != http.StatusOK {
			err = errors.New(body)
		}
		return err
	}, program, "run", "-c", file)

	wanted := []string{
		`sluice_upstream_ejections_total{reason="consecutiveErrors"`, `sluice_health_checks_total{result="good"}`,
		`sluice_http_requests_total{route="orders",status="2xx"}`, `sluice_http_requests_total{route="failing",status="5xx"}`,
		`sluice_errors_total{`,
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		for _, path := range []string{"/orders", "/failing", "/nowhere"} {
			if _, _, err := get(t.Context(), "http://"+web+path); err != nil {
				t.Fatal(err)
			}
		}
		_, metrics, err := get(t.Context(), "http://"+admin+"/metrics")
		if err != nil {
			t.Fatal(err)
		}
		missing := ""
		for _, w := range wanted {
			if !strings.Contains(metrics, w) {
				missing = w
			}
		}
		if missing == "" {
			return parseSeries(metrics)
		}
		if time.Now().After(end) {
			t.Fatalf("no %s in\n%s", missing, metrics)
		}
	}
}

func get(ctx context.Context, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func free(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
