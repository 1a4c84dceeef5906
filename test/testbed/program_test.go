package testbed

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestProgram(t *testing.T) {
	t.Parallel()
	var p *Program
	script := `trap 'echo bye; exit 3' USR1; echo up; while :; do sleep 0.02; done`
	var asked int
	p = StartProgram(t, "script", func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}, "/bin/sh", "-c", script)
	if p.ExitCode() != -1 {
		t.Errorf("exit code %d while it runs", p.ExitCode())
	}
	for !strings.Contains(p.Log(), "up") { // the trap is set
		select {
		case <-p.Done():
			t.Fatal("it ended by itself")
		case <-t.Context().Done():
		default:
		}
	}
	p.Signal(syscall.SIGUSR1)
	<-p.Done()
	if p.ExitCode() != 3 || !strings.Contains(p.Log(), "bye") {
		t.Errorf("exit code %d, log %q", p.ExitCode(), p.Log())
	}
	p.Signal(syscall.SIGUSR1) // nobody is there
}
