package dubbo

import (
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// plan is all that a call of one signature has in common with the next: what stands in front of its arguments.
type plan struct {
	method *types.Method
	// prefix is the encoded method name, the list of erased parameter types, and the head of the list of arguments. The last
	// must be typed: dubbo-go providers never answer a call with an untyped one.
	prefix []byte
	// generic is the value of the attachment of that name.
	generic string
	void    bool
}

// The values of the attachment "generic" that are used: arguments are converted the same way by both, results are not.
const (
	genericTrue      = "true"
	genericRawReturn = "raw.return"
)

func newPlan(m *types.Method) *plan {
	p := &plan{method: m, generic: genericTrue}
	if m.RawReturn {
		p.generic = genericRawReturn
	}
	p.void = m.Return != nil && (m.Return.Name() == "void" || m.Return.Name() == "java.lang.Void")
	p.prefix = hessian.AppendString(p.prefix, m.Name)
	p.prefix = hessian.AppendTypedListLength(p.prefix, "[string", len(m.ErasedTypes))
	for _, name := range m.ErasedTypes {
		p.prefix = hessian.AppendString(p.prefix, name)
	}
	p.prefix = hessian.AppendTypedListLength(p.prefix, "[object", len(m.Params))
	return p
}

// overloads are the plans of all methods of one name.
type overloads struct {
	methods []*types.Method
	plans   []*plan
}

func newOverloads(methods ...*types.Method) *overloads {
	o := &overloads{methods: methods}
	for _, m := range methods {
		o.plans = append(o.plans, newPlan(m))
	}
	return o
}

// of finds the plan of a method.
func (o *overloads) of(m *types.Method) *plan {
	for i := range o.methods {
		if o.methods[i] == m {
			return o.plans[i]
		}
	}
	return nil
}

// servicePlans are all plans of one definition.
type servicePlans struct {
	// definition is nil when the registry holds none.
	definition *types.Definition
	methods    map[string]*overloads
}

func newServicePlans(d *types.Definition) *servicePlans {
	p := &servicePlans{definition: d, methods: map[string]*overloads{}}
	for _, name := range d.Names() {
		p.methods[name] = newOverloads(d.Methods(name)...)
	}
	return p
}
