package filewatch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen runs a Watcher over paths with a poll that never comes, and tells what it read last.
type seen struct {
	mu     sync.Mutex
	state  string
	checks int
	change chan struct{}
}

func read(path string) string {
	data, err := os.ReadFile(path)
	if err == nil {
		return string(data)
	}
	entries, dirErr := os.ReadDir(path)
	if dirErr != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "missing"
		}
		return "unreadable"
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name()+"="+read(filepath.Join(path, e.Name())))
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

func watch(t *testing.T, w Watcher, paths ...string) *seen {
	t.Helper()
	return watchBy(t, w, read, paths...)
}

// watchBy is watch for somebody who looks at other things than contents.
func watchBy(t *testing.T, w Watcher, view func(path string) string, paths ...string) *seen {
	t.Helper()
	s := &seen{change: make(chan struct{}, 1)}
	w.Check = func() []string {
		var all []string
		for _, p := range paths {
			all = append(all, view(p))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.state, s.checks = strings.Join(all, "|"), s.checks+1
		select {
		case s.change <- struct{}{}:
		default:
		}
		return paths
	}
	if w.Poll == 0 {
		w.Poll = time.Hour
	}
	if w.Settle == 0 {
		w.Settle = 5 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func (s *seen) await(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		got := s.state
		s.mu.Unlock()
		if got == want {
			return
		}
		select {
		case <-s.change:
		case <-deadline:
			t.Fatalf("saw %q, want %q", got, want)
		}
	}
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checks
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".tmp", text)
	must(t, os.Rename(path+".tmp", path))
}

func TestFile(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "f.yaml")
	s := watch(t, Watcher{}, file)
	s.await(t, "missing")
	write(t, file, "1")
	s.await(t, "1")
	write(t, file, "2")
	s.await(t, "2")
	for i := range 5 { // each rename puts a new inode in place
		replace(t, file, fmt.Sprint("r", i))
		s.await(t, fmt.Sprint("r", i))
	}
	must(t, os.Remove(file))
	s.await(t, "missing")
	write(t, file, "3")
	s.await(t, "3")
	must(t, os.Rename(file, file+"~")) // as vim does with backups
	write(t, file, "4")
	s.await(t, "4")
	must(t, os.Truncate(file, 0))
	s.await(t, "")
	must(t, os.Chmod(file, 0o600))
	write(t, file, "5")
	s.await(t, "5")
}

// TestConfigMap does what the kubelet does: files are links into ..data, itself a link that is replaced.
func TestConfigMap(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "f.yaml")
	publish := func(n int) {
		version := fmt.Sprintf("..2024_%d", n)
		must(t, os.Mkdir(filepath.Join(folder, version), 0o700))
		write(t, filepath.Join(folder, version, "f.yaml"), fmt.Sprint(n))
		must(t, os.Symlink(version, filepath.Join(folder, "..data_tmp")))
		must(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
		if n > 0 {
			must(t, os.RemoveAll(filepath.Join(folder, fmt.Sprintf("..2024_%d", n-1))))
		}
	}
	publish(0)
	must(t, os.Symlink("..data/f.yaml", file))
	s := watch(t, Watcher{}, file)
	s.await(t, "0")
	for n := 1; n < 6; n++ {
		publish(n)
		s.await(t, fmt.Sprint(n))
	}
}

func TestLinksOnTheWay(t *testing.T) {
	root := t.TempDir()
	for _, v := range []string{"v1", "v2"} {
		must(t, os.MkdirAll(filepath.Join(root, v, "etc"), 0o700))
		write(t, filepath.Join(root, v, "etc", "f.yaml"), v)
	}
	current := filepath.Join(root, "current")
	must(t, os.Symlink(filepath.Join(root, "v1"), current))
	file := filepath.Join(current, "etc", "f.yaml")
	s := watch(t, Watcher{}, file)
	s.await(t, "v1")
	must(t, os.Symlink("../"+filepath.Base(root)+"/./v2", current+"_"))
	must(t, os.Rename(current+"_", current))
	s.await(t, "v2")
	write(t, filepath.Join(root, "v2", "etc", "f.yaml"), "v2b")
	s.await(t, "v2b")
	must(t, os.Remove(current))
	s.await(t, "missing")
	must(t, os.Symlink("current", current)) // a loop
	must(t, os.Remove(current))
	must(t, os.Symlink("v1", current))
	s.await(t, "v1")
}

func TestFolder(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "a", "services")
	s := watch(t, Watcher{}, folder)
	s.await(t, "missing")
	must(t, os.MkdirAll(folder, 0o700))
	s.await(t, "")
	write(t, filepath.Join(folder, "x"), "1")
	s.await(t, "x=1")
	replace(t, filepath.Join(folder, "y"), "2")
	s.await(t, "x=1 y=2")
	must(t, os.Remove(filepath.Join(folder, "x")))
	s.await(t, "y=2")
	must(t, os.Rename(folder, folder+".old"))
	s.await(t, "missing")
	must(t, os.Mkdir(folder+".new", 0o700))
	write(t, filepath.Join(folder+".new", "z"), "3")
	must(t, os.Rename(folder+".new", folder))
	s.await(t, "z=3")
	write(t, filepath.Join(folder, "z"), "4")
	s.await(t, "z=4")
	must(t, os.RemoveAll(filepath.Join(root, "a")))
	s.await(t, "missing")
	must(t, os.MkdirAll(folder, 0o700))
	write(t, filepath.Join(folder, "z"), "5")
	s.await(t, "z=5")
}

func TestSeveralPaths(t *testing.T) {
	folder := t.TempDir()
	a, b := filepath.Join(folder, "a"), filepath.Join(folder, "sub", "b")
	s := watch(t, Watcher{}, a, b)
	s.await(t, "missing|missing")
	must(t, os.Mkdir(filepath.Join(folder, "sub"), 0o700))
	write(t, b, "1")
	s.await(t, "missing|1")
	write(t, a, "2")
	s.await(t, "2|1")
}

func TestStrangersDoNotCount(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "f")
	write(t, file, "1")
	s := watch(t, Watcher{}, file)
	s.await(t, "1")
	before := s.count()
	for i := range 100 {
		write(t, filepath.Join(folder, fmt.Sprint("log", i)), "x")
	}
	write(t, file, "2")
	s.await(t, "2")
	if n := s.count() - before; n > 4 {
		t.Errorf("%d looks because of other files", n)
	}
}

func TestChangesSettle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	s := watch(t, Watcher{Settle: 100 * time.Millisecond}, file)
	s.await(t, "missing")
	before := s.count()
	for i := range 50 {
		write(t, file, fmt.Sprint(i))
	}
	s.await(t, "49")
	if n := s.count() - before; n > 3 {
		t.Errorf("%d looks for one burst", n)
	}
}

func TestPollAndNow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	now := make(chan struct{})
	s := watch(t, Watcher{Poll: 5 * time.Millisecond, Now: now}, file)
	deadline := time.Now().Add(10 * time.Second)
	for s.count() < 5 && time.Now().Before(deadline) {
		<-s.change
	}
	if s.count() < 5 {
		t.Error("does not poll")
	}
	s = watch(t, Watcher{Now: now}, file)
	s.await(t, "missing")
	now <- struct{}{} // may go to either watcher; both take it
	now <- struct{}{}
}

func TestWithoutNotifications(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	w := &watches{warn: func(error) {}}
	if w.update([]string{file}) || !w.concerns(file) || w.concerns(file+"x") {
		t.Error("polling alone needs no watches")
	}
}
