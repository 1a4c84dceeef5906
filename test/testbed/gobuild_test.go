package testbed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestGoSources(t *testing.T) {
	module := fstest.MapFS{
		"go.mod": {Data: []byte("module a")}, "go.sum": {Data: []byte("x")}, "sub/a.go": {Data: []byte("package a")},
		"a_test.go": {Data: []byte("package a")}, "README.md": {Data: []byte("hello")},
	}
	before, err := goSources([]byte("go1"), module)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(before), "go1") {
		t.Error("the key does not begin with what was given")
	}
	for name, counts := range map[string]bool{"go.mod": true, "go.sum": true, "sub/a.go": true, "a_test.go": false, "README.md": false} {
		old := module[name].Data
		module[name].Data = []byte("changed")
		after, err := goSources([]byte("go1"), module)
		if err != nil {
			t.Fatal(err)
		}
		if (string(after) != string(before)) != counts {
			t.Errorf("a change of %s counts: %t", name, !counts)
		}
		module[name].Data = old
	}
}

func TestRepositoryRoot(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "tools", "consul", "go.mod")); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if root, err := repositoryRoot(); err == nil {
		t.Errorf("found %s", root)
	}
}

// A build that fails says why, and leaves nothing behind that looks finished.
func TestBuildGoFails(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(cacheEnv, cache)
	if path, err := buildGo(t.Context(), "tools/consul", "example.com/no/such/package", "nothing"); err == nil || !strings.Contains(err.Error(), "example.com/no/such/package") {
		t.Errorf("%s, %v", path, err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "nothing-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if !strings.HasSuffix(name, ".lock") {
			t.Errorf("%s is left", name)
		}
	}
}
