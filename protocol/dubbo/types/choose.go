package types

// Kind is the shape of an argument, as far as it can be told without reading it.
type Kind uint8

// The shapes of JSON values, and Text for a value from a path, query, header or cookie.
const (
	Invalid Kind = iota
	Null
	Bool
	Integer // a number without fraction and exponent
	Fraction
	String
	Array
	Object
	Text
)

// Choose picks the overload that takes arguments of these shapes: first by their number, then by how well each shape fits.
// An overload wins if it fits each argument at least as well as every other, and one of them better. The only one with the
// right number of parameters is returned unseen, so that encoding can say what is wrong with an argument. The error is an
// *OverloadError.
func Choose(candidates []*Method, args ...Kind) (*Method, error) {
	var numbered, fitting []*Method
	for _, m := range candidates {
		if len(m.Params) != len(args) {
			continue
		}
		numbered = append(numbered, m)
		if fits(m, args) {
			fitting = append(fitting, m)
		}
	}
	switch {
	case len(numbered) == 1:
		return numbered[0], nil
	case len(fitting) == 1:
		return fitting[0], nil
	}
	for i, m := range fitting {
		best := true
		for k, other := range fitting {
			if i != k && !better(m, other, args) {
				best = false
				break
			}
		}
		if best {
			return m, nil
		}
	}
	err := &OverloadError{Ambiguous: len(fitting) > 0}
	listed := candidates
	if err.Ambiguous {
		listed = fitting
	}
	for _, m := range listed {
		err.Method = m.Name
		err.Candidates = append(err.Candidates, m.String())
	}
	return nil, err
}

// fits tells whether no argument is impossible.
func fits(m *Method, args []Kind) bool {
	for i, t := range m.Params {
		if t.fit(args[i]) == 0 {
			return false
		}
	}
	return true
}

// better tells whether m fits every argument at least as well as other, and one of them better.
func better(m, other *Method, args []Kind) bool {
	some := false
	for i, k := range args {
		a, b := m.Params[i].fit(k), other.Params[i].fit(k)
		if a < b {
			return false
		}
		some = some || a > b
	}
	return some
}

// How well a shape fits a type: not at all, because the type takes anything, by a conversion, or as the type's own form.
const (
	no = iota
	anything
	converted
	own
)

// fit tells how well an argument of a shape fits the type.
func (t *Type) fit(k Kind) int {
	switch {
	case k == Null:
		if t.prim {
			return no
		}
		return own
	case t.kind == opaqueKind:
		return anything
	}
	switch k {
	case Integer:
		switch t.kind {
		case wholeKind:
			return own
		case bigIntKind, decimalKind, floatKind, doubleKind, numberKind, dateKind, sqlDateKind:
			return converted
		case temporalKind:
			if t.takesMillis() || t.erased == "java.time.Year" {
				return converted
			}
		}
	case Fraction:
		switch t.kind {
		case floatKind, doubleKind, decimalKind:
			return own
		case numberKind:
			return converted
		}
	case Bool:
		if t.kind == boolKind {
			return own
		}
	case String:
		return t.fitString()
	case Array:
		if t.kind == listKind {
			return own
		}
	case Object:
		if t.IsObject() {
			return own
		}
	case Text:
		switch {
		case t.IsScalar():
			return own
		case t.kind != unsupportedKind:
			return converted
		}
	}
	return no
}

// fitString tells how well a JSON string fits.
func (t *Type) fitString() int {
	switch t.kind {
	case stringKind:
		return own
	case charKind, enumKind, binaryKind, uuidKind, localeKind, decimalKind, bigIntKind, boolKind, dateKind, sqlDateKind,
		localDateKind, localTimeKind, localDateTimeKind, temporalKind:
		return converted
	case wholeKind:
		if t.bits == 64 {
			return converted
		}
	}
	return no
}
