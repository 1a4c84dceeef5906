package grpc

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
)

// JSON says how messages look as JSON. The zero value is the canonical mapping of protobuf (ProtoJSON): names in camelCase,
// 64-bit integers as strings, enums by name, fields that are not set left out, unknown fields refused.
type JSON struct {
	// ProtoNames writes names as they are in the .proto file. Both are always read.
	ProtoNames bool
	// EnumNumbers writes enums as numbers. Both are always read.
	EnumNumbers bool
	// Int64Numbers writes 64-bit integers as numbers, which JavaScript rounds beyond 2^53. Both are always read.
	Int64Numbers bool
	// Unset writes fields that have no value as well: the default of scalars, [], {}, and null for messages. Fields that know
	// whether they are set (optional, oneof) are left out all the same.
	Unset bool
	// IgnoreUnknown accepts fields and query parameters that the message does not have.
	IgnoreUnknown bool
}

// writer writes messages as JSON, one line each. protojson writes the well-known types, and in its output blanks come and
// go on purpose; this one is stable, appends to what is there, and can write 64-bit integers as numbers.
type writer struct {
	options JSON
	types   resolver
}

// maxDepth bounds how deep messages are nested; protobuf's own decoders have 10,000, JSON parsers much less.
const maxDepth = 100

var errTooDeep = fmt.Errorf("the message is nested deeper than %d levels", maxDepth)

// message appends m.
func (w *writer) message(dst []byte, m protoreflect.Message, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	d := m.Descriptor()
	if isWellKnown(d.FullName()) {
		return w.wellKnown(dst, m)
	}
	dst = append(dst, '{')
	start := len(dst)
	fields := d.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		set := m.Has(fd)
		if !set && (!w.options.Unset || fd.HasPresence() && (fd.Message() == nil || fd.ContainingOneof() != nil)) {
			continue
		}
		dst = w.key(dst, start, w.name(fd))
		var err error
		switch {
		case !set && fd.Message() != nil && !fd.IsList() && !fd.IsMap():
			dst = append(dst, "null"...)
		default:
			if dst, err = w.field(dst, fd, m.Get(fd), depth); err != nil {
				return nil, err
			}
		}
	}
	dst, err := w.extensions(dst, start, m, depth)
	if err != nil {
		return nil, err
	}
	return append(dst, '}'), nil
}

func (w *writer) name(fd protoreflect.FieldDescriptor) string {
	if w.options.ProtoNames {
		return fd.TextName()
	}
	return fd.JSONName()
}

// key appends a comma, if something stands between start and the end, and a key.
func (w *writer) key(dst []byte, start int, name string) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return append(protocol.AppendJSONString(dst, name), ':')
}

// extensions appends the extensions of proto2.
func (w *writer) extensions(dst []byte, start int, m protoreflect.Message, depth int) ([]byte, error) {
	if m.Descriptor().ExtensionRanges().Len() == 0 {
		return dst, nil
	}
	var found []protoreflect.FieldDescriptor
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if fd.IsExtension() {
			found = append(found, fd)
		}
		return true
	})
	slices.SortFunc(found, func(a, b protoreflect.FieldDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	for _, fd := range found {
		dst = w.key(dst, start, "["+string(fd.FullName())+"]")
		var err error
		if dst, err = w.field(dst, fd, m.Get(fd), depth); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// field appends a field's value, of whatever shape.
func (w *writer) field(dst []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) ([]byte, error) {
	var err error
	switch {
	case fd.IsList():
		dst = append(dst, '[')
		list := v.List()
		for i := range list.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = w.single(dst, fd, list.Get(i), depth); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case fd.IsMap():
		dst = append(dst, '{')
		start := len(dst)
		m, keys := v.Map(), sortedKeys(v.Map())
		for _, k := range keys {
			dst = w.key(dst, start, k.String())
			if dst, err = w.single(dst, fd.MapValue(), m.Get(k), depth); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return w.single(dst, fd, v, depth)
}

// sortedKeys lists the keys of a map in order, so that the same message always reads the same.
func sortedKeys(m protoreflect.Map) []protoreflect.MapKey {
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int {
		switch x := a.Interface().(type) {
		case int32:
			return int(int64(x) - int64(b.Interface().(int32)))
		case int64:
			return compare(x, b.Int())
		case uint32, uint64:
			return compare(a.Uint(), b.Uint())
		}
		return strings.Compare(a.String(), b.String())
	})
	return keys
}

func compare[T int64 | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// single appends one value.
func (w *writer) single(dst []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) ([]byte, error) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool()), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return w.quote(strconv.AppendInt(w.quote(dst), v.Int(), 10)), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return w.quote(strconv.AppendUint(w.quote(dst), v.Uint(), 10)), nil
	case protoreflect.FloatKind:
		return appendFloat(dst, v.Float(), 32), nil
	case protoreflect.DoubleKind:
		return appendFloat(dst, v.Float(), 64), nil
	case protoreflect.StringKind:
		return protocol.AppendJSONString(dst, v.String()), nil
	case protoreflect.BytesKind:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"'), nil
	case protoreflect.EnumKind:
		return w.enum(dst, fd.Enum(), v.Enum()), nil
	}
	return w.message(dst, v.Message(), depth+1)
}

func (w *writer) quote(dst []byte) []byte {
	if w.options.Int64Numbers {
		return dst
	}
	return append(dst, '"')
}

// enum writes a name; numbers that have none stay numbers.
func (w *writer) enum(dst []byte, d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) []byte {
	if d.FullName() == "google.protobuf.NullValue" {
		return append(dst, "null"...)
	}
	if !w.options.EnumNumbers {
		if v := d.Values().ByNumber(n); v != nil {
			return protocol.AppendJSONString(dst, string(v.Name()))
		}
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendFloat writes numbers as ECMAScript does, and what JSON has no number for as text.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (bits == 64 && (a < 1e-6 || a >= 1e21) || bits == 32 && (float32(a) < 1e-6 || float32(a) >= 1e21)) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

// isWellKnown says which messages have a JSON form of their own.
func isWellKnown(name protoreflect.FullName) bool {
	short, ok := strings.CutPrefix(string(name), "google.protobuf.")
	if !ok {
		return false
	}
	switch short {
	case "Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Empty",
		"BoolValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue", "StringValue", "BytesValue":
		return true
	}
	return false
}

// wellKnown appends a message that has its own form. Integers within an Any stay strings.
func (w *writer) wellKnown(dst []byte, m protoreflect.Message) ([]byte, error) {
	if name := m.Descriptor().FullName(); w.options.Int64Numbers && (name == "google.protobuf.Int64Value" || name == "google.protobuf.UInt64Value") {
		fd := m.Descriptor().Fields().ByNumber(1)
		return w.single(dst, fd, m.Get(fd), 0)
	}
	options := protojson.MarshalOptions{
		UseProtoNames: w.options.ProtoNames, UseEnumNumbers: w.options.EnumNumbers, EmitUnpopulated: w.options.Unset,
		Resolver: w.types, AllowPartial: true,
	}
	return options.MarshalAppend(dst, m.Interface())
}
