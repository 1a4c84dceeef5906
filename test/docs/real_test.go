package docs

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-gateway/sluice/test/testbed"
)

// instance is an HTTP service that Nacos can be told of.
func instance(t *testing.T, name string) testbed.Instance {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.URL.Path)
	}))
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return testbed.Instance{Service: name, IP: host, Port: number}
}

// readme is one of the README's two configurations, with the real servers' addresses in.
func readme(t *testing.T, registry, web, admin, server string) string {
	t.Helper()
	for _, s := range snippets(t, filepath.Join(root, "README.md")) {
		if !strings.Contains(s.text, "type: "+registry) {
			continue
		}
		text := strings.Replace(s.text, `":8080"`, fmt.Sprintf("%q", web), 1)
		text = strings.NewReplacer("127.0.0.1:8848", server, "127.0.0.1:2181", server).Replace(text)
		return write(t, filepath.Join(t.TempDir(), "sluice.yaml"), text+fmt.Sprintf("admin: {address: %q}\n", admin))
	}
	t.Fatal("the README has no configuration beside " + registry)
	return ""
}

// TestBesideRegistries does what the README and the example promise beside a real Nacos, and beside a real ZooKeeper with a
// real Java provider.
func TestBesideRegistries(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Nacos, a ZooKeeper and a Java provider")
	}
	nacos, zooKeeper := testbed.StartNacos(t), testbed.StartZooKeeper(t)
	for _, name := range []string{"orders", "users"} {
		if err := nacos.Register(t.Context(), instance(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	testbed.StartDubboProvider(t, testbed.ProviderOptions{Registry: "zookeeper://" + zooKeeper.Addr()})

	t.Run("README, Nacos", func(t *testing.T) {
		web, admin := free(t), free(t)
		start(t, readme(t, "nacos", web, admin, nacos.Addr()), admin)
		untilAnswer(t, "http://"+admin+"/readyz", 200, "")
		untilAnswer(t, "http://"+web+"/orders/7", 200, "orders /orders/7")
		untilAnswer(t, "http://"+web+"/api/users/7", 200, "users /7")
		untilAnswer(t, "http://"+web+"/api/nobody/7", 404, "no_route")
	})
	t.Run("README, ZooKeeper with Dubbo", func(t *testing.T) {
		web, admin := free(t), free(t)
		start(t, readme(t, "zookeeper", web, admin, zooKeeper.Addr()), admin)
		callsUsers(t, web, admin)
	})
	t.Run("example", func(t *testing.T) {
		web, admin := free(t), free(t)
		t.Setenv("ADDRESS", web)
		t.Setenv("ADMIN", admin)
		t.Setenv("NACOS", nacos.Addr())
		t.Setenv("ZOOKEEPER", zooKeeper.Addr())
		file, err := filepath.Abs(filepath.Join(root, "examples/nacos-zookeeper/sluice.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		start(t, file, admin)
		callsUsers(t, web, admin)
		untilAnswer(t, "http://"+web+"/api/orders/7", 200, "orders /7")
	})
}

func callsUsers(t *testing.T, web, admin string) {
	t.Helper()
	untilAnswer(t, "http://"+admin+"/readyz", 200, "")
	untilAnswer(t, "http://"+web+"/users/42", 200, `"name":"user-42"`)
	untilAnswer(t, "http://"+web+"/users/x", 400, `"path":"path.id"`)
	status, body, err := request(t.Context(), "POST", "http://"+web+"/users", `{"name":"Ada","age":36}`, "Content-Type", "application/json")
	if err != nil || status != 200 || !strings.Contains(body, `"name":"Ada"`) {
		t.Errorf("create: %d %s %v", status, body, err)
	}
	status, body, err = request(t.Context(), "POST", "http://"+web+"/users", `{"age":"old"}`, "Content-Type", "application/json")
	if err != nil || status != 400 || !strings.Contains(body, `"path":"body.age"`) {
		t.Errorf("create with a mistake: %d %s %v", status, body, err)
	}
}

// TestStaticExample runs the example by the one command that its README names, and ends it as Ctrl-C does.
func TestStaticExample(t *testing.T) {
	ports := map[string]string{}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "examples/static-http/run"))
	cmd.Env = os.Environ()
	for _, name := range []string{"PORT", "ADMIN", "ONE", "TWO"} {
		ports[name] = strconv.Itoa(testbed.FreePort(t))
		cmd.Env = append(cmd.Env, name+"="+ports[name])
	}
	temporary := t.TempDir()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			t.Log(read(t, log.Name()))
		}
	})

	web, admin := "http://127.0.0.1:"+ports["PORT"], "http://127.0.0.1:"+ports["ADMIN"]
	untilAnswer(t, admin+"/readyz", 200, "")
	untilAnswer(t, web+"/hello/world", 200, `"instance":"one"`)
	untilAnswer(t, web+"/hello/world", 200, `"instance":"two","path":"/world"`)
	seen := map[string]int{}
	for range 40 {
		_, body, err := request(t.Context(), "GET", web+"/hello/world", "")
		if err != nil {
			t.Fatal(err)
		}
		seen[body]++
	}
	if len(seen) != 2 {
		t.Errorf("answers %v", seen)
	}
	for answer, n := range seen {
		want := 10
		if strings.Contains(answer, "two") {
			want = 30
		}
		if n != want || !strings.Contains(answer, `"gateway":"sluice"`) {
			t.Errorf("%d times %s, want %d", n, answer, want)
		}
	}
	limited := map[int]int{}
	for range 30 {
		status, _, err := request(t.Context(), "GET", web+"/limited", "")
		if err != nil {
			t.Fatal(err)
		}
		limited[status]++
	}
	if limited[200] < 10 || limited[429] == 0 || limited[200]+limited[429] != 30 {
		t.Errorf("answers of the limited route: %v", limited)
	}
	if status, _, err := request(t.Context(), "GET", web+"/old", ""); err != nil || status != 308 {
		t.Errorf("/old: %d %v", status, err)
	}

	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Logf("ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the example does not end")
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for _, name := range []string{"PORT", "ONE", "TWO"} {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+ports[name]); err == nil {
			_ = conn.Close()
			t.Errorf("%s still answers", name)
		}
	}
}
