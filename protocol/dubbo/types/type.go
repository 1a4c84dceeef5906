package types

import "github.com/sluice-gateway/sluice/protocol/dubbo/hessian"

// Type is a Java type, compiled. It is immutable and may be recursive.
type Type struct {
	name   string // as Java writes it, with type arguments
	erased string // as $invoke wants it
	kind   kind
	bits   uint8          // of whole numbers: 8, 16, 32 or 64
	handle hessian.Handle // of temporalKind and sqlDateKind
	prim   bool           // a primitive: null is refused
	exact  bool           // the provider does not know the type here: a string would stay one

	elem *Type // of lists and arrays; the value type of maps
	key  *Type // of maps

	enums    map[string]struct{}
	expected string // what an error says instead of name

	props map[string]*property // of beans
	class []byte               // an encoded entry "class": name, for a bean whose class the provider cannot know
	start []byte               // of a map: how it opens in hessian2
}

// property is a property of a bean.
type property struct {
	typ   *Type
	key   []byte // its name in hessian2
	index int    // from 0, in no particular order
}

// kind says how values of a type are read and written.
type kind uint8

const (
	opaqueKind        kind = iota // Object and everything we know nothing about: written by the kind of JSON
	wholeKind                     // byte, short, int: hessian int; long: hessian long
	floatKind                     // float
	doubleKind                    // double
	boolKind                      //
	charKind                      //
	stringKind                    //
	enumKind                      // a name
	decimalKind                   // BigDecimal: its text
	bigIntKind                    // BigInteger: its text
	numberKind                    // java.lang.Number
	dateKind                      // java.util.Date: hessian date
	sqlDateKind                   // java.sql.Date, Time, Timestamp: an object, or text in the zone of the provider
	localDateKind                 // the three of ISO text
	localTimeKind                 //
	localDateTimeKind             //
	temporalKind                  // the java.time types that travel as handles
	uuidKind                      // an object, like the following
	localeKind
	binaryKind      // byte[]
	listKind        // lists, sets, arrays
	mapKind         //
	beanKind        //
	unsupportedKind // takes only null
)

// Name is the type as Java writes it, with type arguments.
func (t *Type) Name() string { return t.name }

// Erased is the type as $invoke wants it: without type arguments, nested classes after a $.
func (t *Type) Erased() string { return t.erased }

// IsObject tells whether the type is a bean or a map, so that a JSON object is its natural form.
func (t *Type) IsObject() bool { return t.kind == beanKind || t.kind == mapKind }

// IsScalar tells whether AppendText takes the type's values as plain text.
func (t *Type) IsScalar() bool {
	switch t.kind {
	case listKind, mapKind, beanKind, unsupportedKind:
		return false
	}
	return true
}

// Elem is the type of a list's elements, for an argument that a query repeats: the caller opens the list with
// hessian.AppendListStart and closes it with hessian.PatchListLength. ok is false when the type is no list.
func (t *Type) Elem() (elem *Type, ok bool) { return t.elem, t.kind == listKind }

// Method is one overload of a service's method.
type Method struct {
	Name   string
	Params []*Type
	Return *Type
	// ErasedTypes are the parameter types as $invoke wants them.
	ErasedTypes []string
	// RawReturn tells that the answer may hold values (ZonedDateTime and its kin, Locale) of which generic=true makes a heap
	// of getters, or fails. With generic=raw.return they come as they are.
	RawReturn bool
}

// String gives the signature, such as "hello(java.lang.String,int)".
func (m *Method) String() string {
	s := m.Name + "("
	for i, t := range m.ErasedTypes {
		if i > 0 {
			s += ","
		}
		s += t
	}
	return s + ")"
}

// raw tells whether the type reaches a value for which RawReturn is needed.
func (t *Type) raw(seen map[*Type]bool) bool {
	switch {
	case t == nil || seen[t]:
		return false
	case t.kind == localeKind:
		return true
	case t.kind == temporalKind:
		return t.handle != hessian.InstantHandle && t.handle != hessian.DurationHandle
	}
	seen[t] = true
	for _, p := range t.props {
		if p.typ.raw(seen) {
			return true
		}
	}
	return t.elem.raw(seen) || t.key.raw(seen)
}
