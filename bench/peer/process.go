package peer

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a running child, leader of a process group of its own, that dies with this program.
type Process struct {
	Pid int

	done chan struct{} // closed when it was reaped
	mu   sync.Mutex
	gone bool // reaped: no signal may be sent to its pid any more
}

// run starts a command with its output in a file.
//
// Linux sends the death signal when the thread that forked ends, so the goroutine that forks keeps its thread until the
// child is dead.
func run(cmd *exec.Cmd, log string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", cmd.Path, err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		_ = out.Close()
		if err != nil {
			started <- fmt.Errorf("start %s: %w", cmd.Path, err)
			return
		}
		p.Pid = cmd.Process.Pid
		started <- nil
		_, err = cmd.Process.Wait()
		p.mu.Lock()
		p.gone = true
		p.mu.Unlock()
		_ = err // how it ended is in its log
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Signal sends sig to the leader of the group, if it runs.
func (p *Process) Signal(sig syscall.Signal) { p.signal(p.Pid, sig) }

func (p *Process) signal(target int, sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		_ = syscall.Kill(target, sig)
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop asks the process to end, and makes it after two seconds. It returns when it is gone.
func (p *Process) Stop() {
	p.Signal(syscall.SIGTERM)
	patience := time.NewTimer(2 * time.Second)
	defer patience.Stop()
	select {
	case <-p.done:
	case <-patience.C:
		p.signal(-p.Pid, syscall.SIGKILL)
		<-p.done
	}
}
