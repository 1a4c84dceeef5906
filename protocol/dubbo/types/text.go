package types

import (
	"unsafe"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// AppendText appends text from a path, a query, a header or a cookie to dst as hessian2 of type t. Scalars are written
// plainly, as in 2026-01-02 for a date or 1.50 for a decimal; lists, maps and beans are given as JSON. Errors are
// *ArgumentError.
func (e *Encoder) AppendText(dst []byte, t *Type, text string) ([]byte, error) {
	b := unsafe.Slice(unsafe.StringData(text), len(text))
	switch t.kind {
	case listKind, mapKind, beanKind:
		if k := KindOf(b); k != Array && k != Object && k != Null {
			return dst, t.mismatch(describeString(b))
		}
		e.start(b, e.opts.MaxDepth)
		e.keys.release(0)
		out, err := e.value(dst, t)
		if err == nil {
			err = e.end()
		}
		e.src = nil
		return out, err
	}
	e.start(nil, e.opts.MaxDepth)
	return e.plain(dst, t, b)
}

// plain appends a scalar that is given as mere text: what JSON would write without quotes as well as what it would write
// between them.
func (e *Encoder) plain(dst []byte, t *Type, text []byte) ([]byte, error) {
	switch t.kind {
	case wholeKind:
		if !isWhole(text) {
			return dst, t.mismatch(describeString(text))
		}
		return t.appendWhole(dst, text, describeString)
	case floatKind, doubleKind:
		if !isNumber(text) {
			return dst, t.mismatch(describeString(text))
		}
		return t.appendFloat(dst, text, describeString)
	case numberKind:
		if !isNumber(text) {
			return dst, t.mismatch(describeString(text))
		}
		return t.appendAny(dst, text, isWhole(text))
	case dateKind, sqlDateKind, temporalKind:
		if isWhole(text) && t.takesMillis() {
			return e.fromMillis(dst, t, text, describeString)
		}
	case stringKind:
		return hessian.AppendString(dst, text), nil
	case listKind, mapKind, beanKind: // as a map's key
		return dst, t.mismatch(describeString(text))
	}
	return e.fromString(dst, t, text)
}
