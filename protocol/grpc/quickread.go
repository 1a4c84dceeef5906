package grpc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// errRefused says that not even the slow way can read a field: the message is wrong, and it is for the slow way to say how.
var errRefused = errors.New("refused")

// maxQuickDepth is how deep messages nest on the quick way.
const maxQuickDepth = 32

// quickReader turns JSON into the wire format without building messages. Whatever it is not sure of is errSlow.
type quickReader struct {
	text    []byte
	at      int
	options protojson.UnmarshalOptions
}

// read appends the message that all of text is.
func (r *quickReader) read(dst, text []byte, q *plan) ([]byte, error) {
	r.text, r.at = text, 0
	dst, err := r.message(dst, q, 0)
	if err != nil {
		return nil, err
	}
	if r.skipBlank(); r.at != len(text) {
		return nil, errSlow
	}
	return dst, nil
}

func (r *quickReader) skipBlank() {
	for r.at < len(r.text) && isBlank(r.text[r.at]) {
		r.at++
	}
}

// peek is the next character that is no blank, 0 at the end.
func (r *quickReader) peek() byte {
	r.skipBlank()
	if r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// take takes one character if it comes next.
func (r *quickReader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

// message appends the fields of an object.
func (r *quickReader) message(dst []byte, q *plan, depth int) ([]byte, error) {
	if q.slow || depth > maxQuickDepth || !r.take('{') {
		return nil, errSlow
	}
	var seen, oneofs fieldSet
	if r.take('}') {
		return dst, nil
	}
	for {
		name, ok := r.str()
		if !ok || !r.take(':') {
			return nil, errSlow
		}
		f := q.byName[unsafe.String(unsafe.SliceData(name), len(name))]
		if f == nil || !seen.add(f.index) {
			return nil, errSlow
		}
		begin, was := r.at, len(dst)
		out, err := r.field(dst, f, &oneofs, depth)
		if errors.Is(err, errSlow) {
			r.at = begin
			if out, err = r.slowField(dst[:was], q, f, &oneofs); err != nil {
				return nil, err
			}
		} else if err != nil {
			return nil, err
		}
		dst = out
		switch r.peek() {
		case ',':
			r.at++
		case '}':
			r.at++
			return dst, nil
		default:
			return nil, errSlow
		}
	}
}

// field appends a field. With errSlow it is for slowField to say.
func (r *quickReader) field(dst []byte, f *planField, oneofs *fieldSet, depth int) ([]byte, error) {
	if f.complex {
		return nil, errSlow
	}
	if r.peek() == 'n' {
		return dst, r.word("null")
	}
	if f.oneof > 0 && !oneofs.add(f.oneof-1) {
		return nil, errRefused
	}
	if !f.list {
		return r.value(dst, f, depth, f.implicit, true)
	}
	if !r.take('[') {
		return nil, errSlow
	}
	if r.take(']') {
		return dst, nil
	}
	at := len(dst)
	if f.packed {
		dst = protowire.AppendTag(dst, f.number, protowire.BytesType)
		at = len(dst)
	}
	for {
		var err error
		if dst, err = r.value(dst, f, depth, false, !f.packed); err != nil {
			return nil, err
		}
		switch r.peek() {
		case ',':
			r.at++
		case ']':
			r.at++
			if f.packed {
				dst = insertLength(dst, at)
			}
			return dst, nil
		default:
			return nil, errSlow
		}
	}
}

// insertLength puts the length of what stands behind at before it.
func insertLength(dst []byte, at int) []byte {
	n := len(dst) - at
	size := protowire.SizeVarint(uint64(n))
	for range size {
		dst = append(dst, 0)
	}
	copy(dst[at+size:], dst[at:at+n])
	protowire.AppendVarint(dst[:at], uint64(n))
	return dst
}

// slowField takes a field's value through a dynamic message.
func (r *quickReader) slowField(dst []byte, q *plan, f *planField, oneofs *fieldSet) ([]byte, error) {
	begin := r.at
	if !r.skipValue() {
		return nil, errRefused
	}
	m := q.alone()
	if r.options.Unmarshal(wrapped(f.desc, r.text[begin:r.at]), m) != nil {
		return nil, errRefused
	}
	if f.oneof > 0 && m.Has(f.desc) && f.complex && !oneofs.add(f.oneof-1) {
		return nil, errRefused
	}
	out, err := proto.MarshalOptions{AllowPartial: true}.MarshalAppend(dst, m)
	if err != nil {
		return nil, errRefused
	}
	return out, nil
}

// skipValue steps over a value. That it is well formed is for its reader to see; its end is where brackets and quotes say.
func (r *quickReader) skipValue() bool {
	var v values
	v.held, v.limit = r.text[r.at:], len(r.text)+1
	before := len(v.held)
	value, ok, err := v.next(true)
	if !ok || err != nil {
		return false
	}
	r.at += before - len(v.held)
	return len(value) > 0
}

func (r *quickReader) word(w string) error {
	if len(r.text)-r.at < len(w) || string(r.text[r.at:r.at+len(w)]) != w {
		return errSlow
	}
	r.at += len(w)
	return nil
}

// str takes a text without escapes.
func (r *quickReader) str() ([]byte, bool) {
	if !r.take('"') {
		return nil, false
	}
	ascii := true
	for i := r.at; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			s := r.text[r.at:i]
			r.at = i + 1
			return s, ascii || utf8.Valid(s)
		case c == '\\' || c < 0x20:
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, false
}

// number takes the characters of a number, with quotes around them or not.
func (r *quickReader) number() ([]byte, bool) {
	quoted := r.take('"')
	start := r.at
	for r.at < len(r.text) {
		c := r.text[r.at]
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			break
		}
		r.at++
	}
	n := r.text[start:r.at]
	if quoted && (r.at == len(r.text) || r.text[r.at] != '"') {
		return nil, false
	}
	if quoted {
		r.at++
	}
	return n, plainNumber(n)
}

// plainNumber refuses what strconv takes for a number and JSON does not (RFC 8259 section 6).
func plainNumber(n []byte) bool {
	if len(n) > 0 && n[0] == '-' {
		n = n[1:]
	}
	if len(n) == 0 || n[0] < '0' || n[0] > '9' || n[0] == '0' && len(n) > 1 && n[1] != '.' {
		return false
	}
	if i := bytes.IndexByte(n, '.'); i >= 0 && (i+1 == len(n) || n[i+1] < '0' || n[i+1] > '9') {
		return false
	}
	return n[len(n)-1] >= '0' && n[len(n)-1] <= '9'
}

// value appends one value, with its tag if tagged is true, or nothing if it is zero and implicit is true.
func (r *quickReader) value(dst []byte, f *planField, depth int, implicit, tagged bool) ([]byte, error) {
	start := len(dst)
	if tagged {
		dst = protowire.AppendTag(dst, f.number, wireType(f.kind))
	}
	zero := false
	switch f.kind {
	case protoreflect.MessageKind:
		at := len(dst)
		dst, err := r.message(dst, f.message, depth+1)
		if err != nil {
			return nil, err
		}
		return insertLength(dst, at), nil
	case protoreflect.StringKind:
		s, ok := r.str()
		if !ok {
			return nil, errSlow
		}
		dst, zero = protowire.AppendBytes(dst, s), len(s) == 0
	case protoreflect.BytesKind:
		s, ok := r.str()
		if !ok || len(s)%4 != 0 {
			return nil, errSlow
		}
		at := len(dst)
		var err error
		if dst, err = base64.StdEncoding.Strict().AppendDecode(dst, s); err != nil {
			return nil, errSlow
		}
		zero = len(dst) == at
		dst = insertLength(dst, at)
	case protoreflect.BoolKind:
		v := r.peek() == 't'
		word := "false"
		if v {
			word = "true"
		}
		if err := r.word(word); err != nil {
			return nil, err
		}
		dst, zero = protowire.AppendVarint(dst, protowire.EncodeBool(v)), !v
	case protoreflect.EnumKind:
		if r.peek() != '"' {
			return nil, errSlow
		}
		s, ok := r.str()
		if !ok {
			return nil, errSlow
		}
		v, ok := f.names[unsafe.String(unsafe.SliceData(s), len(s))]
		if !ok {
			return nil, errSlow
		}
		dst, zero = protowire.AppendVarint(dst, uint64(int64(v))), v == 0
	default:
		n, ok := r.number()
		if !ok {
			return nil, errSlow
		}
		var err error
		if dst, zero, err = appendNumber(dst, f.kind, unsafe.String(unsafe.SliceData(n), len(n))); err != nil {
			return nil, errSlow
		}
	}
	if zero && implicit {
		return dst[:start], nil
	}
	return dst, nil
}

// appendNumber appends a number of a kind.
func appendNumber(dst []byte, kind protoreflect.Kind, text string) (out []byte, zero bool, err error) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		switch kind {
		case protoreflect.Sfixed32Kind:
			dst = protowire.AppendFixed32(dst, uint32(n))
		case protoreflect.Sint32Kind:
			dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(n))
		default:
			dst = protowire.AppendVarint(dst, uint64(n))
		}
		return dst, n == 0, err
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		switch kind {
		case protoreflect.Sfixed64Kind:
			dst = protowire.AppendFixed64(dst, uint64(n))
		case protoreflect.Sint64Kind:
			dst = protowire.AppendVarint(dst, protowire.EncodeZigZag(n))
		default:
			dst = protowire.AppendVarint(dst, uint64(n))
		}
		return dst, n == 0, err
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		if kind == protoreflect.Fixed32Kind {
			return protowire.AppendFixed32(dst, uint32(n)), n == 0, err
		}
		return protowire.AppendVarint(dst, n), n == 0, err
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		if kind == protoreflect.Fixed64Kind {
			return protowire.AppendFixed64(dst, n), n == 0, err
		}
		return protowire.AppendVarint(dst, n), n == 0, err
	case protoreflect.FloatKind:
		x, err := strconv.ParseFloat(text, 32)
		bits := math.Float32bits(float32(x))
		return protowire.AppendFixed32(dst, bits), bits == 0, err
	}
	x, err := strconv.ParseFloat(text, 64)
	bits := math.Float64bits(x)
	return protowire.AppendFixed64(dst, bits), bits == 0, err
}
