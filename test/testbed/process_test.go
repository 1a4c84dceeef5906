package testbed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGroupDies starts a shell with a child of its own: both must be gone when the shell is killed.
func TestGroupDies(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := startProcess(exec.Command("/bin/sh", "-c", "sleep 1000 & echo $!; wait"), log)
	check(t, err)
	child := awaitPID(t, log)
	p.kill()
	awaitGone(t, child)
	p.signal(syscall.SIGKILL) // to nobody: the pid may be a stranger's by now
	if !p.reaped {
		t.Error("killed, but not reaped")
	}
}

func TestStop(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	polite, err := startProcess(exec.Command("/bin/sleep", "1000"), log)
	check(t, err)
	if !polite.stop(10 * time.Second) {
		t.Error("sleep did not obey SIGTERM")
	}
	deaf, err := startProcess(exec.Command("/bin/sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done"), log)
	check(t, err)
	awaitPID(t, log)
	if deaf.stop(200 * time.Millisecond) {
		t.Error("a process that ignores SIGTERM was said to obey")
	}
	select {
	case <-deaf.done:
	default:
		t.Error("it still runs")
	}
}

// TestStopFrozen: a frozen process hears SIGTERM when it is thawed.
func TestStopFrozen(t *testing.T) {
	p, err := startProcess(exec.Command("/bin/sleep", "1000"), filepath.Join(t.TempDir(), "log"))
	check(t, err)
	check(t, p.freeze())
	if !p.stop(10 * time.Second) {
		t.Error("it did not obey")
	}
	if err := p.freeze(); err == nil {
		t.Error("a dead process was frozen")
	}
}

func TestStartFails(t *testing.T) {
	if _, err := startProcess(exec.Command("/nonexistent/program"), filepath.Join(t.TempDir(), "log")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := startProcess(exec.Command("/bin/true"), "/nonexistent/log"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestServerThatEnds is what a test sees of a server that gives up: the reason and its last words, at once.
func TestServerThatEnds(t *testing.T) {
	ports, err := reservePorts()
	check(t, err)
	s, err := newServer("broken", ports)
	check(t, err)
	s.command = func() *exec.Cmd { return exec.Command("/bin/sh", "-c", "echo no disk left; exit 3") }
	s.ready = func(context.Context) error { return errors.New("nobody listens") }
	begun := time.Now()
	err = s.launch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no disk left") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	if _, err := os.Stat(filepath.Dir(s.logPath)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
}

// TestTransientStart repeats a start that failed for a reason known to pass, on fresh data, and no other.
func TestTransientStart(t *testing.T) {
	ports, err := reservePorts()
	check(t, err)
	s, err := newServer("moody", ports)
	check(t, err)
	defer s.close()
	starts := 0
	s.command = func() *exec.Cmd {
		starts++
		if starts == 1 {
			return exec.Command("/bin/sh", "-c", "echo half > "+s.dir+"/half; echo try again; exit 1")
		}
		return exec.Command("/bin/sleep", "1000")
	}
	s.ready = func(context.Context) error {
		if starts == 1 {
			return errors.New("not yet")
		}
		return nil
	}
	s.transient = func(log string) bool { return strings.Contains(log, "try again") }
	check(t, s.launch(t.Context()))
	if _, err := os.Stat(filepath.Join(s.dir, "half")); starts != 2 || err == nil {
		t.Errorf("%d starts; what the first left: %v", starts, err)
	}
}

// deathEnv makes TestDiesWithTest, run again as a process, start a child and then die without a clean-up.
const deathEnv = "SLUICE_TESTBED_DEATH"

// TestDiesWithTest kills a test process that has a server and looks for the server.
func TestDiesWithTest(t *testing.T) {
	if log := os.Getenv(deathEnv); log != "" {
		p, err := startProcess(exec.Command("/bin/sh", "-c", "echo $$; exec sleep 1000"), log)
		check(t, err)
		awaitPID(t, log)
		_ = p.freeze() // the hardest case: it hears nothing but SIGKILL
		os.Stdout.WriteString("\nchild is up\n")
		<-p.done
		return
	}
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestDiesWithTest$", "-test.v")
	cmd.Env = append(os.Environ(), deathEnv+"="+log)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "child is up" {
	}
	check(t, cmd.Process.Kill())
	_ = cmd.Wait()
	awaitGone(t, awaitPID(t, log))
}

func TestTailOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	check(t, os.WriteFile(path, append(bytes.Repeat([]byte("a"), logTail), "end"...), 0o600))
	if tail := tailOf(path); len(tail) != logTail || !strings.HasSuffix(tail, "aend") {
		t.Errorf("%d bytes, ending in %q", len(tail), tail[len(tail)-5:])
	}
	check(t, os.WriteFile(path, []byte("short"), 0o600))
	if tail := tailOf(path); tail != "short" {
		t.Errorf("tail is %q", tail)
	}
	if tail := tailOf(path + "x"); !strings.Contains(tail, "no log") {
		t.Errorf("tail is %q", tail)
	}
}

// awaitPID reads the number that a shell prints into its log.
func awaitPID(t *testing.T, log string) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(log)
		if line, _, whole := strings.Cut(string(text), "\n"); whole {
			pid, err := strconv.Atoi(line)
			check(t, err)
			return pid
		}
	}
	t.Fatal("the shell printed nothing")
	return 0
}

// awaitGone waits until a process has ended; a zombie that waits for its new parent counts as ended.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
	}
	t.Errorf("process %d still lives", pid)
}
