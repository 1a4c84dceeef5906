package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// patience is how long a test waits for what must come. It is long because the machine may be busy; where a promise is
// about time, tests measure.
const patience = 30 * time.Second

// sluice is the binary at work.
type sluice struct {
	t       testing.TB
	program *testbed.Program
	client  *http.Client

	dir, file, accessLog string
	address, admin       string // host:port
}

// configure writes a configuration without starting anything. body is everything but listeners, admin and accessLog.
func configure(t testing.TB, body string) *sluice {
	t.Helper()
	s := &sluice{t: t, dir: t.TempDir()}
	s.file = filepath.Join(s.dir, "sluice.yaml")
	s.accessLog = filepath.Join(s.dir, "access.log")
	s.address = fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
	s.admin = fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	s.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	s.write(body)
	return s
}

// run starts a configured binary; it returns when the management address answers.
func (s *sluice) run() *sluice {
	s.t.Helper()
	path, err := shared.build()
	if err != nil {
		s.t.Fatal(err)
	}
	s.program = testbed.StartProgram(s.t, "sluice", func(ctx context.Context) error {
		_, _, err := s.ask(ctx, "/livez")
		return err
	}, path, "run", "-c", s.file)
	s.t.Cleanup(func() {
		if err := s.program.Stop(); err != nil {
			s.t.Error(err)
		}
		if s.t.Failed() {
			log, _ := os.ReadFile(s.accessLog)
			s.t.Logf("end of the access log:\n%s", log[max(0, len(log)-4000):])
		}
		if log := s.program.Log(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
			s.t.Error("the gateway's log tells of a race or a panic")
		}
	})
	return s
}

// start is configure, run and waiting until it is ready.
func start(t testing.TB, body string) *sluice {
	t.Helper()
	s := configure(t, body).run()
	s.untilReady()
	return s
}

// write replaces the configuration in one step, as editors and deployments do.
func (s *sluice) write(body string) {
	s.t.Helper()
	text := fmt.Sprintf("listeners:\n  - {name: web, address: %q}\nadmin: {address: %q}\naccessLog: {path: %q}\n%s", s.address, s.admin, s.accessLog, body)
	fresh := s.file + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(fresh, s.file); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends a request to the management address.
func (s *sluice) ask(ctx context.Context, path string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func (s *sluice) untilReady() {
	s.t.Helper()
	var last []byte
	until(s.t, func() string { return "the gateway is ready: " + string(last) }, func() bool {
		code, body, err := s.ask(s.t.Context(), "/readyz")
		last = body
		return err == nil && code == http.StatusOK
	})
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready   bool
	Waiting []string
}

func (s *sluice) readiness() (r readiness) {
	s.t.Helper()
	_, body, err := s.ask(s.t.Context(), "/readyz")
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// status is what tests look at in /api/v1/status.
type status struct {
	Plan       struct{ Rejected string }
	Registries []struct {
		Name, State, LastError string
		LastPush               *time.Time
	}
	Routes   []struct{ Name string }
	Services []struct {
		Name      string
		Answered  bool
		Instances []struct {
			Address  string
			Weight   float64
			Draining bool
			Requests uint64
		}
		Excluded       []struct{ Address, Reason string }
		Skipped        int
		SkippedEntries []string
	}
	RefusedRoutes []struct {
		Name     string
		Problems []string
	}
}

func (s *sluice) status() (st status) {
	s.t.Helper()
	_, body, err := s.ask(s.t.Context(), "/api/v1/status")
	if err == nil {
		err = json.Unmarshal(body, &st)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// answer is a whole response.
type answer struct {
	code   int
	header http.Header
	body   string
}

// problem is an error that the gateway made.
type problem struct {
	Status                                  int
	Code, Detail, Path, Expected            string
	ExceptionClass, ExceptionMessage, Value string
}

func (a answer) problem(t testing.TB) (p problem) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q: %d %s", got, a.code, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Errorf("%v in %s", err, a.body)
	}
	if p.Status != a.code {
		t.Errorf("status %d in the body, %d in the head", p.Status, a.code)
	}
	return p
}

// do sends a request through the gateway; header is name and value in turn.
func (s *sluice) do(method, path, body string, header ...string) (answer, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, content)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// must is do without errors.
func (s *sluice) must(method, path, body string, header ...string) answer {
	s.t.Helper()
	a, err := s.do(method, path, body, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (s *sluice) get(path string, header ...string) answer {
	s.t.Helper()
	return s.must(http.MethodGet, path, "", header...)
}

// untilAnswer repeats a GET until it has that status and body; an empty body means any.
func (s *sluice) untilAnswer(path string, code int, body string) {
	s.t.Helper()
	var last answer
	var err error
	until(s.t, func() string {
		return fmt.Sprintf("GET %s is %d %q; last: %d %q %v", path, code, body, last.code, last.body, err)
	}, func() bool {
		last, err = s.do(http.MethodGet, path, "")
		return err == nil && last.code == code && (body == "" || last.body == body)
	})
}

// until waits for a condition.
func until(t testing.TB, what func() string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what())
		}
	}
}

// runOnce runs the binary to its end and returns what it printed.
func runOnce(t testing.TB, path string, args ...string) (string, int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

func text(s string) func() string { return func() string { return s } }
