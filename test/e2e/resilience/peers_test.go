package resilience

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/bench/peer"
)

// peers are the programs that get the same traffic, each with the list of instances in its own configuration and with what
// its manual offers against what happens here: least requests, passive and (HAProxy) active checks, retries. /plain, /retried
// and /patient are what they are for Sluice.
func peers(f *fleet) []peer.Kind {
	nginx, haproxy, envoy := peer.Nginx(), peer.HAProxy(), peer.Envoy()
	nginx.Write = func(dir string, port int, _ string) error {
		return os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(nginxConfig(f, port)), 0o600)
	}
	haproxy.Write = func(dir string, port int, _ string) error {
		return os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(haproxyConfig(f, port)), 0o600)
	}
	envoy.Write = func(dir string, port int, _ string) error {
		return os.WriteFile(filepath.Join(dir, "envoy.yaml"), []byte(envoyConfig(f, port)), 0o600)
	}
	return []peer.Kind{nginx, haproxy, envoy}
}

// each makes a line for every instance.
func (f *fleet) each(line func(n int, m *member) string) string {
	var b strings.Builder
	for n, m := range f.all {
		b.WriteString(line(n, m))
	}
	return b.String()
}

func nginxConfig(f *fleet, port int) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // else the worker could not read this folder
	}
	servers := f.each(func(_ int, m *member) string {
		return fmt.Sprintf("    server %s max_fails=3 fail_timeout=10s;\n", m.address)
	})
	location := func(path, more string) string {
		return fmt.Sprintf("    location %s {\n      proxy_pass http://work;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_connect_timeout 3s;\n      %s\n    }\n", path, more)
	}
	return fmt.Sprintf(`daemon off;
%s
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream work {
    least_conn;
%s    keepalive 128;
  }
  server {
    listen 127.0.0.1:%d;
%s%s%s  }
}
`, user, servers, port,
		location("/plain", "proxy_read_timeout 2s; proxy_next_upstream off;"),
		location("/retried", fmt.Sprintf("proxy_read_timeout %dms; proxy_next_upstream error timeout http_500 http_502 http_503 http_504; proxy_next_upstream_tries 3;", perTry().Milliseconds())),
		location("/patient", "proxy_read_timeout 60s;"))
}

func haproxyConfig(f *fleet, port int) string {
	backend := func(name, more string) string {
		return fmt.Sprintf("backend %s\n  balance leastconn\n  option httpchk GET /control\n  default-server check inter 2s observe layer7 error-limit 5 on-error mark-down\n  %s\n", name, more) +
			f.each(func(n int, m *member) string { return fmt.Sprintf("  server s%d %s\n", n, m.address) })
	}
	return fmt.Sprintf(`global
  nbthread 1
  maxconn 4000
defaults
  mode http
  http-reuse safe
  timeout connect 3s
  timeout client 60s
  option redispatch 1
frontend web
  bind 127.0.0.1:%d
  use_backend plain if { path /plain }
  use_backend retried if { path /retried }
  default_backend patient
%s%s%s`, port,
		backend("plain", "timeout server 2s\n  retries 0"),
		backend("retried", fmt.Sprintf("timeout server %dms\n  retries 2\n  retry-on conn-failure empty-response response-timeout 500 502 503 504", perTry().Milliseconds())),
		backend("patient", "timeout server 60s"))
}

func envoyConfig(f *fleet, port int) string {
	endpoints := f.each(func(_ int, m *member) string {
		host, port, err := net.SplitHostPort(m.address)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("        - endpoint: {address: {socket_address: {address: %s, port_value: %s}}}\n", host, port)
	})
	return fmt.Sprintf(`static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {match: {path: /plain}, route: {cluster: work, timeout: 2s}}
              - match: {path: /retried}
                route:
                  cluster: work
                  timeout: 5s
                  retry_policy:
                    retry_on: connect-failure,reset,5xx
                    num_retries: 2
                    per_try_timeout: %.3fs
                    host_selection_retry_max_attempts: 5
                    retry_host_predicate:
                    - name: envoy.retry_host_predicates.previous_hosts
                      typed_config: {"@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}
              - {match: {prefix: /}, route: {cluster: work, timeout: 60s}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: work
    type: STATIC
    connect_timeout: 3s
    lb_policy: LEAST_REQUEST
    outlier_detection: {consecutive_5xx: 5, base_ejection_time: 30s, max_ejection_percent: 30}
    circuit_breakers:
      thresholds:
      - max_connections: 20000
        max_pending_requests: 20000
        max_requests: 20000
        retry_budget: {budget_percent: {value: 20}, min_retry_concurrency: 3}
    load_assignment:
      cluster_name: work
      endpoints:
      - lb_endpoints:
%s`, port, perTry().Seconds(), endpoints)
}

// TestPeers gives the peers the same traffic, and measures. It judges nobody.
func TestPeers(t *testing.T) {
	if !full() {
		t.Skip("only with SLUICE_RESILIENCE=full")
	}
	f := startFleet(t)
	base := must[string](t)(os.UserCacheDir())
	cache := filepath.Join(base, "sluice-bench")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, k := range peers(f) {
		t.Run(k.Name, func(t *testing.T) {
			program, err := k.Find(t.Context(), cache)
			if err != nil {
				measured.absent(k.Name, err)
				t.Skip(err)
			}
			measured.version(k.Name, k.Version(t.Context(), program))
			begin := func(t *testing.T) string {
				p, _, err := peer.Start(context.Background(), k, program, filepath.Join(t.TempDir(), k.Name), "", "/patient")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Stop)
				return p.URL()
			}
			for _, sc := range scenarios() {
				t.Run(sc.name, func(t *testing.T) {
					o := sc.play(t, f, begin(t))
					t.Log(o)
					measured.note(sc.name, k.Name, o)
				})
			}
			t.Run(slow, func(t *testing.T) { slowPair(t, f, k.Name, func(t *testing.T) string { return begin(t) }) })
			t.Run(storms, func(t *testing.T) { storm(t, f, k.Name, begin(t)) })
		})
	}
}

// TestPeersConfigurations reads what the peers are started with.
func TestPeersConfigurations(t *testing.T) {
	f := &fleet{all: []*member{{address: "127.0.0.1:11"}, {address: "127.0.0.1:22"}}}
	for _, k := range peers(f) {
		dir := t.TempDir()
		if err := k.Write(dir, 18123, ""); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s wrote %v, %v", k.Name, files, err)
		}
		text := string(must[[]byte](t)(os.ReadFile(files[0])))
		for _, want := range []string{"18123", "11", "22", "/plain", "/retried"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in\n%s", k.Name, want, text)
			}
		}
		if strings.Contains(text, "%!") {
			t.Errorf("%s is configured with:\n%s", k.Name, text)
		}
	}
}
