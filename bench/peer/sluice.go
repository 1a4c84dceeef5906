package peer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Sluice is the gateway of this repository with three filters on each of the routes: see SluiceConfig. The program is
// built, unless built names one.
func Sluice(built string, routes int) Kind {
	return Kind{
		Name: "sluice",
		Find: func(ctx context.Context, cache string) (string, error) {
			if built != "" {
				return built, nil
			}
			return buildSluice(ctx, cache)
		},
		Write: func(dir string, port int, backend string) error {
			return os.WriteFile(filepath.Join(dir, "sluice.yaml"), SluiceConfig(port, backend, routes, "one"), 0o644)
		},
		Command: SluiceCommand,
		Version: firstLine("version"),
	}
}

// SluiceCommand starts the gateway with DIR/sluice.yaml.
func SluiceCommand(program, dir string, _ int) *exec.Cmd {
	return exec.Command(program, "run", "-c", filepath.Join(dir, "sluice.yaml"))
}

// SluiceConfig is a document with that many routes to one backend, /svc-N/**, and three filters on each: a prefix is
// stripped, a request header and a response header are set. Access log and management address are off. The tag is the
// value of these headers, so that another tag is another document.
func SluiceConfig(port int, backend string, routes int, tag string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "listeners:\n  - {name: web, address: \"127.0.0.1:%d\"}\n", port)
	b.WriteString("admin: {address: \"off\"}\naccessLog: {path: \"off\"}\n")
	fmt.Fprintf(&b, "registries:\n  - {name: local, type: static, services: {backend: [%q]}}\nroutes:\n", backend)
	for i := range routes {
		fmt.Fprintf(&b, `  - name: svc-%d
    match: {path: "/svc-%d/**"}
    filters:
      - stripPrefix: {parts: 1}
      - setRequestHeader: {name: X-Gateway, value: %s}
      - setResponseHeader: {name: X-Served-By, value: %s}
    to: {service: backend}
`, i, i, tag, tag)
	}
	return b.Bytes()
}

// buildSluice builds it as it is shipped.
func buildSluice(ctx context.Context, cache string) (string, error) {
	program := filepath.Join(cache, "sluice")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/sluice-gateway/sluice/cmd/sluice")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sluice: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return program, nil
}
