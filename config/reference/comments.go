package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// source is what the files of one package say about its types.
type source struct {
	types map[string]*typeSource
	order []string
	// makers are the functions that make a value of one of the types.
	makers map[string]maker
}

// maker is a function that returns *typ, with the values that it gives fields.
type maker struct {
	typ      string
	defaults map[string]ast.Expr
}

type typeSource struct {
	doc    string
	fields []fieldSource
}

type fieldSource struct {
	name, doc string
	tag       reflect.StructTag
	typ       ast.Expr
}

// read parses a package's files, without its tests.
func read(folder string) (*source, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no Go files in %s", folder)
	}
	s := &source{types: map[string]*typeSource{}, makers: map[string]maker{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse source: %w", err)
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.GenDecl:
				s.addTypes(decl)
			case *ast.FuncDecl:
				s.addMaker(decl)
			}
		}
	}
	return s, nil
}

func (s *source) addTypes(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		st, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		doc := t.Doc.Text()
		if doc == "" {
			doc = decl.Doc.Text()
		}
		out := &typeSource{doc: doc}
		last := ""
		for _, f := range st.Fields.List {
			// A field without a comment belongs to the one above.
			if doc := strings.TrimSpace(f.Doc.Text()); doc != "" {
				last = doc
			}
			tag := ""
			if f.Tag != nil {
				tag, _ = strconv.Unquote(f.Tag.Value)
			}
			for _, name := range f.Names {
				out.fields = append(out.fields, fieldSource{name.Name, last, reflect.StructTag(tag), f.Type})
			}
		}
		s.types[t.Name.Name] = out
		s.order = append(s.order, t.Name.Name)
	}
}

// addMaker takes a function such as "func Default() *Config { return &Config{Key: value} }".
func (s *source) addMaker(f *ast.FuncDecl) {
	if f.Recv != nil || f.Body == nil || f.Type.Results == nil {
		return
	}
	pointer, ok := f.Type.Results.List[0].Type.(*ast.StarExpr)
	if !ok {
		return
	}
	typ, ok := pointer.X.(*ast.Ident)
	if !ok {
		return
	}
	m := maker{typ: typ.Name}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if ok && m.defaults == nil {
			m.defaults = fieldsOf(lit)
		}
		return !ok
	})
	s.makers[f.Name.Name] = m
}

func (s *source) field(typ, name string) string {
	if t := s.types[typ]; t != nil {
		for _, f := range t.fields {
			if f.name == name {
				return f.doc
			}
		}
	}
	return ""
}

// meaning turns a comment into a sentence about a key: "Grace is how long ..." becomes "How long ...", and a name that only
// Go has becomes the key: "AccessLog says ..." is "`accessLog` says ...".
func meaning(key, name, doc string) string {
	doc = strings.NewReplacer("|", "\\|", "*", "\\*").Replace(strings.Join(strings.Fields(doc), " "))
	for _, verb := range []string{" is ", " are "} {
		rest, ok := strings.CutPrefix(doc, name+verb)
		if word, _, _ := strings.Cut(rest, " "); ok && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz',.") == "" && word != "" {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	if rest, ok := strings.CutPrefix(doc, name+" "); ok && strings.IndexFunc(name[1:], unicode.IsUpper) >= 0 {
		return "`" + key + "` " + rest
	}
	return doc
}
