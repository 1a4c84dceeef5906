package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a File that runs until the test ends.
type running struct {
	*File
	t      *testing.T
	pushes chan string
	warns  chan error
}

func run(t *testing.T, path string, poll time.Duration) *running {
	t.Helper()
	r := &running{t: t, pushes: make(chan string, 1000), warns: make(chan error, 1000)}
	r.File = NewFile(path, func(err error) { r.warns <- err })
	r.poll = poll
	var _ Source = r.File
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, func(data []byte) { r.pushes <- string(data) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *running) await(want string) {
	r.t.Helper()
	select {
	case got := <-r.pushes:
		if got != want {
			r.t.Fatalf("pushed %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		r.t.Fatalf("nothing pushed, want %q", want)
	}
}

func (r *running) awaitWarning(want string) {
	r.t.Helper()
	select {
	case err := <-r.warns:
		if !strings.Contains(err.Error(), want) {
			r.t.Fatalf("warned %v, want %q", err, want)
		}
	case <-time.After(10 * time.Second):
		r.t.Fatalf("no warning, want %q", want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path+".new", []byte(text), 0o600))
	must(t, os.Rename(path+".new", path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachContentOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	write(t, path, "1")
	r := run(t, path, time.Hour)
	r.await("1")
	write(t, path, "2")
	r.await("2")
	write(t, path, "2") // a new file with the same content is no change
	must(t, os.Chtimes(path, time.Now(), time.Now()))
	write(t, path, "3")
	r.await("3")
	must(t, os.WriteFile(path, []byte("4"), 0o600)) // in place
	for got := ""; got != "4"; {                    // a truncated file may be seen on the way
		select {
		case got = <-r.pushes:
			if got != "4" && got != "" {
				t.Fatalf("pushed %q", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing pushed")
		}
	}
	if len(r.warns) > 0 {
		t.Error(<-r.warns)
	}
}

func TestGoneAndBack(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "etc", "sluice.yaml")
	r := run(t, path, 5*time.Millisecond)
	r.awaitWarning("read document: open ")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	write(t, path, "1")
	r.await("1")
	must(t, os.Remove(path))
	r.awaitWarning("the last document stays")
	write(t, path, "1") // as it was: nothing to do
	write(t, path, "2")
	r.await("2")
	must(t, os.RemoveAll(filepath.Dir(path)))
	r.awaitWarning("the last document stays")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	write(t, path, "3")
	r.await("3")
	if n := len(r.warns); n > 0 {
		t.Errorf("%d more warnings: %v", n, <-r.warns)
	}
}

func TestConfigMap(t *testing.T) {
	folder := t.TempDir()
	publish := func(n int) {
		version := filepath.Join(folder, fmt.Sprint("..v", n))
		must(t, os.Mkdir(version, 0o700))
		must(t, os.WriteFile(filepath.Join(version, "sluice.yaml"), []byte(fmt.Sprint(n)), 0o600))
		must(t, os.Symlink(filepath.Base(version), filepath.Join(folder, "..data_tmp")))
		must(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
		must(t, os.RemoveAll(filepath.Join(folder, fmt.Sprint("..v", n-1))))
	}
	publish(1)
	path := filepath.Join(folder, "sluice.yaml")
	must(t, os.Symlink("..data/sluice.yaml", path))
	r := run(t, path, time.Hour)
	for n := 1; n < 5; n++ {
		r.await(fmt.Sprint(n))
		publish(n + 1)
	}
}

func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	write(t, path, "1")
	r := run(t, path, time.Hour)
	r.await("1")
	r.Reload()
	r.await("1")
	must(t, os.Remove(path))
	r.awaitWarning("the last document stays")
	r.Reload() // nothing to read: nothing pushed
	write(t, path, "2")
	r.await("2")
	for range 100 {
		r.Reload()
	}
	r.await("2")
}

func TestUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	must(t, os.Mkdir(path, 0o700)) // a folder in the file's place
	r := run(t, path, time.Hour)
	r.awaitWarning("is a directory")
	must(t, os.Remove(path))
	write(t, path, "1")
	r.await("1")
}

// TestReloadWhileTheFileChanges: reloads from many goroutines and changes meet; contents come in their order, the last one
// comes last, and whoever got a content may write to it.
func TestReloadWhileTheFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	write(t, path, "0")
	contents := make(chan int, 10_000)
	f := NewFile(path, func(err error) { t.Error(err) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, func(data []byte) {
			n, err := strconv.Atoi(string(data))
			if err != nil {
				t.Error(err)
			}
			for i := range data {
				data[i] = 'x'
			}
			contents <- n
		})
	}()
	var reloads sync.WaitGroup
	for range 4 {
		reloads.Go(func() {
			for range 200 {
				f.Reload()
			}
		})
	}
	const last = 50
	for n := 1; n <= last; n++ {
		write(t, path, strconv.Itoa(n))
	}
	reloads.Wait()
	deadline := time.After(10 * time.Second)
	for seen := -1; seen != last; {
		select {
		case n := <-contents:
			if n < seen {
				t.Fatalf("%d after %d", n, seen)
			}
			seen = n
		case <-deadline:
			t.Fatalf("the last content seen is %d", seen)
		}
	}
	f.Reload()
	select {
	case n := <-contents:
		if n != last {
			t.Errorf("pushed %d again", n)
		}
	case <-deadline:
		t.Error("not pushed again")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
