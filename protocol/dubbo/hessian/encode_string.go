package hessian

import "unicode/utf8"

// maxStringChunk is the most UTF-16 units that Java peers put into one chunk.
const maxStringChunk = 0x8000

// AppendString appends text, which must be valid UTF-8; bytes that are not are replaced by U+FFFD.
//
// The length in front counts UTF-16 units, so it is known only after the text has been looked at. Most strings are plain
// ASCII, for which both counts agree and the text is copied whole.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	i := 0
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	if i == len(s) && i <= maxStringChunk {
		return append(appendStringHead(dst, i), s...)
	}
	return appendLongString(dst, s)
}

// appendStringHead appends the head of the last chunk.
func appendStringHead(dst []byte, units int) []byte {
	switch {
	case units <= 0x1f:
		return append(dst, byte(units))
	case units <= 0x3ff:
		return append(dst, byte(0x30+units>>8), byte(units))
	default:
		return append(dst, 'S', byte(units>>8), byte(units))
	}
}

func appendLongString[S ~string | ~[]byte](dst []byte, s S) []byte {
	for {
		end, units := chunkEnd(s)
		if end == len(s) {
			return appendUTF16(appendStringHead(dst, units), s)
		}
		dst = append(dst, 'R', byte(units>>8), byte(units))
		dst = appendUTF16(dst, s[:end])
		s = s[end:]
	}
}

// chunkEnd finds how many bytes of s make one chunk, and how many UTF-16 units these are.
func chunkEnd[S ~string | ~[]byte](s S) (end, units int) {
	for end < len(s) {
		if s[end] < utf8.RuneSelf {
			if units == maxStringChunk {
				return end, units
			}
			end, units = end+1, units+1
			continue
		}
		r, size := decodeRune(s[end:])
		n := 1
		if r > 0xffff {
			n = 2
		}
		if units+n > maxStringChunk {
			return end, units
		}
		end, units = end+size, units+n
	}
	return end, units
}

// appendUTF16 appends s in the form that Java reads: each UTF-16 unit encoded by itself.
func appendUTF16[S ~string | ~[]byte](dst []byte, s S) []byte {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			dst = append(dst, s[i])
			i++
			continue
		}
		r, size := decodeRune(s[i:])
		if r > 0xffff {
			r -= 0x10000
			dst = appendUnit(dst, 0xd800+r>>10)
			dst = appendUnit(dst, 0xdc00+r&0x3ff)
		} else {
			dst = utf8.AppendRune(dst, r)
		}
		i += size
	}
	return dst
}

// appendUnit appends one surrogate as three bytes, which utf8.AppendRune rightly refuses to do.
func appendUnit(dst []byte, u rune) []byte {
	return append(dst, 0xe0|byte(u>>12), 0x80|byte(u>>6)&0x3f, 0x80|byte(u)&0x3f)
}

// decodeRune is utf8.DecodeRune for strings and slices alike, without a conversion that would copy.
func decodeRune[S ~string | ~[]byte](s S) (rune, int) {
	var b [utf8.UTFMax]byte
	n := copy(b[:], s)
	return utf8.DecodeRune(b[:n])
}
