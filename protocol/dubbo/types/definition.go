package types

import (
	"fmt"
	"maps"
	"slices"
)

// Definition is what a Java provider publishes about a service: its methods and the types that they reach. It is
// immutable. A nil *Definition knows no methods, and of types only those of the JDK: every other class is opaque, its
// values are written by the kind of JSON.
type Definition struct {
	service string
	methods map[string][]*Method
	stated  map[*Method][]javaType // the parameter types of methods, as the definition writes them
	classes map[string]*rawClass
}

// ParseDefinition reads a FullServiceDefinition, as JSON. Dubbo 3 writes the types of properties as names; Dubbo 2.7 nests
// whole type objects and lets fastjson replace repeated ones by {"$ref":"$.types[4]"}. Both are read. A method or type that
// cannot be understood is left out, so that it does not take the others with it.
func ParseDefinition(doc []byte) (*Definition, error) {
	raw, err := readDocument(doc)
	if err != nil {
		return nil, fmt.Errorf("read service definition: %w", err)
	}
	d := &Definition{
		service: raw.service,
		methods: make(map[string][]*Method),
		stated:  make(map[*Method][]javaType),
		classes: raw.classes,
	}
	b := builder{classes: raw.classes, beans: make(map[string]*Type)}
	for _, m := range raw.methods {
		method := b.method(m.name, m.params, nil)
		method.Return = b.build(m.result, scope{})
		method.RawReturn = method.Return.raw(make(map[*Type]bool))
		if d.overload(m.name, method.ErasedTypes) != nil { // a bridge method repeats the one that it leads to
			continue
		}
		d.methods[m.name] = append(d.methods[m.name], method)
		d.stated[method] = m.params
	}
	return d, nil
}

// Service is the interface's name.
func (d *Definition) Service() string {
	if d == nil {
		return ""
	}
	return d.service
}

// Methods gives all overloads of a method, or nil. Do not change the slice.
func (d *Definition) Methods(name string) []*Method {
	if d == nil {
		return nil
	}
	return d.methods[name]
}

// Names lists the methods' names, sorted.
func (d *Definition) Names() []string {
	if d == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(d.methods))
}

// Signature gives the method with the parameter types that a route states, in any spelling that Java uses: int,
// java.util.List<lab.User>, lab.User[], [Ljava.lang.String;. If the definition has an overload with the same erased types,
// it is that one, with the type arguments that the route adds; if it has none, the stated types are believed.
//
// Type arguments of a bean of the definition, as in lab.Page<lab.User>, fill its type variable, and its properties of type
// Object, for so do definitions show properties of the variable's type. They also fill a List or Map that the definition
// has without arguments. The provider does not know these types and would keep a map or a string where it finds one, so
// the encoder adds the class to such beans, and writes enums, BigDecimal and LocalDate and its kin as objects. (It cannot
// help float, short, byte, char and BigInteger, which arrive there as Double, Integer and String.)
func (d *Definition) Signature(method string, javaTypes []string) (*Method, error) {
	stated := make([]javaType, len(javaTypes))
	for i, s := range javaTypes {
		j, err := parseJavaType(s)
		if err != nil {
			return nil, err
		}
		stated[i] = j
	}
	b := builder{beans: make(map[string]*Type)}
	if d == nil {
		return b.method(method, stated, nil), nil
	}
	b.classes = d.classes
	m := b.method(method, stated, nil)
	known := d.overload(method, m.ErasedTypes)
	if known == nil {
		return m, nil
	}
	if !slices.ContainsFunc(stated, func(j javaType) bool { return len(j.args) > 0 }) {
		return known, nil
	}
	m = b.method(method, stated, d.stated[known])
	m.Return, m.RawReturn = known.Return, known.RawReturn
	for i, p := range known.Params {
		if len(stated[i].args) == 0 {
			m.Params[i] = p
		}
	}
	return m, nil
}

// overload finds a method by its erased parameter types.
func (d *Definition) overload(name string, erased []string) *Method {
	for _, m := range d.methods[name] {
		if slices.EqualFunc(m.ErasedTypes, erased, func(a, b string) bool { return sourceName(a) == sourceName(b) }) {
			return m
		}
	}
	return nil
}

// method builds a method. known are its parameter types as the provider knows them, nil if they are the same.
func (b *builder) method(name string, params, known []javaType) *Method {
	m := &Method{Name: name, Return: object, Params: make([]*Type, len(params)), ErasedTypes: make([]string, len(params))}
	for i, j := range params {
		s := scope{}
		if i < len(known) && len(known[i].args) == 0 && jdkCollection(sourceName(j.name)) > 0 {
			s.class = true // a raw List to the provider: it would leave maps in it
		}
		m.Params[i] = b.build(j, s)
		m.ErasedTypes[i] = m.Params[i].erased
	}
	return m
}
