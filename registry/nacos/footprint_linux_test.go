package nacos

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/registrytest"
)

// TestNoPortAndNoFile: Nacos's own Go client opens a UDP port that takes instances from anybody, and keeps caches and
// logs beside the binary. Ours does neither.
func TestNoPortAndNoFile(t *testing.T) {
	shared(t) // which builds into the home that there is now
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	beside := filesBesideUs(t)
	before := openFiles(t)
	r := newRig(t, shared(t).Addr(), func(c *Config, _ *registry.Options) { c.Username, c.Password = "nacos", "x" })
	// One registry that gets no further than the login, for its HTTP, and one that does everything else.
	registrytest.Within(t, "the login to fail", func() bool { return r.SawError("log in") })
	q := newRig(t, shared(t).Addr())
	q.Watch(registry.App(uniq(t, "svc"))).Until("an answer", registrytest.Has())
	q.Watch(registry.DubboService("I", "*", "*")).Until("an answer", registrytest.Has())
	q.WatchServices().Until("a list", func(registry.ServiceSet) bool { return true })
	q.WatchDefinition(registry.DubboService("I", "", "")).Until("an answer", func(string) bool { return true })

	gateway := q.register(registry.App(uniq(t, "gw")), registry.Instance{Host: "10.0.0.1", Port: 80, Weight: 1})
	registrytest.Within(t, "the registration", func() bool { return gateway.accepted() == 1 })

	udp := udpSockets(t)
	tcp := 0
	for fd, what := range openFiles(t) {
		switch {
		case before[fd] == what || strings.HasPrefix(what, "anon_inode:") || strings.HasPrefix(what, "pipe:") || strings.HasPrefix(what, "/proc/"):
		case strings.HasPrefix(what, "socket:"):
			if udp[strings.Trim(strings.TrimPrefix(what, "socket:"), "[]")] {
				t.Errorf("descriptor %s is a UDP socket", fd)
			}
			tcp++
		default:
			t.Errorf("descriptor %s is open: %s", fd, what)
		}
	}
	if tcp == 0 {
		t.Error("no connection was seen: the test looks at the wrong place")
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			t.Errorf("%s was written", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if now := filesBesideUs(t); !slices.Equal(now, beside) {
		t.Errorf("beside the executable there was %v and is %v", beside, now)
	}
}

// filesBesideUs is what lies in the executable's folder, where Nacos's own client keeps its caches and logs.
func filesBesideUs(t *testing.T) (names []string) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// openFiles are the descriptors of this process, and what they are.
func openFiles(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			all[e.Name()] = what
		}
	}
	return all
}

// udpSockets are the inodes of all UDP sockets in this network namespace.
func udpSockets(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, table := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue // a kernel without IPv6
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if fields := strings.Fields(lines.Text()); len(fields) > 9 {
				if _, err := strconv.Atoi(fields[9]); err == nil {
					all[fields[9]] = true
				}
			}
		}
		_ = f.Close()
	}
	return all
}
