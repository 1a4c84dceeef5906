// Package wrk puts load on a server with the program of that name: one thread, so that the load is the same for every
// server and leaves the other core to them.
package wrk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Load is what is asked of a server.
type Load struct {
	URL         string // of the server's root
	Paths       []string
	Method      string // "" is GET
	Body        string
	Header      map[string]string
	Connections int
	Duration    time.Duration
}

// Result is what came of it.
type Result struct {
	Requests int64         // answered
	Elapsed  time.Duration // by wrk's clock
	P50, P99 time.Duration
	Errors   Errors
	CPU      time.Duration // that wrk used itself
}

// Errors counts requests that failed, by the way they did.
type Errors struct {
	Connect, Read, Write, Status, Timeout int64
}

// Sum is all of them.
func (e Errors) Sum() int64 { return e.Connect + e.Read + e.Write + e.Status + e.Timeout }

// Run loads a server. It needs wrk on the path.
func Run(ctx context.Context, dir string, l Load) (Result, error) {
	script := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(script, []byte(l.script()), 0o644); err != nil {
		return Result{}, fmt.Errorf("write load script: %w", err)
	}
	// wrk counts whole seconds.
	seconds := max(1, int(l.Duration.Round(time.Second)/time.Second))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(l.Connections), "-d"+strconv.Itoa(seconds)+"s",
		"--timeout", "10s", "-s", script, l.URL)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return Result{}, fmt.Errorf("run wrk: %w: %s", err, strings.TrimSpace(errOut.String()))
	}
	r, err := parse(out.String())
	r.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r, err
}

// script makes every request beforehand, and goes through them in turn.
func (l Load) script() string {
	var b strings.Builder
	b.WriteString("local requests, next = {}, 0\n")
	fmt.Fprintf(&b, "wrk.method = %q\n", orGet(l.Method))
	for name, value := range l.Header {
		fmt.Fprintf(&b, "wrk.headers[%q] = %q\n", name, value)
	}
	if l.Body != "" {
		fmt.Fprintf(&b, "wrk.body = %s\n", luaString(l.Body))
	}
	b.WriteString("function init(args)\n")
	for i, p := range l.Paths {
		fmt.Fprintf(&b, "  requests[%d] = wrk.format(nil, %q)\n", i, p)
	}
	fmt.Fprintf(&b, "end\nfunction request()\n  next = (next + 1) %% %d\n  return requests[next]\nend\n", len(l.Paths))
	b.WriteString(done)
	return b.String()
}

// done prints the result for parse.
const done = `function done(summary, latency, requests)
  io.write(string.format('RESULT {"requests":%d,"us":%d,"p50":%d,"p99":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.connect,
    summary.errors.read, summary.errors.write, summary.errors.status, summary.errors.timeout))
end
`

func orGet(method string) string {
	if method == "" {
		return "GET"
	}
	return method
}

// luaString quotes a text in long brackets, which know no escapes.
func luaString(s string) string { return "[==[" + s + "]==]" }

func parse(out string) (Result, error) {
	_, line, ok := strings.Cut(out, "RESULT ")
	if !ok {
		return Result{}, errors.New("read wrk's result: there is none: " + out)
	}
	line, _, _ = strings.Cut(line, "\n")
	var r struct {
		Requests int64 `json:"requests"`
		US       int64 `json:"us"`
		P50      int64 `json:"p50"`
		P99      int64 `json:"p99"`
		Connect  int64 `json:"connect"`
		Read     int64 `json:"read"`
		Write    int64 `json:"write"`
		Status   int64 `json:"status"`
		Timeout  int64 `json:"timeout"`
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return Result{}, fmt.Errorf("read wrk's result: %w", err)
	}
	return Result{
		Requests: r.Requests, Elapsed: time.Duration(r.US) * time.Microsecond,
		P50: time.Duration(r.P50) * time.Microsecond, P99: time.Duration(r.P99) * time.Microsecond,
		Errors: Errors{Connect: r.Connect, Read: r.Read, Write: r.Write, Status: r.Status, Timeout: r.Timeout},
	}, nil
}
