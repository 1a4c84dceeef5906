// Package peer starts the programs that are measured side by side, all in front of the same backend and each as its
// manual says for one core: keep-alive on both sides, no access log, nothing switched on that is not asked of it.
package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Kind is one program that can be measured.
type Kind struct {
	Name string
	// Find looks for the program, and may get it; the error says what is missing. It returns its path.
	Find func(ctx context.Context, cache string) (string, error)
	// Write puts its configuration into a folder.
	Write func(dir string, port int, backend string) error
	// Command starts it from that folder, in the foreground.
	Command func(program, dir string, port int) *exec.Cmd
	// Version is what it says of itself, in one line.
	Version func(ctx context.Context, program string) string
}

// Peer is a Kind that runs.
type Peer struct {
	*Process
	Kind Kind
	Port int
	Dir  string // its configuration, and its output in the file "log"
}

// URL of its root.
func (p *Peer) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", p.Port) }

// Start writes the configuration, starts the program and waits until it answers the path given. It returns how long that
// took, from the fork to the first answer.
func Start(ctx context.Context, k Kind, program, dir, backend, path string) (*Peer, time.Duration, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, 0, err
	}
	port, err := FreePort(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := k.Write(dir, port, backend); err != nil {
		return nil, 0, fmt.Errorf("configure %s: %w", k.Name, err)
	}
	return Run(ctx, k, program, dir, port, path)
}

// Run is Start with a configuration that has been written.
func Run(ctx context.Context, k Kind, program, dir string, port int, path string) (*Peer, time.Duration, error) {
	began := time.Now()
	proc, err := run(k.Command(program, dir, port), filepath.Join(dir, "log"))
	if err != nil {
		return nil, 0, err
	}
	p := &Peer{Process: proc, Kind: k, Port: port, Dir: dir}
	if err := p.await(ctx, path); err != nil {
		proc.Stop()
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return nil, 0, fmt.Errorf("start %s: %w\n%s", k.Name, err, log[max(0, len(log)-4096):])
	}
	return p, time.Since(began), nil
}

// await asks every millisecond until the answer is 200.
func (p *Peer) await(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := ask(ctx, client, p.URL()+path)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer in time: %w", last)
		}
	}
}

func ask(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	return nil
}

// Ports lie below those that the kernel gives to outgoing connections, so that none of these takes one.
const (
	firstPort = 18000
	lastPort  = 19999
)

// FreePort finds a port of 127.0.0.1 on which nobody listens, and which no call has returned in the last while.
func FreePort(ctx context.Context) (int, error) {
	start := int(time.Now().UnixNano() / 1000 % (lastPort - firstPort))
	var lc net.ListenConfig
	for i := range lastPort - firstPort {
		port := firstPort + (start+i)%(lastPort-firstPort)
		l, err := lc.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("find a free port: none is left")
}
