package rules

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/sluice-gateway/sluice"

// file is one parsed Go file of the module.
type file struct {
	path  string // from the module's root, with slashes
	dir   string // "." for the root
	test  bool   // *_test.go
	lines int
	ast   *ast.File
	set   *token.FileSet
}

// at names a position for people.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(n.Pos()).Line)
}

func (f *file) generated() bool { return ast.IsGenerated(f.ast) }

// tooling says that a file belongs to no room of the product.
func (f *file) tooling() bool {
	return within(f.dir, "test/...") || within(f.dir, "bench/...") || within(f.dir, "examples/...")
}

// load parses the module that this test stands in, nested modules left out.
func load(t *testing.T) []*file {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*file
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); base == "testdata" || (rel != "." && strings.HasPrefix(base, ".")) {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parse(set, filepath.ToSlash(rel), text)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(set *token.FileSet, name string, text []byte) (*file, error) {
	tree, err := parser.ParseFile(set, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &file{
		path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), ast: tree, set: set,
	}, nil
}

// within reports whether a folder matches a pattern as of the go command: "a/b" is that folder, "a/..." it and all below.
func within(dir, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == prefix || strings.HasPrefix(dir, prefix+"/")
	}
	return dir == pattern
}

// report fails the test with each violation, one a line.
func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// source makes files out of texts, for the tests of the rules themselves.
func source(t *testing.T, texts map[string]string) []*file {
	t.Helper()
	set := token.NewFileSet()
	var files []*file
	for name, text := range texts {
		f, err := parse(set, name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}
