package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes this program a peer when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == ReverseProxyCommand {
		fmt.Fprintln(os.Stderr, ServeReverseProxy(context.Background(), os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func backend(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

func TestStartsAndStops(t *testing.T) {
	k := ReverseProxy()
	program, err := k.Find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p, took, err := Start(t.Context(), k, program, filepath.Join(t.TempDir(), "p"), backend(t), "/")
	if err != nil {
		t.Fatal(err)
	}
	if took <= 0 {
		t.Errorf("it took %v", took)
	}
	p.Stop()
	select {
	case <-p.Done():
	default:
		t.Error("it runs on")
	}
	p.Stop() // twice is no harm
}

func TestStartTellsWhatWentWrong(t *testing.T) {
	dead := Kind{
		Name: "dead", Write: func(string, int, string) error { return nil },
		Command: func(string, string, int) *exec.Cmd { return exec.Command("sh", "-c", "echo no such luck; exit 3") },
	}
	_, _, err := Start(t.Context(), dead, "", filepath.Join(t.TempDir(), "p"), "", "/")
	if err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("error %v, want its output", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	k := ReverseProxy()
	program, err := k.Find(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Start(ctx, k, program, filepath.Join(t.TempDir(), "q"), backend(t), "/missing")
	if err == nil || !strings.Contains(err.Error(), "status 404") {
		t.Errorf("error %v, want the answer that was not 200", err)
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := run(exec.Command("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"), log)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if text, err := os.ReadFile(log); err == nil && len(text) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the shell says nothing")
		}
	}
	p.Stop()
}

func TestRunOfNothing(t *testing.T) {
	if _, err := run(exec.Command("/nonexistent"), filepath.Join(t.TempDir(), "log")); err == nil {
		t.Error("it runs")
	}
}

func TestConfigurationsAreWritten(t *testing.T) {
	for _, k := range []Kind{Nginx(), HAProxy(), Envoy(), Backend()} {
		dir := t.TempDir()
		if err := k.Write(dir, 18123, "127.0.0.1:18124"); err != nil {
			t.Fatal(err)
		}
		var text []byte
		files, err := filepath.Glob(filepath.Join(dir, "*.*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s wrote %v, %v", k.Name, files, err)
		}
		if text, err = os.ReadFile(files[0]); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "18123") || strings.Contains(string(text), "%!") {
			t.Errorf("%s is configured with:\n%s", k.Name, text)
		}
		if args := k.Command("program", dir, 18123).Args; !strings.Contains(strings.Join(args, " "), dir) {
			t.Errorf("%s is started by %q", k.Name, args)
		}
	}
}

func TestSluiceConfigIsWellFormed(t *testing.T) {
	doc := SluiceConfig(18123, "127.0.0.1:18124", 3, "tag")
	if n := strings.Count(string(doc), "value: tag"); n != 6 {
		t.Errorf("%d tags in\n%s", n, doc)
	}
}

func TestFreePortsAreFree(t *testing.T) {
	port, err := FreePort(t.Context())
	if err != nil || port < firstPort || port > lastPort {
		t.Fatalf("port %d, %v", port, err)
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestFindSaysHowToInstall(t *testing.T) {
	_, err := inPath("no-such-program", "apt-get install it")(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "apt-get install it") {
		t.Errorf("error %v", err)
	}
}
