package types

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// fromNumber appends a JSON number. whole tells that it has neither fraction nor exponent.
func (e *Encoder) fromNumber(dst []byte, t *Type, text []byte, whole bool) ([]byte, error) {
	switch t.kind {
	case wholeKind:
		if !whole {
			return dst, t.refuse(" without fraction or exponent", describeNumber(text))
		}
		return t.appendWhole(dst, text, describeNumber)
	case floatKind, doubleKind:
		return t.appendFloat(dst, text, describeNumber)
	case opaqueKind, numberKind:
		return t.appendAny(dst, text, whole)
	case decimalKind:
		return e.appendDecimal(dst, t, text), nil
	case bigIntKind:
		if !whole {
			return dst, t.refuse(" without fraction or exponent", describeNumber(text))
		}
		return hessian.AppendString(dst, text), nil
	case dateKind, sqlDateKind, temporalKind:
		if whole {
			return e.fromMillis(dst, t, text, describeNumber)
		}
	case stringKind:
		if e.opts.StringsFromScalars {
			return hessian.AppendString(dst, text), nil
		}
	}
	return dst, t.mismatch(describeNumber(text))
}

// fromString appends a JSON string, unescaped.
func (e *Encoder) fromString(dst []byte, t *Type, text []byte) ([]byte, error) {
	switch t.kind {
	case stringKind, opaqueKind:
		return hessian.AppendString(dst, text), nil
	case wholeKind:
		if t.bits == 64 && isWhole(text) { // beyond 2^53 JavaScript can hold it only so
			return t.appendWhole(dst, text, describeString)
		}
	case boolKind:
		switch string(text) {
		case "true":
			return hessian.AppendBool(dst, true), nil
		case "false":
			return hessian.AppendBool(dst, false), nil
		}
	case charKind:
		return t.appendChar(dst, text)
	case enumKind:
		if _, ok := t.enums[string(text)]; ok {
			if t.exact {
				return e.classes.AppendEnum(dst, t.erased, text), nil
			}
			return hessian.AppendString(dst, text), nil
		}
	case decimalKind:
		if isNumber(text) {
			return e.appendDecimal(dst, t, text), nil
		}
	case bigIntKind:
		if isWhole(text) {
			return hessian.AppendString(dst, text), nil
		}
	case binaryKind:
		out, err := hessian.AppendBase64(dst, text)
		if err != nil {
			return out, t.mismatch(describeString(text))
		}
		return out, nil
	case dateKind, sqlDateKind, localDateKind, localTimeKind, localDateTimeKind, temporalKind:
		return e.fromTime(dst, t, text)
	case uuidKind:
		return e.appendUUID(dst, t, text)
	case localeKind:
		return e.appendLocale(dst, t, text)
	}
	return dst, t.mismatch(describeString(text))
}

// appendWhole appends digits with an optional sign, after a check of the range.
func (t *Type) appendWhole(dst, text []byte, got func([]byte) string) ([]byte, error) {
	v, ok := parseInt(text)
	if limit := int64(1) << (t.bits - 1); !ok || t.bits < 64 && (v < -limit || v >= limit) {
		return dst, t.refuse(t.span(), got(text))
	}
	if t.bits == 64 {
		return hessian.AppendLong(dst, v), nil
	}
	return hessian.AppendInt(dst, int32(v)), nil
}

// span tells the range of a whole number.
func (t *Type) span() string {
	low := int64(math.MinInt64) >> (64 - t.bits)
	return " from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(^low, 10)
}

// parseInt reads digits with an optional sign; ok is false when they do not fit 64 bits.
func parseInt(text []byte) (v int64, ok bool) {
	negative := text[0] == '-'
	if negative || text[0] == '+' {
		text = text[1:]
	}
	u := uint64(0)
	for _, c := range text {
		if u > (1<<63)/10 {
			return 0, false
		}
		if u = u*10 + uint64(c-'0'); u > 1<<63 {
			return 0, false
		}
	}
	if negative {
		return -int64(u), true
	}
	return int64(u), u < 1<<63
}

// isWhole tells whether text is digits with an optional minus.
func isWhole(text []byte) bool {
	if len(text) > 0 && text[0] == '-' {
		text = text[1:]
	}
	for _, c := range text {
		if c-'0' > 9 {
			return false
		}
	}
	return len(text) > 0
}

// isNumber tells whether text is a number as JSON writes it.
func isNumber(text []byte) bool {
	s := scanner{src: text}
	_, _, err := s.number()
	return err == nil && s.pos == len(text)
}

// appendFloat appends a number as a double. One that a float or double could hold only as infinity is refused.
func (t *Type) appendFloat(dst, text []byte, got func([]byte) string) ([]byte, error) {
	v, err := parseFloat(text)
	if err != nil || t.kind == floatKind && math.IsInf(float64(float32(v)), 0) {
		return dst, t.refuse(" in its range", got(text))
	}
	return hessian.AppendDouble(dst, v), nil
}

func parseFloat(text []byte) (float64, error) {
	return strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
}

// appendAny appends a number whose type nobody declared: the smallest of int, long and double that keeps it, and the
// digits as a string if a whole number is too large for a long.
func (t *Type) appendAny(dst, text []byte, whole bool) ([]byte, error) {
	if !whole {
		v, err := parseFloat(text)
		if err != nil {
			return dst, t.refuse(" in the range of a double", describeNumber(text))
		}
		return hessian.AppendDouble(dst, v), nil
	}
	v, ok := parseInt(text)
	switch {
	case !ok && t.kind == numberKind:
		return dst, t.refuse(" in the range of a long", describeNumber(text))
	case !ok:
		return hessian.AppendString(dst, text), nil
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return hessian.AppendInt(dst, int32(v)), nil
	}
	return hessian.AppendLong(dst, v), nil
}

// appendDecimal appends a BigDecimal by its text, which keeps the scale.
func (e *Encoder) appendDecimal(dst []byte, t *Type, text []byte) []byte {
	if t.exact {
		dst = e.classes.AppendObject(dst, hessian.DecimalHandle)
	}
	return hessian.AppendString(dst, text)
}

// appendChar appends a char, which is one UTF-16 unit.
func (t *Type) appendChar(dst, text []byte) ([]byte, error) {
	r, size := utf8.DecodeRune(text)
	if len(text) == 0 || size != len(text) || r > 0xffff {
		return dst, t.mismatch(describeString(text))
	}
	return hessian.AppendString(dst, text), nil
}

// appendUUID appends a UUID as the object that hessian-lite has for it: providers cannot make one from a string or a map.
func (e *Encoder) appendUUID(dst []byte, t *Type, text []byte) ([]byte, error) {
	for i, c := range text {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if _, digit := hexDigit(c); digit == hyphen || hyphen && c != '-' {
			return dst, t.mismatch(describeString(text))
		}
	}
	if len(text) != 36 {
		return dst, t.mismatch(describeString(text))
	}
	return hessian.AppendString(e.classes.AppendObject(dst, hessian.UUIDHandle), text), nil
}

// appendLocale appends a locale, en-GB or en_GB, as the object that hessian-lite has for it.
func (e *Encoder) appendLocale(dst []byte, t *Type, text []byte) ([]byte, error) {
	var java [32]byte
	if len(text) < 2 || len(text) > len(java) {
		return dst, t.mismatch(describeString(text))
	}
	for i, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '#':
			java[i] = c
		case c == '-':
			java[i] = '_'
		default:
			return dst, t.mismatch(describeString(text))
		}
	}
	return hessian.AppendString(e.classes.AppendObject(dst, hessian.LocaleHandle), java[:len(text)]), nil
}
