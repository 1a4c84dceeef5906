package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// globals are the package-level variables that may change, each with its reason.
var globals = map[string]string{
	"flowcontrol.quiet": "sentinel-golang has one logger a process, which may be set once",
}

func TestNoInit(t *testing.T) { report(t, inits(load(t))) }

func inits(files []*file) []string {
	var bad []string
	for _, f := range files {
		if f.generated() {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				bad = append(bad, fmt.Sprintf("%s: func init; name the thing where it is used, in cmd/sluice/components.go", f.at(fn)))
			}
		}
	}
	return bad
}

func TestNoMutableState(t *testing.T) { report(t, mutableState(load(t))) }

// mutableState finds package-level variables that are more than a named value: those without a first value, those of a
// type made to change (sync, atomic, channels), and those that some code of the package writes to, or takes the address
// of. Error values, tables, compiled expressions and embedded files pass.
func mutableState(files []*file) []string {
	var bad []string
	byDir := map[string][]*file{}
	for _, f := range files {
		if !f.test && !f.generated() {
			byDir[f.dir] = append(byDir[f.dir], f)
		}
	}
	for dir, group := range byDir {
		vars := map[string]*ast.ValueSpec{}
		for _, f := range group {
			for _, d := range f.ast.Decls {
				gen, ok := d.(*ast.GenDecl)
				if !ok || gen.Tok != token.VAR {
					continue
				}
				for _, s := range gen.Specs {
					spec := s.(*ast.ValueSpec)
					for _, name := range spec.Names {
						if name.Name == "_" || globals[dir+"."+name.Name] != "" {
							continue
						}
						vars[name.Name] = spec
						if why := mutableKind(gen, spec); why != "" {
							bad = append(bad, fmt.Sprintf("%s: package-level variable %s %s", f.at(name), name.Name, why))
						}
					}
				}
			}
		}
		for _, f := range group {
			bad = append(bad, writes(f, vars)...)
		}
	}
	return bad
}

// mutableKind says what makes a variable mutable by its declaration alone.
func mutableKind(gen *ast.GenDecl, spec *ast.ValueSpec) string {
	for _, doc := range []*ast.CommentGroup{gen.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return ""
			}
		}
	}
	if len(spec.Values) == 0 {
		return "has no value, so it is there to be changed"
	}
	exprs := spec.Values
	if spec.Type != nil {
		exprs = append([]ast.Expr{spec.Type}, exprs...)
	}
	for _, e := range exprs {
		why := ""
		ast.Inspect(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit: // what a function makes when it is called is not the variable's
				return false
			case *ast.ChanType:
				why = "is a channel"
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
					why = "is of a type made to change (" + pkg.Name + "." + n.Sel.Name + ")"
				}
			}
			return why == ""
		})
		if why != "" {
			return why
		}
	}
	return ""
}

// writes finds assignments to package-level variables, and addresses taken of them.
func writes(f *file, vars map[string]*ast.ValueSpec) []string {
	var bad []string
	// root returns the package-level variable that an expression is, or is a part of.
	root := func(e ast.Expr) *ast.Ident {
		for {
			switch x := e.(type) {
			case *ast.ParenExpr:
				e = x.X
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.SliceExpr:
				e = x.X
			case *ast.Ident:
				spec := vars[x.Name]
				// The parser resolves names within the file; one that it did not find is the package's.
				if spec == nil || (x.Obj != nil && x.Obj.Decl != spec) {
					return nil
				}
				return x
			default:
				return nil
			}
		}
	}
	note := func(n ast.Node, e ast.Expr, what string) {
		if id := root(e); id != nil {
			bad = append(bad, fmt.Sprintf("%s: package-level variable %s %s", f.at(n), id.Name, what))
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, left := range n.Lhs {
					note(n, left, "is written to")
				}
			}
		case *ast.IncDecStmt:
			note(n, n.X, "is written to")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				note(n, n.Key, "is written to")
				note(n, n.Value, "is written to")
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				if _, part := n.X.(*ast.IndexExpr); !part { // &table[i] is how a table of structs is read
					note(n, n.X, "has its address taken")
				}
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (fn.Name == "delete" || fn.Name == "clear" || fn.Name == "copy") {
				note(n, n.Args[0], "is written to")
			}
		}
		return true
	})
	return bad
}

func TestNoSleep(t *testing.T) { report(t, sleeps(load(t))) }

// sleeps finds code that waits for time instead of for something.
func sleeps(files []*file) []string {
	var bad []string
	for _, f := range files {
		if f.test || f.tooling() {
			continue
		}
		local := ""
		for _, spec := range f.ast.Imports {
			if name, err := strconv.Unquote(spec.Path.Value); err == nil && name == "time" {
				if local = "time"; spec.Name != nil {
					local = spec.Name.Name
				}
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" && local != "" {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == local {
					bad = append(bad, fmt.Sprintf("%s: time.Sleep outside a test", f.at(sel)))
				}
			}
			return true
		})
	}
	return bad
}
