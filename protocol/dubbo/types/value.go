package types

import "github.com/sluice-gateway/sluice/protocol/dubbo/hessian"

// value reads one JSON value and appends it as type t.
func (e *Encoder) value(dst []byte, t *Type) ([]byte, error) {
	switch c := e.space(); c {
	case '"':
		text, err := e.str()
		if err != nil {
			return dst, err
		}
		return e.fromString(dst, t, text)
	case '{':
		switch t.kind {
		case beanKind:
			return e.bean(dst, t)
		case mapKind:
			return e.mapping(dst, t)
		case opaqueKind:
			return e.untypedObject(dst, t)
		}
	case '[':
		switch t.kind {
		case listKind:
			return e.list(dst, t)
		case opaqueKind:
			return e.list(dst, untyped)
		}
	case 'n':
		if err := e.word("null"); err != nil {
			return dst, err
		}
		return e.AppendNull(dst, t)
	case 't', 'f':
		start, word := e.pos, "true"
		if c == 'f' {
			word = "false"
		}
		if err := e.word(word); err != nil {
			return dst, err
		}
		return e.fromBool(dst, t, c == 't', e.src[start:e.pos])
	default:
		text, whole, err := e.number()
		if err != nil {
			return dst, err
		}
		return e.fromNumber(dst, t, text, whole)
	}
	return dst, e.wrong(t.expected)
}

// fromBool appends a JSON true or false.
func (e *Encoder) fromBool(dst []byte, t *Type, v bool, text []byte) ([]byte, error) {
	switch t.kind {
	case boolKind, opaqueKind:
		return hessian.AppendBool(dst, v), nil
	case stringKind:
		if e.opts.StringsFromScalars {
			return hessian.AppendString(dst, text), nil
		}
	}
	return dst, t.mismatch(string(text))
}

// list reads an array.
func (e *Encoder) list(dst []byte, t *Type) ([]byte, error) {
	if err := e.open(); err != nil {
		return dst, err
	}
	dst, mark := hessian.AppendListStart(dst)
	for n := 0; ; n++ {
		more, err := e.element(n == 0)
		if err != nil {
			return dst, err
		}
		if !more {
			hessian.PatchListLength(dst, mark, n)
			return dst, nil
		}
		if dst, err = e.value(dst, t.elem); err != nil {
			return dst, within(err, index(n))
		}
	}
}

// mapping reads an object whose keys are data.
func (e *Encoder) mapping(dst []byte, t *Type) ([]byte, error) {
	if err := e.open(); err != nil {
		return dst, err
	}
	dst = append(dst, t.start...)
	mark := e.keys.mark()
	for first := true; ; first = false {
		key, at, more, err := e.member(first)
		if err != nil {
			return dst, err
		}
		if !more {
			e.keys.release(mark)
			return hessian.AppendMapEnd(dst), nil
		}
		if dst, err = e.mapKey(dst, t.key, key, at, mark); err != nil {
			return dst, err
		}
		if dst, err = e.value(dst, t.elem); err != nil {
			return dst, within(err, e.step(at))
		}
	}
}

// mapKey appends the key of a map, which JSON can only give as a string, in its own type.
func (e *Encoder) mapKey(dst []byte, t *Type, key []byte, at, mark int) ([]byte, error) {
	if string(key) == "class" {
		return dst, e.forbidden(at)
	}
	start := len(dst)
	dst, err := e.plain(dst, t, key)
	if err != nil {
		return dst, within(err, e.step(at))
	}
	if !e.keys.add(mark, dst, start) {
		return dst, &ArgumentError{Path: "$" + e.step(at), Expected: onlyOnce, Got: "it twice"}
	}
	return dst, nil
}

// forbidden is the error for the key "class".
func (e *Encoder) forbidden(at int) error {
	return &ArgumentError{Path: "$" + e.step(at), Expected: `no key "class"`, Got: `the key "class"`}
}

// untypedObject reads an object of which only its JSON is known.
func (e *Encoder) untypedObject(dst []byte, t *Type) ([]byte, error) {
	if err := e.open(); err != nil {
		return dst, err
	}
	dst = append(hessian.AppendMapStart(dst), t.class...)
	mark := e.keys.mark()
	for first := true; ; first = false {
		key, at, more, err := e.member(first)
		if err != nil {
			return dst, err
		}
		if !more {
			e.keys.release(mark)
			return hessian.AppendMapEnd(dst), nil
		}
		if dst, err = e.mapKey(dst, textType, key, at, mark); err != nil {
			return dst, err
		}
		if dst, err = e.value(dst, object); err != nil {
			return dst, within(err, e.step(at))
		}
	}
}

// bean reads an object whose keys are properties.
func (e *Encoder) bean(dst []byte, t *Type) ([]byte, error) {
	if err := e.open(); err != nil {
		return dst, err
	}
	dst = append(hessian.AppendMapStart(dst), t.class...)
	var seen [4]uint64 // by property; a bean with more of them uses keys
	mark := e.keys.mark()
	for first := true; ; first = false {
		key, at, more, err := e.member(first)
		if err != nil {
			return dst, err
		}
		if !more {
			e.keys.release(mark)
			return hessian.AppendMapEnd(dst), nil
		}
		p := t.props[string(key)]
		if p == nil {
			if err := e.unknown(t, key, at); err != nil {
				return dst, err
			}
			continue
		}
		start := len(dst)
		dst = append(dst, p.key...)
		var again bool
		if word := p.index / 64; word < len(seen) {
			bit := uint64(1) << (p.index % 64)
			again = seen[word]&bit != 0
			seen[word] |= bit
		} else {
			again = !e.keys.add(mark, dst, start)
		}
		if again {
			return dst, &ArgumentError{Path: "$" + e.step(at), Expected: onlyOnce, Got: "it twice"}
		}
		if dst, err = e.value(dst, p.typ); err != nil {
			return dst, within(err, e.step(at))
		}
	}
}

// unknown deals with a member that the bean has no property for; its value is next.
func (e *Encoder) unknown(t *Type, key []byte, at int) error {
	if string(key) == "class" {
		return e.forbidden(at)
	}
	if e.opts.Unknown == RejectUnknown {
		return &ArgumentError{Path: "$" + e.step(at), Expected: "a property of " + t.name, Got: "an unknown property"}
	}
	if err := e.skip(); err != nil {
		return within(err, e.step(at))
	}
	return nil
}
