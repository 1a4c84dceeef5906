package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long the tests wait for what must come.
const patience = 10 * time.Second

// output is what a command prints, readable while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// command is a command line that runs in this process, where a leak of it is seen.
type command struct {
	t              *testing.T
	stdout, stderr output
	cancel         context.CancelFunc // as SIGTERM does
	done           chan int
	code           int
	once           sync.Once
}

func begin(t *testing.T, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &command{t: t, cancel: cancel, done: make(chan int, 1)}
	go func() { c.done <- execute(ctx, args, &c.stdout, &c.stderr) }()
	t.Cleanup(func() { c.stop() })
	return c
}

// stop ends the command and returns its exit status.
func (c *command) stop() int {
	c.cancel()
	return c.wait()
}

func (c *command) wait() int {
	c.t.Helper()
	c.once.Do(func() {
		select {
		case c.code = <-c.done:
		case <-time.After(20 * time.Second):
			c.t.Fatal("the command does not end")
		}
	})
	return c.code
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not come to be")
		}
	}
}

// free is an address that nobody has at the moment.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// fetch asks once, over a connection of its own.
func fetch(url string) (status int, body string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func answers(url string, status int) func() bool {
	return func() bool {
		got, _, err := fetch(url)
		return err == nil && got == status
	}
}

// slowGateway runs a gateway before a service that answers when it is told to.
func slowGateway(t *testing.T, shutdown string) (c *command, web, admin string, entered chan struct{}, release func()) {
	t.Helper()
	entered, gate := make(chan struct{}, 1), make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-gate
		_, _ = io.WriteString(w, "at last")
	}))
	t.Cleanup(func() { release(); slow.Close() })
	web, admin = free(t), free(t)
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	err := os.WriteFile(file, fmt.Appendf(nil, `listeners: [{name: web, address: %q}]
admin: {address: %q}
accessLog: {path: "off"}
shutdown: %s
registries: [{name: r, type: static, services: {slow: [%q]}}]
routes: [{name: slow, match: {path: "/**"}, to: {service: slow}}]
`, web, admin, shutdown, slow.Listener.Addr()), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c = begin(t, "run", "-c", file)
	until(t, answers("http://"+admin+"/readyz", 200))
	return c, web, admin, entered, release
}

// A request in flight is answered; meanwhile nobody is ready, and nothing new is taken.
func TestGracefulStop(t *testing.T) {
	c, web, admin, entered, release := slowGateway(t, "{grace: 10s}")
	answered := make(chan string, 1)
	go func() {
		status, body, err := fetch("http://" + web)
		answered <- fmt.Sprint(status, " ", body, " ", err)
	}()
	<-entered
	c.cancel()
	until(t, answers("http://"+admin+"/readyz", 503))
	until(t, func() bool {
		conn, err := net.Dial("tcp", web)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if !answers("http://"+admin+"/livez", 200)() {
		t.Error("not alive while draining")
	}
	release()
	if got := <-answered; got != "200 at last <nil>" {
		t.Errorf("the request in flight got %s", got)
	}
	if code := c.wait(); code != 0 {
		t.Errorf("exit status %d: %s", code, c.stderr.String())
	}
}

// What does not end within the grace is cut, and said.
func TestStopAfterGrace(t *testing.T) {
	c, web, _, entered, release := slowGateway(t, "{grace: 50ms}")
	answered := make(chan error, 1)
	go func() {
		_, _, err := fetch("http://" + web)
		answered <- err
	}()
	<-entered
	c.cancel()
	if err := <-answered; err == nil {
		t.Error("the request was answered, by whom?")
	}
	release()
	if code := c.wait(); code != 1 || !strings.Contains(c.stderr.String(), "sluice: requests still ran after 50ms and were cut") {
		t.Errorf("exit status %d: %s", code, c.stderr.String())
	}
}

// With a delay, requests are still taken while load balancers learn that they should not come.
func TestStopWithDelay(t *testing.T) {
	c, web, admin, entered, release := slowGateway(t, "{delay: 500ms, grace: 10s}")
	release()
	c.cancel()
	until(t, answers("http://"+admin+"/readyz", 503))
	if status, body, err := fetch("http://" + web); status != 200 || body != "at last" {
		t.Errorf("during the delay: %d %s %v", status, body, err)
	}
	<-entered
	if code := c.wait(); code != 0 {
		t.Errorf("exit status %d: %s", code, c.stderr.String())
	}
}
