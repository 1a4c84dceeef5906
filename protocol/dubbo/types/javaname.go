package types

import (
	"fmt"
	"strings"
)

// javaType is the name of a Java type, taken apart.
type javaType struct {
	name string // without arguments and brackets, nested classes after a dot or a $
	args []javaType
	dims int // of an array
}

// maxNameDepth bounds the nesting of type arguments.
const maxNameDepth = 32

// parseJavaType reads a type in any spelling that Java uses:
//
//	int  int[]  [I  java.lang.String  [Ljava.lang.String;  java.util.Map<java.lang.String, lab.User[]>  ? extends lab.User
func parseJavaType(s string) (javaType, error) {
	p := nameParser{rest: s}
	t, err := p.typ(0)
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("unexpected %q", p.rest)
	}
	if err != nil {
		return javaType{}, fmt.Errorf("read Java type %q: %w", s, err)
	}
	return t, nil
}

type nameParser struct{ rest string }

func (p *nameParser) is(prefix string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *nameParser) typ(depth int) (t javaType, err error) {
	if depth > maxNameDepth {
		return t, fmt.Errorf("nested more than %d deep", maxNameDepth)
	}
	if p.is("?") {
		t.name = objectName
		if p.is("extends ") || p.is("super ") {
			return p.typ(depth + 1)
		}
		return t, nil
	}
	if p.is("[") {
		return p.descriptor()
	}
	end := strings.IndexAny(p.rest, "<>,[]&; ")
	if end < 0 {
		end = len(p.rest)
	}
	t.name, p.rest = p.rest[:end], p.rest[end:]
	if !isClassName(t.name) {
		return t, fmt.Errorf("%q is no class name", t.name)
	}
	if p.is("<") {
		for {
			arg, err := p.typ(depth + 1)
			if err != nil {
				return t, err
			}
			t.args = append(t.args, arg)
			if p.is(">") {
				break
			}
			if !p.is(",") {
				return t, fmt.Errorf("the type arguments of %s do not end", t.name)
			}
		}
	}
	for p.is("[") {
		if t.dims++; !p.is("]") || t.dims > 255 {
			return t, fmt.Errorf("bad brackets after %s", t.name)
		}
	}
	if p.is("...") {
		t.dims++
	}
	return t, nil
}

// descriptor reads an array as Class.getName gives it, the first bracket being read.
func (p *nameParser) descriptor() (t javaType, err error) {
	t.dims = 1
	for p.is("[") {
		if t.dims++; t.dims > 255 {
			return t, fmt.Errorf("too many dimensions")
		}
	}
	if p.is("L") {
		name, rest, ok := strings.Cut(p.rest, ";")
		if !ok || !isClassName(name) {
			return t, fmt.Errorf("bad array descriptor")
		}
		t.name, p.rest = strings.ReplaceAll(name, "/", "."), rest
		return t, nil
	}
	for _, d := range [...]struct{ code, name string }{
		{"B", "byte"}, {"S", "short"}, {"I", "int"}, {"J", "long"}, {"F", "float"}, {"D", "double"}, {"Z", "boolean"}, {"C", "char"},
	} {
		if p.is(d.code) {
			t.name = d.name
			return t, nil
		}
	}
	return t, fmt.Errorf("bad array descriptor")
}

func isClassName(s string) bool {
	for _, c := range s {
		if c <= ' ' || strings.ContainsRune(`"'(){}*+=\:`, c) {
			return false
		}
	}
	return s != ""
}

const objectName = "java.lang.Object"

// String writes the type with its arguments.
func (t javaType) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t javaType) write(b *strings.Builder) {
	b.WriteString(t.name)
	for i, a := range t.args {
		if i == 0 {
			b.WriteByte('<')
		} else {
			b.WriteByte(',')
		}
		a.write(b)
	}
	if len(t.args) > 0 {
		b.WriteByte('>')
	}
	for range t.dims {
		b.WriteString("[]")
	}
}

// elem is the element type of an array.
func (t javaType) elem() javaType {
	t.dims--
	return t
}

// erased is the type as $invoke wants it. Definitions write nested classes with dots, as Java sources do, but the provider
// looks them up with a $: what follows a part that starts with a capital is taken as nested, by Java's naming convention.
func (t javaType) erased() string {
	return nested(t.name) + strings.Repeat("[]", t.dims)
}

func nested(name string) string {
	if strings.Contains(name, "$") {
		return name
	}
	for i := 0; i < len(name); i++ {
		if (i == 0 || name[i-1] == '.') && name[i] >= 'A' && name[i] <= 'Z' {
			return name[:i] + strings.ReplaceAll(name[i:], ".", "$")
		}
	}
	return name
}

// sourceName is a class's name with dots, the one spelling by which classes are looked up here.
func sourceName(name string) string { return strings.ReplaceAll(name, "$", ".") }

// isVariable tells whether a name looks like a type variable, such as T.
func (t javaType) isVariable() bool {
	return !strings.ContainsAny(t.name, ".$") && t.name[0] >= 'A' && t.name[0] <= 'Z'
}
