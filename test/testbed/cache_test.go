package testbed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"
)

func TestCacheBuildsOnce(t *testing.T) {
	t.Setenv(cacheEnv, t.TempDir())
	var builds atomic.Int32
	build := func(to string) error {
		builds.Add(1)
		time.Sleep(20 * time.Millisecond) // so that the others come while it builds
		return os.WriteFile(to, []byte("built"), 0o600)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			path, err := cached("thing", []byte("key"), build)
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != "built" {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
	all.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
	if _, err := cached("thing", []byte("other key"), build); err != nil || builds.Load() != 2 {
		t.Errorf("another key did not build: %v", err)
	}
}

// TestCacheAfterFailure: neither an error nor what an interrupted build left is taken for the thing.
func TestCacheAfterFailure(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(cacheEnv, dir)
	broken := errors.New("broken")
	_, err := cached("thing", nil, func(to string) error {
		check(t, os.MkdirAll(to, 0o755))
		check(t, os.WriteFile(filepath.Join(to, "half"), nil, 0o600))
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "build thing") {
		t.Errorf("got %v", err)
	}
	path, err := cached("thing", nil, func(to string) error { return os.MkdirAll(to, 0o755) })
	check(t, err)
	left, err := os.ReadDir(path)
	check(t, err)
	if len(left) != 0 || filepath.Dir(path) != dir {
		t.Errorf("%s has %v", path, left)
	}
}

// TestContentsTellsFilesApart: the key changes with names and with where one file ends and the next begins.
func TestContentsTellsFilesApart(t *testing.T) {
	seen := map[string]bool{}
	for _, files := range []fstest.MapFS{
		{"a": {Data: []byte("xy")}},
		{"b": {Data: []byte("xy")}},
		{"a": {Data: []byte("x")}, "b": {Data: []byte("y")}},
	} {
		key, err := contents(nil, files, ".")
		check(t, err)
		seen[string(key)] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d keys for 3 trees", len(seen))
	}
	if _, err := contents(nil, fstest.MapFS{}, "missing"); err == nil {
		t.Error("a missing folder has contents")
	}
}

func TestRunShowsOutput(t *testing.T) {
	err := run(t.Context(), t.TempDir(), "/bin/sh", "-c", "echo what went wrong; exit 1")
	if err == nil || !strings.Contains(err.Error(), "what went wrong") {
		t.Errorf("got %v", err)
	}
}
