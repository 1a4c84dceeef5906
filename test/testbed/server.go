package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Server is what every server of the test bed can do; each of them embeds it. A private server stops at its test's
// cleanup. The methods may be called from several goroutines, one after the other is done.
type Server struct {
	name    string
	dir     string // everything the server writes; removed at the end
	logPath string
	ports   *portBlock

	command func() *exec.Cmd                // a new command for each start
	ready   func(ctx context.Context) error // nil when the server answers
	settled func(ctx context.Context) error // run after the first start on empty data: users, namespaces
	wait    time.Duration                   // how long a start may take
	grace   time.Duration                   // how long SIGTERM may take
	// transient, if set, tells from the log of a start that failed whether another try may succeed.
	transient func(log string) bool

	mu   sync.Mutex
	proc *process // nil before the first start
}

// start runs the server and waits until it is ready.
func (s *Server) start(ctx context.Context, fresh bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(ctx, fresh)
}

// tries bounds how often one start is repeated.
const tries = 3

func (s *Server) startLocked(ctx context.Context, fresh bool) error {
	for try := 1; ; try++ {
		err := s.startOnce(ctx, fresh)
		if err == nil {
			return nil
		}
		log := s.Log()
		if try == tries || s.transient == nil || !s.transient(log) || ctx.Err() != nil {
			return fmt.Errorf("start %s: %w\n%s", s.name, err, log)
		}
		if fresh {
			if err := os.RemoveAll(s.dir); err != nil {
				return fmt.Errorf("start %s: %w", s.name, err)
			}
		}
	}
}

func (s *Server) startOnce(ctx context.Context, fresh bool) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	proc, err := startProcess(s.command(), s.logPath)
	if err != nil {
		return err
	}
	s.proc = proc
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	err = s.awaitReady(ctx, proc)
	if err == nil && fresh && s.settled != nil {
		err = s.settled(ctx)
	}
	if err != nil {
		proc.kill()
	}
	return err
}

func (s *Server) awaitReady(ctx context.Context, proc *process) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-proc.done:
			return fmt.Errorf("it ended before it was ready (%v)", proc.state)
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// Kill ends the server at once (SIGKILL, also when frozen) and returns when it is gone. Its data and ports stay.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
	}
}

// Stop ends the server politely (SIGTERM) and returns when it is gone; one that does not obey is killed, which is an
// error. Its data and ports stay.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopLocked()
}

func (s *Server) stopLocked() error {
	if s.proc != nil && !s.proc.stop(s.grace) {
		return fmt.Errorf("stop %s: it ignored SIGTERM for %v and was killed", s.name, s.grace)
	}
	return nil
}

// Restart stops the server if it runs and starts it on the same ports with the same data. It returns when it is ready.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stopLocked(); err != nil {
		return err
	}
	return s.startLocked(context.Background(), false)
}

// Wipe ends the server, removes all its data and starts it on the same ports. It returns when it is ready.
func (s *Server) Wipe() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.kill()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("wipe %s: %w", s.name, err)
	}
	return s.startLocked(context.Background(), true)
}

// Freeze stops the server's clock (SIGSTOP): its connections stay open and nothing is answered until Thaw.
func (s *Server) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.freeze(); err != nil {
		return fmt.Errorf("freeze %s: %w", s.name, err)
	}
	return nil
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.proc.thaw(); err != nil {
		return fmt.Errorf("thaw %s: %w", s.name, err)
	}
	return nil
}

// Log returns the last 8 KB of what the server printed.
func (s *Server) Log() string { return tailOf(s.logPath) }

// LogOnFailure shows the server's log when the test has failed. Private servers do it by themselves.
func (s *Server) LogOnFailure(tb testing.TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("last output of %s:\n%s", s.name, s.Log())
		}
	})
}

// close ends the server for good, and gives back its ports and folder.
func (s *Server) close() {
	s.Kill()
	s.ports.Close()
	_ = os.RemoveAll(filepath.Dir(s.logPath))
}

// launch gives a server its folder, runs it, and cleans up if that fails.
func (s *Server) launch(ctx context.Context) error {
	err := s.start(ctx, true)
	if err != nil {
		s.close()
	}
	return err
}

// newServer makes the folder of a server: DIR/log beside DIR/data, so that Wipe keeps the log.
func newServer(name string, ports *portBlock) (*Server, error) {
	root, err := os.MkdirTemp("", "sluice-"+name+"-")
	if err != nil {
		ports.Close()
		return nil, fmt.Errorf("make folder of %s: %w", name, err)
	}
	return &Server{
		name: name, ports: ports,
		dir:     filepath.Join(root, "data"),
		logPath: filepath.Join(root, "log"),
		wait:    60 * time.Second,
		grace:   20 * time.Second,
	}, nil
}

// private ties a started server to a test.
func private[T interface{ server() *Server }](tb testing.TB, start func(context.Context) (T, error)) T {
	tb.Helper()
	t, err := start(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(t.server().close) // cleanups run last in, first out: the log is shown before it is removed
	t.server().LogOnFailure(tb)
	return t
}

func (s *Server) server() *Server { return s }

// Runner is a *testing.M.
type Runner interface{ Run() int }

type after struct {
	Runner
	stop []func()
}

// After returns a runner that runs m and then stop, in order, so that goleak.VerifyTestMain looks for leaks when shared
// servers have already ended.
func After(m Runner, stop ...func()) Runner { return after{m, stop} }

// Run implements Runner.
func (a after) Run() int {
	defer func() {
		for _, stop := range a.stop {
			stop()
		}
	}()
	return a.Runner.Run()
}
