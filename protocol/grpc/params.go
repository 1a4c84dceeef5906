package grpc

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
)

// hasText reports whether a message can be written as a plain text, as query parameters and parts of paths are.
func hasText(d protoreflect.MessageDescriptor) bool {
	switch d.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.Value":
		return true
	}
	return isWrapper(d)
}

func isWrapper(d protoreflect.MessageDescriptor) bool {
	return isWellKnown(d.FullName()) && strings.HasSuffix(string(d.Name()), "Value") &&
		d.Name() != "Value" && d.Name() != "ListValue"
}

// setText sets the field that fields lead to from a text. root names the text in errors.
func setText(m protoreflect.Message, fields []protoreflect.FieldDescriptor, text, root string) error {
	last := len(fields) - 1
	for _, fd := range fields[:last] {
		m = m.Mutable(fd).Message()
	}
	fd := fields[last]
	if fd.IsMap() {
		return argumentError(root, "no map", text)
	}
	v, err := textValue(m, fd, text)
	if err != nil {
		return argumentError(root, describe(fd), text)
	}
	if fd.IsList() {
		m.Mutable(fd).List().Append(v)
	} else {
		m.Set(fd, v)
	}
	return nil
}

// textValue reads one value of a field.
func textValue(m protoreflect.Message, fd protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	if fd.Message() == nil {
		return scalar(fd, text)
	}
	if fd.IsList() {
		v = m.Mutable(fd).List().NewElement()
	} else {
		v = m.NewField(fd)
	}
	d := fd.Message()
	switch {
	case isWrapper(d):
		inner := d.Fields().ByNumber(1)
		value, err := scalar(inner, text)
		if err != nil {
			return v, err
		}
		v.Message().Set(inner, value)
		return v, nil
	case hasText(d):
		return v, protojson.Unmarshal(protocol.AppendJSONString(nil, text), v.Message().Interface())
	}
	return v, fmt.Errorf("%s cannot be written as a text", d.FullName())
}

func scalar(fd protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		switch text {
		case "true":
			return protoreflect.ValueOfBool(true), nil
		case "false":
			return protoreflect.ValueOfBool(false), nil
		}
		return v, strconv.ErrSyntax
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), err
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), err
	case protoreflect.FloatKind:
		n, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(n)), err
	case protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(n), err
	case protoreflect.StringKind:
		if s := strings.ToValidUTF8(text, ""); s != text {
			return v, strconv.ErrSyntax
		}
		return protoreflect.ValueOfString(strings.Clone(text)), nil // text may live in the arena only
	case protoreflect.BytesKind:
		b, err := decodeBytes(text)
		return protoreflect.ValueOfBytes(b), err
	case protoreflect.EnumKind:
		if d := fd.Enum().Values().ByName(protoreflect.Name(text)); d != nil {
			return protoreflect.ValueOfEnum(d.Number()), nil
		}
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), err
	}
	return v, strconv.ErrSyntax
}

// decodeBytes reads base64 of either alphabet, padded or not.
func decodeBytes(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding.DecodeString(text)
	}
	return base64.RawStdEncoding.DecodeString(text)
}

// query sets fields from query parameters.
func (b *binding) query(m protoreflect.Message, rawQuery string, a *protocol.Arena, ignoreUnknown bool) error {
	for rest := rawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = protocol.QueryUnescape(a, name), protocol.QueryUnescape(a, value)
		fields, err := fieldsOf(b.input.Descriptor(), name)
		root := "query." + name
		if err == nil && b.taken(fields) {
			return argumentError(root, "nothing: it comes from the path or the body", value)
		}
		if err != nil {
			if ignoreUnknown {
				continue
			}
			return argumentError(root, "a field of "+string(b.input.Descriptor().FullName()), value)
		}
		if last := fields[len(fields)-1]; !last.IsList() && given(m, fields) {
			return argumentError(root, "one value", value)
		}
		if err := setText(m, fields, value, root); err != nil {
			return err
		}
	}
	return nil
}

// given reports whether a field has been set.
func given(m protoreflect.Message, fields []protoreflect.FieldDescriptor) bool {
	for _, fd := range fields {
		if !m.Has(fd) {
			return false
		}
		if fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
			m = m.Get(fd).Message()
		}
	}
	return true
}

// taken reports whether a field's value comes from the path or the body.
func (b *binding) taken(fields []protoreflect.FieldDescriptor) bool {
	if b.body == bodyField && fields[0] == b.field {
		return true
	}
	for _, v := range b.vars {
		if len(v) != len(fields) {
			continue
		}
		same := true
		for i := range v {
			same = same && v[i] == fields[i]
		}
		if same {
			return true
		}
	}
	return false
}

// describe says what a field wants to be.
func describe(fd protoreflect.FieldDescriptor) string {
	if d := fd.Message(); d != nil {
		return string(d.FullName())
	}
	if e := fd.Enum(); e != nil {
		return string(e.FullName())
	}
	return fd.Kind().String()
}

// argumentError is the answer for a value of the wrong shape.
func argumentError(path, expected, got string) *protocol.Error {
	got = shorten(got)
	return &protocol.Error{
		Status: 400, Code: protocol.CodeBadArgument, NotSent: true,
		Message: path + ": expected " + expected + ", got " + got,
		Details: []protocol.Detail{{Name: "path", Value: path}, {Name: "expected", Value: expected}, {Name: "value", Value: got}},
	}
}

// shorten keeps what a person needs to recognise a value.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
