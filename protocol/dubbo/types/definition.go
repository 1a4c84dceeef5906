package types

// Definition is what a Java provider publishes about a service: its methods and the types that they reach. It is
// immutable. A nil *Definition knows no methods, and of types only those of the JDK: every other class is opaque, its
// values are written by the kind of JSON.
type Definition struct {
	service string
	methods map[string][]*Method
}

// ParseDefinition reads a FullServiceDefinition, as JSON. Dubbo 3 writes the types of properties as names; Dubbo 2.7 nests
// whole type objects and lets fastjson replace repeated ones by {"$ref":"$.types[4]"}. Both are read.
func ParseDefinition(doc []byte) (*Definition, error) { return nil, nil }

// Service is the interface's name.
func (d *Definition) Service() string { return d.service }

// Methods gives all overloads of a method, or nil. Do not change the slice.
func (d *Definition) Methods(name string) []*Method {
	if d == nil {
		return nil
	}
	return d.methods[name]
}

// Names lists the methods' names, sorted.
func (d *Definition) Names() []string { return nil }

// Signature gives the method with the parameter types that a route states, in any spelling that Java uses: int,
// java.util.List<lab.User>, lab.User[], [Ljava.lang.String;. If the definition has an overload with the same erased types,
// it is that one, with the type arguments that the route adds; if it has none, the stated types are believed. Type
// arguments of a bean of the definition, as in lab.Page<lab.User>, fill its type variable and make the encoder add the
// class to those objects, which the provider could not know otherwise.
func (d *Definition) Signature(method string, javaTypes []string) (*Method, error) { return nil, nil }
