package wrk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	r, err := parse("Running 1s test\n  12 requests in 1.00s\nRESULT {\"requests\":12,\"us\":1000100,\"p50\":250,\"p99\":1900,\"connect\":1,\"read\":2,\"write\":3,\"status\":4,\"timeout\":5}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		Requests: 12, Elapsed: 1000100 * time.Microsecond, P50: 250 * time.Microsecond, P99: 1900 * time.Microsecond,
		Errors: Errors{Connect: 1, Read: 2, Write: 3, Status: 4, Timeout: 5},
	}
	if r != want || r.Errors.Sum() != 15 {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

func TestParseNothing(t *testing.T) {
	for _, out := range []string{"", "unable to connect", "RESULT {", "RESULT {\"requests\":\"x\"}"} {
		if r, err := parse(out); err == nil {
			t.Errorf("%q was read as %+v", out, r)
		}
	}
}

func TestScript(t *testing.T) {
	l := Load{Paths: []string{"/a", "/b"}, Method: "POST", Body: `{"a":"]]\n"}`, Header: map[string]string{"Content-Type": "application/json"}}
	script := l.script()
	for _, part := range []string{
		`wrk.method = "POST"`, `wrk.headers["Content-Type"] = "application/json"`, `wrk.body = [==[{"a":"]]\n"}]==]`,
		`requests[0] = wrk.format(nil, "/a")`, `requests[1] = wrk.format(nil, "/b")`, "% 2",
	} {
		if !strings.Contains(script, part) {
			t.Errorf("the script lacks %s:\n%s", part, script)
		}
	}
	if script := (Load{Paths: []string{"/"}}).script(); !strings.Contains(script, `wrk.method = "GET"`) {
		t.Errorf("without a method:\n%s", script)
	}
}

// wrk is no part of what the tests need, so a stand-in shows how it is called.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	fake := "#!/bin/sh\necho \"$@\" > " + filepath.Join(dir, "args") + "\n" +
		`echo 'RESULT {"requests":7,"us":1000000,"p50":1,"p99":2,"connect":0,"read":0,"write":0,"status":0,"timeout":0}'` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "wrk"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if path, err := exec.LookPath("wrk"); err != nil || filepath.Dir(path) != dir {
		t.Fatal("the stand-in is not found")
	}
	r, err := Run(t.Context(), dir, Load{URL: "http://127.0.0.1:1", Paths: []string{"/"}, Connections: 3, Duration: 2 * time.Second})
	if err != nil || r.Requests != 7 {
		t.Fatalf("%+v, %v", r, err)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"-t1", "-c3", "-d2s", "http://127.0.0.1:1"} {
		if !strings.Contains(string(args), part) {
			t.Errorf("wrk was called with %q, without %s", args, part)
		}
	}
}

func TestRunFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "wrk"), []byte("#!/bin/sh\necho no route >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if _, err := Run(t.Context(), dir, Load{Paths: []string{"/"}}); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("error %v, want what wrk said", err)
	}
}
