package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// longest is how many lines a file may have.
const longest = 600

func TestFileLength(t *testing.T) { report(t, fileLength(load(t))) }

func fileLength(files []*file) []string {
	var bad []string
	for _, f := range files {
		if f.lines > longest && !f.generated() {
			bad = append(bad, fmt.Sprintf("%s: %d lines, at most %d", f.path, f.lines, longest))
		}
	}
	return bad
}

func TestPackageComments(t *testing.T) { report(t, packageComments(load(t))) }

// packageComments wants to be told by each folder what the room is for. Folders with nothing but tests may do without.
func packageComments(files []*file) []string {
	has := map[string]bool{}
	for _, f := range files {
		if f.test {
			continue
		}
		start := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			start = "Command "
		}
		has[f.dir] = has[f.dir] || strings.HasPrefix(f.ast.Doc.Text(), start)
	}
	var bad []string
	for dir, ok := range has {
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: no file has a package comment (\"Package NAME ...\" or \"Command NAME ...\")", dir))
		}
	}
	slices.Sort(bad)
	return bad
}

func TestLeakChecks(t *testing.T) { report(t, leakChecks(load(t))) }

// leakChecks wants goleak.VerifyTestMain in the TestMain of each folder that has tests.
func leakChecks(files []*file) []string {
	checked := map[string]bool{}
	for _, f := range files {
		if !f.test {
			continue
		}
		checked[f.dir] = checked[f.dir] || verifies(f)
	}
	var bad []string
	for dir, ok := range checked {
		if !ok {
			bad = append(bad, fmt.Sprintf("%s: has tests, but no TestMain with goleak.VerifyTestMain", dir))
		}
	}
	slices.Sort(bad)
	return bad
}

func verifies(f *file) bool {
	found := false
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "TestMain" {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "VerifyTestMain" {
				found = true
			}
			return !found
		})
	}
	return found
}

// shelves are names of folders that say nothing about what is in them.
var shelves = []string{
	"base", "common", "constant", "constants", "core", "helper", "helpers", "manager", "misc", "model", "models",
	"shared", "type", "types", "util", "utils",
}

// named are folders with such a name that earn it.
var named = map[string]string{
	"protocol/dubbo/types": "the types of Java, as a provider's definition describes them, are its subject",
}

func TestFolderNames(t *testing.T) { report(t, folderNames(load(t))) }

func folderNames(files []*file) []string {
	seen := map[string]bool{}
	var bad []string
	for _, f := range files {
		for dir := f.dir; dir != "."; dir = path.Dir(dir) {
			if !seen[dir] && slices.Contains(shelves, path.Base(dir)) && named[dir] == "" {
				bad = append(bad, fmt.Sprintf("%s: the name does not say what is in it", dir))
			}
			seen[dir] = true
		}
	}
	slices.Sort(bad)
	return bad
}

// metricName is how a metric of ours looks.
var metricName = regexp.MustCompile(`^sluice_[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestMetricNames(t *testing.T) { report(t, metricNames(load(t))) }

// metricNames looks at prometheus.NewDesc("...") and at the Name in prometheus.…Opts{...}.
func metricNames(files []*file) []string {
	var bad []string
	look := func(f *file, e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return // put together elsewhere; the parts are not ours to judge
		}
		if name, err := strconv.Unquote(lit.Value); err == nil && !metricName.MatchString(name) {
			bad = append(bad, fmt.Sprintf("%s: metric %q is not named sluice_...", f.at(lit), name))
		}
	}
	for _, f := range files {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if of(n.Fun, "prometheus") == "NewDesc" && len(n.Args) > 0 {
					look(f, n.Args[0])
				}
			case *ast.CompositeLit:
				if !strings.HasSuffix(of(n.Type, "prometheus"), "Opts") {
					break
				}
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Name" {
							look(f, kv.Value)
						}
					}
				}
			}
			return true
		})
	}
	return bad
}

// of returns NAME when an expression is pkg.NAME.
func of(e ast.Expr, pkg string) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
			return sel.Sel.Name
		}
	}
	return ""
}

func TestAsMuchTestAsCode(t *testing.T) {
	code, tests := 0, 0
	for _, f := range load(t) {
		switch {
		case f.generated():
		case f.test || f.tooling():
			tests += f.lines
		default:
			code += f.lines
		}
	}
	if tests < code {
		t.Errorf("%d lines of test for %d lines of code, want at least as many", tests, code)
	}
}
