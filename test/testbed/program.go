package testbed

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
)

// Program is a program of our own, run as the servers are: its output is in a file, it dies with the test, and it can be
// stopped, killed, frozen and restarted.
type Program struct{ *Server }

// StartProgram runs a program for this test and returns when ready has no more objections.
func StartProgram(tb testing.TB, name string, ready func(context.Context) error, path string, args ...string) *Program {
	tb.Helper()
	return private(tb, func(ctx context.Context) (*Program, error) {
		s, err := newServer(name, &portBlock{})
		if err != nil {
			return nil, err
		}
		s.ready = ready
		s.command = func() *exec.Cmd {
			cmd := exec.Command(path, args...)
			cmd.Dir = s.dir
			return cmd
		}
		if err := s.launch(ctx); err != nil {
			return nil, err
		}
		return &Program{s}, nil
	})
}

// Signal sends the program a signal, unless it has ended.
func (p *Program) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc.signal(sig)
}

// Done is closed when the program that was started last has ended.
func (p *Program) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc.done
}

// ExitCode is how the program ended: -1 by a signal, or not at all yet.
func (p *Program) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc.mu.Lock()
	defer p.proc.mu.Unlock()
	if p.proc.state == nil {
		return -1
	}
	return p.proc.state.ExitCode()
}
