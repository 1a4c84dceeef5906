package testbed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// logTail is how much of a server's output a failed test shows.
const logTail = 8 << 10

// process is one running child in a process group of its own, writing to a file.
type process struct {
	pid int
	// done is closed when the child has ended and was reaped.
	done chan struct{}

	mu sync.Mutex
	// reaped says that pid may belong to a stranger by now: no signal may be sent to it any more.
	reaped bool
	state  *os.ProcessState
}

// startProcess runs cmd with its output appended to the file at logPath.
//
// The output is a file and not a pipe, since Wait waits for a pipe until the last grandchild has closed it.
// Linux sends the death signal when the forking *thread* ends, so the goroutine that forks is locked to its thread
// and stays until the child is dead; it never unlocks, and the thread goes with it.
func startProcess(cmd *exec.Cmd, logPath string) (*process, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", cmd.Path, err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		_ = out.Close() // the child has its own descriptor
		if err != nil {
			started <- fmt.Errorf("start %s: %w", cmd.Path, err)
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.reap(cmd)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// reap waits for the child's end, takes what is left of its group with it, and only then lets the pid go.
func (p *process) reap(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.mu.Lock()
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	_ = cmd.Wait() // the exit status is in ProcessState; a killed server is no error here
	p.reaped, p.state = true, cmd.ProcessState
	p.mu.Unlock()
	close(p.done)
}

// signal sends sig to the whole group, unless the child was reaped.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid, sig)
	}
}

// kill ends the child at once, also when it is frozen, and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop asks the child to end (SIGTERM) and kills it when it has not obeyed within patience. It says whether it obeyed.
func (p *process) stop(patience time.Duration) bool {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // a frozen process gets no SIGTERM
	select {
	case <-p.done:
		return true
	case <-time.After(patience):
		p.kill()
		return false
	}
}

// freeze stops the child without a word to its peers: connections stay open, nothing is answered.
func (p *process) freeze() error {
	p.signal(syscall.SIGSTOP)
	return p.awaitState(func(s string) bool { return s == "T" })
}

func (p *process) thaw() error {
	p.signal(syscall.SIGCONT)
	return p.awaitState(func(s string) bool { return s != "T" })
}

// awaitState waits until the kernel says that the child is in the state wanted: a signal sent is not yet obeyed.
func (p *process) awaitState(want func(string) bool) error {
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			return fmt.Errorf("read state of process %d: %w", p.pid, err)
		}
		// "pid (name) S ...": the name may hold spaces and brackets, so look behind the last one.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 0 && want(fields[0]) {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("process %d ended", p.pid)
		case <-time.After(time.Millisecond):
		}
	}
	return fmt.Errorf("process %d did not change its state within 10 s", p.pid)
}

// tailOf returns the end of a log file, for people.
func tailOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size > logTail {
		_, _ = f.Seek(-logTail, io.SeekEnd)
	} else {
		_, _ = f.Seek(0, io.SeekStart)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return fmt.Sprintf("(log: %v)", err)
	}
	return string(text)
}
