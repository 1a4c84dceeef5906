package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// binary is the gateway, built once, with the race detector if the tests have it.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-binary-")
	if err != nil {
		return "", err
	}
	shared.atEnd(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "sluice")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, "github.com/sluice-gateway/sluice/cmd/sluice")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sluice: %w\n%s", err, out)
	}
	return path, nil
})

// gateway is the binary at work.
type gateway struct {
	t       testing.TB
	program *testbed.Program
	client  *http.Client

	file           string
	address, admin string // host:port
}

// startGateway runs the binary with a document, listeners and admin left out. It returns when the management address
// answers; see untilReady.
func startGateway(t testing.TB, document string) *gateway {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{
		t:       t,
		file:    filepath.Join(t.TempDir(), "sluice.yaml"),
		address: fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t)),
		admin:   fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t)),
	}
	text := fmt.Sprintf("listeners: [{name: web, address: %q}]\nadmin: {address: %q}\naccessLog: {path: off}\n%s", g.address, g.admin, document)
	if err := os.WriteFile(g.file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	g.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	g.program = testbed.StartProgram(t, "sluice", func(ctx context.Context) error {
		_, _, err := g.ask(ctx, "/livez")
		return err
	}, path, "run", "-c", g.file)
	t.Cleanup(func() {
		if err := g.program.Stop(); err != nil {
			t.Error(err)
		}
		if log := g.program.Log(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
			t.Error("the gateway's log tells of a race or a panic")
		}
		if t.Failed() {
			t.Logf("the document:\n%.2000s", text)
		}
	})
	return g
}

// ask sends a request to the management address.
func (g *gateway) ask(ctx context.Context, path string) (int, []byte, error) {
	return g.fetch(ctx, "http://"+g.admin+path)
}

// get sends a request through the gateway.
func (g *gateway) get(ctx context.Context, path string) (int, []byte, error) {
	return g.fetch(ctx, "http://"+g.address+path)
}

func (g *gateway) fetch(ctx context.Context, url string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func (g *gateway) untilReady() {
	g.t.Helper()
	var last []byte
	until(g.t, "the gateway is ready", func() string { return string(last) }, func() bool {
		code, body, err := g.ask(g.t.Context(), "/readyz")
		last = body
		return err == nil && code == http.StatusOK
	})
}

// status is what the scenarios look at in /api/v1/status.
type status struct {
	Registries []struct{ Name, State, LastError string }
	Services   []struct {
		Name      string
		Instances []struct{ Address string }
	}
}

func (g *gateway) status() (s status) {
	g.t.Helper()
	_, body, err := g.ask(g.t.Context(), "/api/v1/status")
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		g.t.Fatalf("read status: %v: %s", err, body)
	}
	return s
}

// instances are the addresses that a service has in use, in order.
func (g *gateway) instances(service string) []string {
	var addresses []string
	for _, s := range g.status().Services {
		if s.Name == service {
			for _, i := range s.Instances {
				addresses = append(addresses, i.Address)
			}
		}
	}
	slices.Sort(addresses)
	return addresses
}

func (g *gateway) state(registry string) string {
	for _, r := range g.status().Registries {
		if r.Name == registry {
			return r.State
		}
	}
	return ""
}

// untilState waits for what status says of a registry.
func (g *gateway) untilState(registry, want string) time.Time {
	g.t.Helper()
	var got string
	until(g.t, "registry "+registry+" is "+want, func() string { return got }, func() bool {
		got = g.state(registry)
		return got == want
	})
	return time.Now()
}
