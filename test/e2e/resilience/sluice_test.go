package resilience

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// sluice is the binary at work.
type sluice struct {
	t          testing.TB
	program    *testbed.Program
	file       string
	head       string // what every version of the document begins with
	url, admin string
	client     *http.Client
}

// perTry is when a request by /retried is sent to somebody else. In the short form it is long: two busy cores may well do
// nothing for us in half a second.
func perTry() time.Duration { return either(time.Second, 500*time.Millisecond) }

// routes to the fleet. Requests by /plain are sent once, those by /retried again when they fail or take too long, those by
// /patient are given all the time they need.
func routes() string {
	return fmt.Sprintf(`
routes:
  - {name: plain, match: {path: /plain}, to: {service: work, timeout: 2s, retries: {attempts: 0}}}
  - name: retried
    match: {path: /retried}
    to: {service: work, timeout: 5s, retries: {attempts: 2, on: [connect, reset, timeout, 5xx], perTry: %v}}
  - {name: patient, match: {path: /patient}, to: {service: work}}
`, perTry())
}

// judged makes answers of 500 count against an instance; all else is as it is without a section.
const judged = `
services:
  - {match: {service: work}, outlier: {serverErrors: true}}
`

// startSluice runs the binary before a fleet. body is all but listeners, admin and registries.
func startSluice(t testing.TB, f *fleet, body string) *sluice {
	t.Helper()
	s := &sluice{t: t, file: filepath.Join(t.TempDir(), "sluice.yaml")}
	web, admin := fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
	s.url, s.admin = "http://"+web, "http://"+admin
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	s.head = fmt.Sprintf("listeners: [{name: web, address: %q}]\nadmin: {address: %q}\naccessLog: {path: \"off\"}\nregistries: [{name: local, type: file, path: %q}]\n", web, admin, f.folder)
	if err := s.write(body); err != nil {
		t.Fatal(err)
	}
	path := must[string](t)(programs.sluice())
	s.program = testbed.StartProgram(t, "sluice", func(ctx context.Context) error {
		_, err := s.ask(ctx, "/readyz")
		return err
	}, path, "run", "-c", s.file)
	t.Cleanup(func() {
		if err := s.program.Stop(); err != nil {
			t.Error(err)
		}
		if log := s.program.Log(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
			t.Error("the gateway's log tells of a race or a panic")
		}
	})
	return s
}

// write replaces the document in one step.
func (s *sluice) write(body string) error {
	if err := os.WriteFile(s.file+".new", []byte(s.head+body), 0o600); err != nil {
		return err
	}
	return os.Rename(s.file+".new", s.file)
}

// planned is when the document in force was applied.
func (s *sluice) planned(ctx context.Context) (time.Time, error) {
	text, err := s.ask(ctx, "/api/v1/status")
	if err != nil {
		return time.Time{}, err
	}
	var status struct{ Plan struct{ Applied time.Time } }
	err = json.Unmarshal(text, &status)
	return status.Plan.Applied, err
}

func (s *sluice) ask(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %.300s", path, resp.StatusCode, body)
	}
	return body, err
}

// sent is how many requests each instance of a service has been sent, as the metrics tell it.
func (s *sluice) sent(ctx context.Context, service string) (map[string]int, error) {
	page, err := s.ask(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	line := regexp.MustCompile(`^sluice_upstream_requests_total\{instance="([^"]*)".*service="` + service + `"\} (\S+)$`)
	counts := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(page))
	for lines.Scan() {
		if m := line.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return nil, err
			}
			counts[m[1]] = int(n)
		}
	}
	return counts, lines.Err()
}
