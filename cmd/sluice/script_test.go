//go:build unix

package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the command as a user does. Beside testscript's own words the scripts have:
//
//	port NAME...             sets each variable to a free port
//	service NAME TEXT...     starts an HTTP service that answers with "TEXT PATH"; NAME becomes its address
//	get URL STATUS [REGEXP]  asks until the answer has this status and its body matches
//	down URL                 asks until nobody answers
//	signal HUP|TERM          sends the signal to the processes in the background
//	takes ADDRESS            opens the address, so that nobody else can
//	appears FILE             waits for a file
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"port": port, "service": service, "get": get, "down": down, "signal": send, "takes": takes, "appears": appears,
		},
	})
}

func usage(ts *testscript.TestScript, neg, good bool, text string) {
	if neg || !good {
		ts.Fatalf("usage: %s", text)
	}
}

func port(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "port NAME...")
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		// All are open until the last is found, so that they differ.
		defer func() { ts.Check(l.Close()) }()
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
}

func service(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "service NAME TEXT...")
	text := strings.Join(args[1:], " ")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, text, r.URL.Path)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.Listener.Addr().String())
}

func takes(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "takes ADDRESS")
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
}

func appears(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "appears FILE")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s does not appear", args[0])
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2 || len(args) == 3, "get URL STATUS [REGEXP]")
	want := regexp.MustCompile("")
	if len(args) == 3 {
		want = regexp.MustCompile(args[2])
	}
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		status, body, err := fetch(args[0])
		if err == nil && strconv.Itoa(status) == args[1] && want.MatchString(body) {
			return
		}
		last = fmt.Sprintf("%d %s %v", status, body, err)
	}
	ts.Fatalf("%s: last answer: %s", args[0], last)
}

func down(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "down URL")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, _, err := fetch(args[0]); err != nil {
			return
		}
	}
	ts.Fatalf("%s still answers", args[0])
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}
	usage(ts, neg, len(args) == 1 && signals[args[0]] != nil, "signal HUP|TERM")
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	}
}
