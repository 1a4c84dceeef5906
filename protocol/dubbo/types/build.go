package types

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// rawClass is what a definition says of a class.
type rawClass struct {
	props map[string]javaType
	enums []string
	items []javaType // of classes that extend a collection or a map
}

func (c *rawClass) empty() bool { return c == nil || len(c.props)+len(c.enums)+len(c.items) == 0 }

// builder turns names into Types.
type builder struct {
	classes map[string]*rawClass // by source name
	beans   map[string]*Type     // finished and unfinished ones, so that recursion ends
}

// scope is where a type name stands.
type scope struct {
	vars  map[string]javaType // what the type variables of the surrounding bean stand for
	class bool                // the provider cannot know the class here, so it is written
	depth int
}

// maxExpansion bounds beans inside the type arguments of beans, which Java allows to grow without end: a property
// Page<List<T>> of Page<T>.
const maxExpansion = 16

// build makes the Type for a name.
func (b *builder) build(j javaType, s scope) *Type {
	if j.dims > 0 {
		return b.array(j, s)
	}
	if bound, ok := s.vars[j.name]; ok {
		// The variable's meaning was written outside of this bean, where its variables mean nothing.
		return b.build(bound, scope{class: true, depth: s.depth + 1})
	}
	if t, ok := jdkScalar(j.name); ok {
		t.name, t.erased, t.exact = j.String(), j.name, s.class
		return &t
	}
	name := sourceName(j.name)
	switch jdkCollection(name) {
	case 1:
		return b.collection(j, j.args, s)
	case 2:
		return b.mapping(j, j.args, s)
	}
	c := b.classes[name]
	switch {
	case c.empty():
		return b.opaque(j, s)
	case len(c.enums) > 0:
		return enum(j, c, s)
	case len(c.props) > 0:
		return b.bean(j, c, s)
	case len(c.items) == 1:
		return b.collection(j, c.items, s)
	case len(c.items) == 2:
		return b.mapping(j, c.items, s)
	}
	return b.opaque(j, s)
}

// array builds an array; one of bytes is binary.
func (b *builder) array(j javaType, s scope) *Type {
	t := &Type{name: j.String(), erased: j.erased(), kind: listKind}
	if j.dims == 1 && j.name == "byte" {
		t.kind, t.expected = binaryKind, "byte[], as a string of base64"
		return t
	}
	t.elem = b.build(j.elem(), s)
	if s.vars[j.name].name != "" || j.isVariable() && b.classes[j.name].empty() {
		t.erased = objectName + strings.Repeat("[]", j.dims)
	}
	t.expected = "an array of " + t.elem.name
	return t
}

func (b *builder) collection(j javaType, args []javaType, s scope) *Type {
	t := &Type{name: j.String(), erased: j.erased(), kind: listKind, elem: object}
	if len(args) == 1 {
		t.elem = b.build(args[0], s)
	}
	t.expected = "an array of " + t.elem.name
	if t.elem.kind == opaqueKind {
		t.expected = "an array"
	}
	return t
}

func (b *builder) mapping(j javaType, args []javaType, s scope) *Type {
	t := &Type{name: j.String(), erased: j.erased(), kind: mapKind, key: object, elem: object, expected: "an object"}
	t.start = hessian.AppendMapStart(nil)
	if j.name == "java.util.Properties" { // Dubbo 2.7 would hand over a HashMap
		t.key, t.elem = textType, textType
		t.start = hessian.AppendTypedMapStart(nil, j.name)
	}
	if len(args) == 2 {
		t.elem = b.build(args[1], s)
		s.class = false
		t.key = b.build(args[0], s)
	}
	return t
}

// opaque builds a type that nothing is known about: Object, a type variable, or a class without definition.
func (b *builder) opaque(j javaType, s scope) *Type {
	t := &Type{name: j.String(), erased: j.erased(), kind: opaqueKind, expected: "any value"}
	switch {
	case j.isVariable() && b.classes[j.name] == nil:
		t.erased = objectName
	case s.class && !strings.HasPrefix(j.name, "java."):
		t.class = classEntry(t.erased)
	}
	return t
}

// classEntry is the map entry that tells a provider which class an object has.
func classEntry(class string) []byte {
	return hessian.AppendString(hessian.AppendString(nil, "class"), class)
}

func enum(j javaType, c *rawClass, s scope) *Type {
	t := &Type{name: j.name, erased: j.erased(), kind: enumKind, exact: s.class, enums: make(map[string]struct{}, len(c.enums))}
	for _, name := range c.enums {
		t.enums[name] = struct{}{}
	}
	t.expected = "one of " + strings.Join(c.enums, ", ")
	return t
}

// bean builds a bean. It is registered before its properties are built, so that they may lead back to it.
func (b *builder) bean(j javaType, c *rawClass, s scope) *Type {
	id := j.expand(s.vars).String()
	if s.class {
		id = "class " + id
	}
	if t := b.beans[id]; t != nil {
		return t
	}
	if s.depth > maxExpansion {
		return b.opaque(j, s)
	}
	t := &Type{name: j.String(), erased: j.erased(), kind: beanKind, expected: "an object (" + j.String() + ")"}
	b.beans[id] = t
	if s.class {
		t.class = classEntry(t.erased)
	}
	inner := scope{depth: s.depth}
	args := j.expand(s.vars).args
	if len(args) > 0 {
		inner = scope{vars: b.bind(c, args), depth: s.depth + 1}
	}
	t.props = make(map[string]*property, len(c.props))
	for i, name := range slices.Sorted(maps.Keys(c.props)) {
		p := c.props[name]
		if p.name == objectName && len(args) == 1 {
			// A property of type T is published as Object. A route that states the argument means this one.
			p.name = soleVariable
		}
		t.props[name] = &property{typ: b.build(p, inner), key: hessian.AppendString(nil, name), index: i}
	}
	return t
}

// soleVariable stands for the only type variable of a bean, whatever it is called.
const soleVariable = "T"

// bind tells what a bean's type variables stand for. Definitions name a variable only inside of type arguments, as in
// List<T>, and not in the order of declaration, so more than one can be told apart only if they are called K and V.
func (b *builder) bind(c *rawClass, args []javaType) map[string]javaType {
	found := map[string]bool{}
	for _, p := range c.props {
		b.variables(p, found)
	}
	if len(args) == 1 {
		found[soleVariable] = true
		vars := make(map[string]javaType, len(found))
		for name := range found {
			vars[name] = args[0]
		}
		return vars
	}
	names := slices.Sorted(maps.Keys(found))
	if len(args) != 2 || !slices.Equal(names, []string{"K", "V"}) {
		return nil
	}
	return map[string]javaType{"K": args[0], "V": args[1]}
}

// variables finds the type variables in a name.
func (b *builder) variables(j javaType, found map[string]bool) {
	if j.isVariable() && b.classes[j.name] == nil {
		found[j.name] = true
	}
	for _, a := range j.args {
		b.variables(a, found)
	}
}

// expand replaces type variables by what they stand for.
func (t javaType) expand(vars map[string]javaType) javaType {
	if bound, ok := vars[t.name]; ok {
		bound.dims += t.dims
		return bound
	}
	if len(t.args) > 0 {
		args := make([]javaType, len(t.args))
		for i, a := range t.args {
			args[i] = a.expand(vars)
		}
		t.args = args
	}
	return t
}
