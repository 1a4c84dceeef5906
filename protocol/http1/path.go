package http1

import (
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// NormalizePath brings a path into the one form that is matched and forwarded. It fails where two readers could see two
// different paths. path begins with "/" and holds visible ASCII.
//
//   - Dot segments are resolved, also those written with escapes (RFC 3986 section 5.2.4); ".." at the root stays there.
//   - Escapes of unreserved characters are decoded, hex digits of the others become upper case, and characters that may
//     not stand in a path are escaped (section 6.2.2).
//   - An encoded slash stays "%2F": it is data, not a separator. Empty segments stay.
//   - Refused are incomplete escapes, NUL, a backslash in either form, and segments that only some servers take for dot
//     segments: "..;x" and ".." beside an encoded slash.
func NormalizePath(path string) (string, error) {
	if path == "" || path[0] != '/' {
		return "", errTarget
	}
	var a protocol.Arena
	p, err := normalizePath(&a, path)
	if err != nil {
		return "", err
	}
	return p, nil
}

var (
	errPathEscape = &parseError{text: "the path holds an escape that is not valid"}
	errPathChar   = &parseError{text: "the path holds a NUL or a backslash"}
	errPathDots   = &parseError{text: "the path holds dot segments that could be understood in two ways"}
)

func normalizePath(a *protocol.Arena, path string) (string, *parseError) {
	if isNormalPath(path) {
		return path, nil
	}
	// Each octet becomes at most three.
	out := a.Take(3 * len(path))[:0]
	out = append(out, '/')
	start := len(out) // of the current segment
	for i := 1; ; i++ {
		if i < len(path) && path[i] != '/' {
			c := path[i]
			switch {
			case c == '%':
				if i+2 >= len(path) {
					return "", errPathEscape
				}
				hi, ok1 := unhex(path[i+1])
				lo, ok2 := unhex(path[i+2])
				if !ok1 || !ok2 {
					return "", errPathEscape
				}
				i += 2
				if c = hi<<4 | lo; c == 0 || c == '\\' {
					return "", errPathChar
				}
				if classes[c]&classPlain != 0 {
					out = append(out, c)
				} else {
					out = appendEscape(out, c)
				}
			case c == '\\':
				return "", errPathChar
			case classes[c]&classPath != 0:
				out = append(out, c)
			default:
				out = appendEscape(out, c)
			}
			continue
		}
		segment := text(out[start:])
		switch {
		case segment == ".":
			out = out[:start]
		case segment == "..":
			out = out[:start]
			if len(out) > 1 {
				out = out[:strings.LastIndexByte(text(out[:len(out)-1]), '/')+1]
			}
		case hiddenDots(segment):
			return "", errPathDots
		case i < len(path):
			out = append(out, '/')
		}
		if i >= len(path) {
			return text(out), nil
		}
		start = len(out)
	}
}

// isNormalPath is the fast path: nearly every path is in normal form already.
func isNormalPath(path string) bool {
	prev := byte(0)
	for i := 0; i < len(path); i++ {
		c := path[i]
		if classes[c]&classPath == 0 || c == '.' && prev == '/' {
			return false
		}
		prev = c
	}
	return true
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}

// hiddenDots reports whether a segment would be a dot segment for a server that cuts off parameters, or one that takes an
// encoded slash for a separator.
func hiddenDots(segment string) bool {
	if segment == "" || !strings.Contains(segment, ".") {
		return false
	}
	for more := true; more; {
		var part string
		part, segment, more = strings.Cut(segment, "%2F")
		part, _, _ = strings.Cut(part, ";")
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}
