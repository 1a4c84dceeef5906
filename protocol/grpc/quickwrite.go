package grpc

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
)

// errSlow says that a message must go the slow way.
var errSlow = errors.New("not plain")

// quick appends an encoded message as JSON without building it. With errSlow the slow way must judge.
func (w *writer) quick(dst, wire []byte, q *plan, depth int) ([]byte, error) {
	if q.slow || w.options.Unset || depth > maxDepth {
		return nil, errSlow
	}
	var seen, oneofs fieldSet
	dst = append(dst, '{')
	start := len(dst)
	for len(wire) > 0 {
		number, typ, n := protowire.ConsumeTag(wire)
		if n < 0 || number > protowire.MaxValidNumber {
			return nil, errSlow
		}
		f := q.field(number)
		if f == nil {
			m := protowire.ConsumeFieldValue(number, typ, wire[n:])
			if m < 0 {
				return nil, errSlow
			}
			wire = wire[n+m:]
			continue
		}
		// Parts of a field that do not stand together, and values that replace others, are merged the slow way.
		if !seen.add(f.index) || f.oneof > 0 && !oneofs.add(f.oneof-1) {
			return nil, errSlow
		}
		before := len(dst)
		if before > start {
			dst = append(dst, ',')
		}
		if w.options.ProtoNames {
			dst = append(dst, f.protoKey...)
		} else {
			dst = append(dst, f.key...)
		}
		var empty bool
		var err error
		if dst, wire, empty, err = w.quickField(dst, wire, q, f, depth); err != nil {
			return nil, err
		}
		if empty {
			dst = dst[:before]
		}
	}
	return append(dst, '}'), nil
}

// quickField appends the value of a field, whose parts begin wire. empty is true if it is the same as none.
func (w *writer) quickField(dst, wire []byte, q *plan, f *planField, depth int) (out, rest []byte, empty bool, err error) {
	if f.complex {
		return w.slowField(dst, wire, q, f, depth)
	}
	if !f.list {
		_, typ, tag := protowire.ConsumeTag(wire)
		at, n := len(dst), 0
		if dst, n, err = w.quickValue(dst, wire[tag:], typ, f, depth); err != nil {
			return nil, nil, false, err
		}
		return dst, wire[tag+n:], f.implicit && isZeroJSON(dst[at:], f), nil
	}
	dst = append(dst, '[')
	first := len(dst)
	for len(wire) > 0 {
		number, typ, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return nil, nil, false, errSlow
		}
		if number != f.number {
			break
		}
		wire = wire[n:]
		packed := []byte(nil)
		if typ == protowire.BytesType && isNumeric(f.kind) {
			if packed, n = protowire.ConsumeBytes(wire); n < 0 {
				return nil, nil, false, errSlow
			}
			wire, typ = wire[n:], wireType(f.kind)
		}
		for from := &packed; ; {
			if packed == nil {
				from = &wire
			} else if len(packed) == 0 {
				break
			}
			if len(dst) > first {
				dst = append(dst, ',')
			}
			if dst, n, err = w.quickValue(dst, *from, typ, f, depth); err != nil {
				return nil, nil, false, err
			}
			*from = (*from)[n:]
			if from == &wire {
				break
			}
		}
	}
	empty = len(dst) == first
	return append(dst, ']'), wire, empty, nil
}

// slowField takes the parts of a field through a dynamic message.
func (w *writer) slowField(dst, wire []byte, q *plan, f *planField, depth int) (out, rest []byte, empty bool, err error) {
	end := 0
	for end < len(wire) {
		number, typ, n := protowire.ConsumeTag(wire[end:])
		if n < 0 {
			return nil, nil, false, errSlow
		}
		if number != f.number {
			break
		}
		m := protowire.ConsumeFieldValue(number, typ, wire[end+n:])
		if m < 0 {
			return nil, nil, false, errSlow
		}
		end += n + m
	}
	m := q.alone()
	if (proto.UnmarshalOptions{AllowPartial: true, Resolver: w.types}).Unmarshal(wire[:end], m) != nil {
		return nil, nil, false, errSlow
	}
	if !m.Has(f.desc) {
		return dst, wire[end:], true, nil
	}
	if dst, err = w.field(dst, f.desc, m.Get(f.desc), depth); err != nil {
		return nil, nil, false, errSlow
	}
	return dst, wire[end:], false, nil
}

// isZeroJSON reports whether a value without presence is its type's zero.
func isZeroJSON(text []byte, f *planField) bool {
	switch string(text) {
	case "0", `"0"`:
		return f.kind != protoreflect.StringKind && f.kind != protoreflect.BytesKind
	case `""`, "false":
		return true
	}
	if f.numbers == nil {
		return false
	}
	return string(text) == f.numbers[0]
}

func isNumeric(k protoreflect.Kind) bool {
	return k != protoreflect.StringKind && k != protoreflect.BytesKind && k != protoreflect.MessageKind
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	}
	return protowire.VarintType
}

// quickValue appends the one value that wire begins with, and says how long that is.
func (w *writer) quickValue(dst, wire []byte, typ protowire.Type, f *planField, depth int) ([]byte, int, error) {
	if typ != wireType(f.kind) {
		return nil, 0, errSlow
	}
	switch typ {
	case protowire.BytesType:
		b, n := protowire.ConsumeBytes(wire)
		if n < 0 {
			return nil, 0, errSlow
		}
		switch f.kind {
		case protoreflect.StringKind:
			if !utf8.Valid(b) {
				return nil, 0, errSlow
			}
			return protocol.AppendJSONString(dst, unsafe.String(unsafe.SliceData(b), len(b))), n, nil
		case protoreflect.BytesKind:
			dst = base64.StdEncoding.AppendEncode(append(dst, '"'), b)
			return append(dst, '"'), n, nil
		}
		dst, err := w.quick(dst, b, f.message, depth+1)
		return dst, n, err
	case protowire.Fixed32Type:
		v, n := protowire.ConsumeFixed32(wire)
		if n < 0 {
			return nil, 0, errSlow
		}
		switch f.kind {
		case protoreflect.FloatKind:
			x := math.Float32frombits(v)
			if v == 1<<31 {
				return nil, 0, errSlow // minus zero is no zero
			}
			return appendFloat(dst, float64(x), 32), n, nil
		case protoreflect.Sfixed32Kind:
			return strconv.AppendInt(dst, int64(int32(v)), 10), n, nil
		}
		return strconv.AppendUint(dst, uint64(v), 10), n, nil
	case protowire.Fixed64Type:
		v, n := protowire.ConsumeFixed64(wire)
		if n < 0 {
			return nil, 0, errSlow
		}
		switch f.kind {
		case protoreflect.DoubleKind:
			if v == 1<<63 {
				return nil, 0, errSlow
			}
			return appendFloat(dst, math.Float64frombits(v), 64), n, nil
		case protoreflect.Sfixed64Kind:
			return w.quote(strconv.AppendInt(w.quote(dst), int64(v), 10)), n, nil
		}
		return w.quote(strconv.AppendUint(w.quote(dst), v, 10)), n, nil
	}
	v, n := protowire.ConsumeVarint(wire)
	if n < 0 {
		return nil, 0, errSlow
	}
	return w.quickVarint(dst, v, f), n, nil
}

func (w *writer) quickVarint(dst []byte, v uint64, f *planField) []byte {
	switch f.kind {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v != 0)
	case protoreflect.EnumKind:
		e := protoreflect.EnumNumber(int32(v))
		if name, ok := f.numbers[e]; ok && !w.options.EnumNumbers {
			return append(dst, name...)
		}
		return strconv.AppendInt(dst, int64(e), 10)
	case protoreflect.Int32Kind:
		return strconv.AppendInt(dst, int64(int32(v)), 10)
	case protoreflect.Sint32Kind:
		return strconv.AppendInt(dst, int64(int32(protowire.DecodeZigZag(v&math.MaxUint32))), 10)
	case protoreflect.Uint32Kind:
		return strconv.AppendUint(dst, uint64(uint32(v)), 10)
	case protoreflect.Int64Kind:
		return w.quote(strconv.AppendInt(w.quote(dst), int64(v), 10))
	case protoreflect.Sint64Kind:
		return w.quote(strconv.AppendInt(w.quote(dst), protowire.DecodeZigZag(v), 10))
	}
	return w.quote(strconv.AppendUint(w.quote(dst), v, 10))
}
