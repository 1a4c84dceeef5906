package hessian

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
)

// AppendNull appends null.
func AppendNull(dst []byte) []byte { return append(dst, 'N') }

// AppendBool appends a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 'T')
	}
	return append(dst, 'F')
}

// AppendInt appends a 32-bit integer in its shortest form. Java's byte, short and int all travel as this.
func AppendInt(dst []byte, v int32) []byte {
	switch {
	case v >= -0x10 && v <= 0x2f:
		return append(dst, byte(0x90+v))
	case v >= -0x800 && v <= 0x7ff:
		return append(dst, byte(0xc8+v>>8), byte(v))
	case v >= -0x40000 && v <= 0x3ffff:
		return append(dst, byte(0xd4+v>>16), byte(v>>8), byte(v))
	default:
		return binary.BigEndian.AppendUint32(append(dst, 'I'), uint32(v))
	}
}

// AppendLong appends a 64-bit integer in its shortest form.
func AppendLong(dst []byte, v int64) []byte {
	switch {
	case v >= -0x08 && v <= 0x0f:
		return append(dst, byte(0xe0+v))
	case v >= -0x800 && v <= 0x7ff:
		return append(dst, byte(0xf8+v>>8), byte(v))
	case v >= -0x40000 && v <= 0x3ffff:
		return append(dst, byte(0x3c+v>>16), byte(v>>8), byte(v))
	case v >= math.MinInt32 && v <= math.MaxInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0x59), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 'L'), uint64(v))
	}
}

// AppendDouble appends a floating-point number. Whole numbers of up to 16 bits take a short form, all others eight bytes:
// the form of thousandths (0x5f) is left out, because a reader multiplies by 0.001 and need not get the same bits back.
func AppendDouble(dst []byte, v float64) []byte {
	if v >= math.MinInt16 && v <= math.MaxInt16 {
		if i := int32(v); float64(i) == v && !(i == 0 && math.Signbit(v)) {
			switch {
			case i == 0:
				return append(dst, 0x5b)
			case i == 1:
				return append(dst, 0x5c)
			case i >= -0x80 && i < 0x80:
				return append(dst, 0x5d, byte(i))
			default:
				return append(dst, 0x5e, byte(i>>8), byte(i))
			}
		}
	}
	return binary.BigEndian.AppendUint64(append(dst, 'D'), math.Float64bits(v))
}

// AppendDate appends a moment, in milliseconds since 1970-01-01T00:00:00Z. The form of minutes (0x4b) saves four bytes for
// a date that has no seconds, but readers disagree on its sign extension, so it is left out.
func AppendDate(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0x4a), uint64(ms))
}

// maxBinaryChunk is the most bytes that one chunk can declare.
const maxBinaryChunk = 0xffff

// AppendBinary appends bytes, in chunks if they are many.
func AppendBinary(dst, v []byte) []byte {
	for len(v) > maxBinaryChunk {
		dst = append(dst, 'A', 0xff, 0xff)
		dst = append(dst, v[:maxBinaryChunk]...)
		v = v[maxBinaryChunk:]
	}
	return append(appendBinaryHead(dst, len(v)), v...)
}

// appendBinaryHead appends the head of the last chunk.
func appendBinaryHead(dst []byte, n int) []byte {
	switch {
	case n <= 0x0f:
		return append(dst, byte(0x20+n))
	case n <= 0x3ff:
		return append(dst, byte(0x34+n>>8), byte(n))
	default:
		return append(dst, 'B', byte(n>>8), byte(n))
	}
}

// AppendBase64 appends bytes that are given in base64 of either alphabet, with or without padding (RFC 4648 sections 4 and
// 5). They are decoded straight into their chunks.
func AppendBase64(dst, text []byte) ([]byte, error) {
	encoding := base64.RawStdEncoding
	for i, c := range text {
		switch c {
		case '-', '_':
			encoding = base64.RawURLEncoding
		case '\n', '\r': // the base64 package would pass over them
			return dst, base64.CorruptInputError(i)
		}
	}
	if len(text)%4 == 0 {
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("=")), []byte("="))
	}
	encoding = encoding.Strict()
	const full = maxBinaryChunk / 3 * 4 // a chunk's size is a multiple of three, so no group of four characters is parted
	for len(text) > full {
		var err error
		dst, err = encoding.AppendDecode(append(dst, 'A', 0xff, 0xff), text[:full])
		if err != nil {
			return dst, err
		}
		text = text[full:]
	}
	return encoding.AppendDecode(appendBinaryHead(dst, encoding.DecodedLen(len(text))), text)
}
