package gateway

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// versions is a configuration whose answers tell its number.
func versions(address string, n int, more string) string {
	return fmt.Sprintf(`
registries:
  - {name: here, type: static, services: {echo: [%q]}}
routes:
  - name: main
    match: {path: "/main"}
    filters: [{setRequestHeader: {name: X-Number, value: "%d"}}]
    to: {service: echo}
%s`, address, n, more)
}

// TestReload changes the file many times under load, good and bad: no request fails, and the last good version serves.
func TestReload(t *testing.T) {
	t.Parallel()
	echo := serveBy(t, "echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Number")) }))
	s := start(t, versions(echo.address(), 0, ""))
	l := s.load("/main", 4)
	l.untilBy("0")
	for n := 1; n <= 20; n++ {
		s.write(versions(echo.address(), n, ""))
		within(t, fmt.Sprintf("version %d", n), l.untilBy(fmt.Sprint(n)))
	}

	// A document that cannot be read changes nothing, and is named.
	s.write(versions(echo.address(), 100, "  - {name: broken, match: [\n"))
	until(t, text("status tells of the rejected document"), func() bool { return s.status().Plan.Rejected != "" })
	if rejected := s.status().Plan.Rejected; !strings.Contains(rejected, "sluice.yaml:") {
		t.Errorf("no place in %q", rejected)
	}
	within(t, "after a document that cannot be read", l.untilBy("20"))

	// A bad route is refused alone.
	s.write(versions(echo.address(), 101, "  - {name: bad, match: {path: /bad}, to: {servce: echo}}\n  - {name: good, match: {path: /good}, to: {service: echo}}\n"))
	within(t, "with a bad route", l.untilBy("101"))
	st := s.status()
	if len(st.RefusedRoutes) != 1 || st.RefusedRoutes[0].Name != "bad" || !strings.Contains(strings.Join(st.RefusedRoutes[0].Problems, "\n"), `"service"`) {
		t.Errorf("refused: %+v", st.RefusedRoutes)
	}
	if st.Plan.Rejected != "" {
		t.Errorf("still rejected: %s", st.Plan.Rejected)
	}
	s.untilAnswer("/good", 200, "")
	s.untilAnswer("/bad", 404, "")

	// SIGHUP reads again and opens the access log anew, as log rotation wants.
	rotated := s.accessLog + ".1"
	if err := os.Rename(s.accessLog, rotated); err != nil {
		t.Fatal(err)
	}
	s.program.Signal(syscall.SIGHUP)
	until(t, text("a new access log"), func() bool {
		info, err := os.Stat(s.accessLog)
		return err == nil && info.Size() > 0
	})
	l.wantNoFailure()
	total := l.count()
	until(t, func() string { return fmt.Sprintf("%d lines in both access logs", total) }, func() bool {
		before, _ := os.ReadFile(rotated)
		after, _ := os.ReadFile(s.accessLog)
		return strings.Count(string(before)+string(after), `"path":"/main"`) == total
	})
}

// TestRefusesBadStart starts with a file full of mistakes: all of them are named, with their places, and nothing serves.
func TestRefusesBadStart(t *testing.T) {
	t.Parallel()
	s := configure(t, "registries:\n  - {name: n, type: nacso, addresses: [a]}\nroutes:\n  - {name: a, match: {path: /a}, to: {servce: x}}\n")
	path, err := shared.build()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		out, code := runOnce(t, path, command, "-c", s.file)
		if code != 1 {
			t.Errorf("%s: exit code %d", command, code)
		}
		for _, want := range []string{"sluice.yaml:6:21: ", "sluice.yaml:8:39: ", `did you mean "nacos"?`, `did you mean "service"?`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", command, want, out)
			}
		}
	}
}

// TestGracefulStop sends SIGTERM while requests run: they finish, nothing new is taken, and the process ends with 0.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	slow := serveBy(t, "slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		fmt.Fprint(w, "half, ")
		w.(http.Flusher).Flush()
		begun <- struct{}{}
		<-finish
		fmt.Fprint(w, "whole")
	}))
	s := start(t, fmt.Sprintf(filesRoute, slow.address())+"shutdown: {grace: 20s, delay: 300ms}\n")
	idle, idleReader := s.dial()
	fmt.Fprint(idle, "GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, err := http.ReadResponse(idleReader, nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	} else {
		resp.Body.Close()
	}
	answers := make(chan string, 3)
	for range cap(answers) {
		go func() {
			a, err := s.do(http.MethodGet, "/slow", "")
			answers <- fmt.Sprintf("%d %s %v", a.code, a.body, err)
		}()
	}
	for range cap(answers) {
		<-begun
	}
	s.program.Signal(syscall.SIGTERM)
	until(t, text("readiness fails"), func() bool {
		code, _, err := s.ask(t.Context(), "/readyz")
		return err == nil && code == http.StatusServiceUnavailable
	})
	until(t, text("nothing new is taken"), func() bool {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if _, err := idleReader.ReadByte(); err == nil {
		t.Error("an idle connection got a byte, not its end")
	}
	select {
	case <-s.program.Done():
		t.Error("it ended while requests ran")
	case a := <-answers:
		t.Error("a request was cut: " + a)
	default:
	}
	close(finish)
	for range cap(answers) {
		if a := <-answers; a != "200 half, whole <nil>" {
			t.Error(a)
		}
	}
	select {
	case <-s.program.Done():
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if code := s.program.ExitCode(); code != 0 {
		t.Errorf("exit code %d: %s", code, s.program.Log())
	}
}

// TestGraceEnds wants a stop within shutdown.grace when a request never finishes.
func TestGraceEnds(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	stuck := serveBy(t, "stuck", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}))
	s := start(t, fmt.Sprintf(filesRoute, stuck.address())+"shutdown: {grace: 500ms}\n")
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		if a, err := s.do(http.MethodGet, "/", ""); err == nil && a.code == 200 {
			t.Errorf("a request that never ends was answered: %+v", a)
		}
	}()
	<-begun
	began := time.Now()
	s.program.Signal(syscall.SIGTERM)
	<-s.program.Done()
	if took := time.Since(began); took < 400*time.Millisecond || took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	<-cut
	if code := s.program.ExitCode(); code != 1 {
		t.Errorf("exit code %d, though requests were cut", code)
	}
}
