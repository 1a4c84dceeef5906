package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// components is the table that names every plug-in.
const components = "cmd/sluice/components.go"

// plugins writes a section for each plug-in of one field of the table. The code is read, not run: this room does not know
// the plug-ins.
func (w *writer) plugins(root, title, field, text string) error {
	fmt.Fprintf(w, "## %s\n\n%s\n\n", title, text)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, components), nil, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("read table of plug-ins: %w", err)
	}
	folders := map[string]string{}
	for _, i := range file.Imports {
		if path, _ := strconv.Unquote(i.Path.Value); strings.HasPrefix(path, module) {
			folders[path[strings.LastIndexByte(path, '/')+1:]] = strings.TrimPrefix(path, module)
		}
	}
	for _, p := range listed(file, field) {
		folder, ok := folders[p.pkg]
		if !ok {
			return fmt.Errorf("%s: %s is not imported", components, p.pkg)
		}
		src, err := read(filepath.Join(root, folder))
		if err != nil {
			return err
		}
		m := maker{typ: p.symbol}
		if made, ok := src.makers[p.symbol]; ok {
			m = made
		}
		if src.types[m.typ] == nil {
			return fmt.Errorf("%s: %s.%s is no configuration", components, p.pkg, p.symbol)
		}
		fmt.Fprintf(w, "### `%s`\n\nWith examples in its [README](../../%s/README.md).\n\n", p.kind, folder)
		w.plugin(src, m.typ, "", m.defaults)
	}
	return nil
}

// registryTLS writes the section that the types of registries share.
func (w *writer) registryTLS(root string) error {
	src, err := read(filepath.Join(root, "registry"))
	if err != nil {
		return err
	}
	if src.types["TLS"] == nil {
		return errors.New("registry.TLS is gone")
	}
	w.WriteString("### TLS of a registry\n\nThe section `tls` is the same in every type that has one.\n\n")
	w.plugin(src, "TLS", "", nil)
	return nil
}

const module = "github.com/sluice-gateway/sluice/"

// listing is one line of the table: "kind": func() T { return pkg.Symbol(...) } or &pkg.Symbol{}.
type listing struct{ kind, pkg, symbol string }

// listed finds the lines of one field of the table, sorted as they stand.
func listed(file *ast.File, field string) []listing {
	var out []listing
	ast.Inspect(file, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if key, ok := kv.Key.(*ast.Ident); !ok || key.Name != field {
			return true
		}
		lit, ok := kv.Value.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, item := range lit.Elts {
			entry, ok := item.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			l := listing{kind: literal(entry.Key)}
			ast.Inspect(entry.Value, func(n ast.Node) bool {
				ret, ok := n.(*ast.ReturnStmt)
				if !ok {
					return true
				}
				ast.Inspect(ret, func(n ast.Node) bool { // the first pkg.Symbol
					if s, ok := n.(*ast.SelectorExpr); ok && l.pkg == "" {
						if pkg, ok := s.X.(*ast.Ident); ok {
							l.pkg, l.symbol = pkg.Name, s.Sel.Name
						}
					}
					return true
				})
				return false
			})
			out = append(out, l)
		}
		return false
	})
	return out
}

// plugin writes a type's table, and those of the package's types in it.
func (w *writer) plugin(src *source, name, path string, defaults map[string]ast.Expr) {
	if path != "" {
		fmt.Fprintf(w, "`%s`:\n\n", path)
	}
	var rows []row
	var below []string
	paths := map[string]string{}
	values := map[string]ast.Expr{}
	for _, f := range src.types[name].fields {
		key, _, _ := strings.Cut(f.tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		text, inner, suffix := src.describe(f.typ)
		rows = append(rows, row{key, text, literal(defaults[f.name]), meaning(key, f.name, f.doc)})
		if inner != "" && paths[inner] == "" {
			below = append(below, inner)
			values[inner] = defaults[f.name]
			paths[inner] = strings.TrimPrefix(path+"."+key, ".") + suffix
		}
	}
	if len(rows) > 0 {
		w.table(rows)
	} else {
		w.WriteString("It has no keys.\n\n")
	}
	for _, inner := range below {
		if inner != name {
			w.plugin(src, inner, paths[inner], fieldsOf(values[inner]))
		}
	}
}

// fieldsOf are the values in a struct's literal.
func fieldsOf(e ast.Expr) map[string]ast.Expr {
	out := map[string]ast.Expr{}
	if lit, ok := e.(*ast.CompositeLit); ok {
		for _, item := range lit.Elts {
			if kv, ok := item.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok {
					out[key.Name] = kv.Value
				}
			}
		}
	}
	return out
}

// describe is the same as for the document's types, from the syntax.
func (s *source) describe(e ast.Expr) (text, below, suffix string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return s.describe(e.X)
	case *ast.ArrayType:
		text, below, suffix = s.describe(e.Elt)
		return "list of " + plural(text), below, "[]" + suffix
	case *ast.MapType:
		text, below, suffix = s.describe(e.Value)
		return "mapping of names to " + plural(text), below, ".NAME" + suffix
	case *ast.SelectorExpr:
		switch e.Sel.Name {
		case "TLS":
			return "[section](#tls-of-a-registry)", "", ""
		case "Duration":
			return "duration", "", ""
		case "Size":
			return "size", "", ""
		case "Prefix":
			return "network", "", ""
		}
	case *ast.InterfaceType:
		return "anything", "", ""
	case *ast.Ident:
		switch e.Name {
		case "any":
			return "anything", "", ""
		case "bool":
			return "true or false", "", ""
		case "float64", "float32":
			return "number", "", ""
		case "int", "int32", "int64", "uint", "uint16", "uint32", "uint64":
			return "whole number", "", ""
		case "Size":
			return "size", "", ""
		}
		if s.types[e.Name] != nil {
			return "section", e.Name, ""
		}
	}
	return "text", "", ""
}

// literal is a default value as a document would have it, if the code says it as a constant.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
		return e.Value
	case *ast.Ident:
		if e.Name == "true" || e.Name == "false" {
			return e.Name
		}
	case *ast.CompositeLit:
		var items []string
		for _, item := range e.Elts {
			text := literal(item)
			if text == "" {
				return ""
			}
			items = append(items, text)
		}
		if len(items) > 0 {
			return "[" + strings.Join(items, ", ") + "]"
		}
	case *ast.SelectorExpr:
		if unit := unitOf(e); unit > 0 {
			return duration(unit)
		}
	case *ast.BinaryExpr:
		n, err := strconv.Atoi(literal(e.X))
		unit := unitOf(e.Y)
		if err == nil && e.Op == token.MUL && unit > 0 {
			return duration(time.Duration(n) * unit)
		}
		bits, shiftErr := strconv.Atoi(literal(e.Y))
		if err == nil && shiftErr == nil && e.Op == token.SHL && bits < 63 {
			return strconv.FormatInt(int64(n)<<bits, 10)
		}
	}
	return ""
}

func unitOf(e ast.Expr) time.Duration {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return 0
	}
	switch s.Sel.Name {
	case "Millisecond":
		return time.Millisecond
	case "Second":
		return time.Second
	case "Minute":
		return time.Minute
	case "Hour":
		return time.Hour
	}
	return 0
}
