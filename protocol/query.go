package protocol

import (
	"strings"
	"unsafe"
)

// QueryUnescape decodes a name or value of a query string: "+" is a blank, %XX a byte. An escape that is not one stays as
// it is, as browsers and servlets have it. The result is s itself when there is nothing to decode, and otherwise lives in
// the arena.
func QueryUnescape(a *Arena, s string) string { return unescape(a, s, true) }

// PathUnescape decodes a capture of a path: %XX is a byte, and "+" is itself.
func PathUnescape(a *Arena, s string) string { return unescape(a, s, false) }

func unescape(a *Arena, s string, plus bool) string {
	if strings.IndexByte(s, '%') < 0 && (!plus || strings.IndexByte(s, '+') < 0) {
		return s
	}
	out := a.Take(len(s))[:0]
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && ishex(s[i+1]) && ishex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case c == '+' && plus:
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return unsafe.String(unsafe.SliceData(out), len(out))
}

func ishex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
