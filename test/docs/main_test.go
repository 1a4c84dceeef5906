// Package docs holds the documents to their word: every configuration on the README and in the guide is read by the real
// binary, whole ones are started, and what the README and the examples promise is done over real servers.
package docs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-gateway/sluice/test/testbed"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testbed.After(m, binary.remove))
}

// root is the module's folder, seen from here.
const root = "../.."

// patience is how long a test waits for what must come; the machine may be busy.
const patience = 30 * time.Second

// binary is the command, built when the first test needs it.
var binary = newProgram()

type program struct {
	dir   string
	build func() (string, error)
}

func newProgram() *program {
	p := &program{}
	p.build = sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "sluice-docs-")
		if err != nil {
			return "", err
		}
		p.dir = dir
		path := filepath.Join(dir, "sluice")
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "github.com/sluice-gateway/sluice/cmd/sluice")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build sluice: %w\n%s", err, out)
		}
		return path, nil
	})
	return p
}

func (p *program) remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

func sluice(t *testing.T) string {
	t.Helper()
	path, err := binary.build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// check runs "sluice check" in the document's folder and returns what it says.
func check(t *testing.T, file string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), sluice(t), "check", "-c", filepath.Base(file))
	cmd.Dir = filepath.Dir(file)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func free(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
}

// request asks once, over a connection of its own. fields are names and values of the header.
func request(ctx context.Context, method, url, body string, fields ...string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// untilAnswer asks until the answer has this status and holds this text.
func untilAnswer(t *testing.T, url string, status int, text string) {
	t.Helper()
	last := "nothing yet"
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got, body, err := request(t.Context(), "GET", url, "")
		if err == nil && got == status && strings.Contains(body, text) {
			return
		}
		last = fmt.Sprint(got, " ", body, " ", err)
	}
	t.Fatalf("GET %s: %s", url, last)
}

// start runs a configuration until the test ends, and looks at how it stops.
func start(t *testing.T, file, admin string) {
	t.Helper()
	p := testbed.StartProgram(t, "sluice", func(ctx context.Context) error {
		status, body, err := request(ctx, "GET", "http://"+admin+"/livez", "")
		if err == nil && status != 200 {
			err = errors.New(body)
		}
		return err
	}, sluice(t), "run", "-c", file)
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		if code := p.ExitCode(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
}
