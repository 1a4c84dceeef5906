package protocol

import (
	"errors"
	"net/netip"
	"strings"
	"unsafe"
)

// The classes of octets in a request's target.
const (
	octetHost  uint8 = 1 << iota // reg-name: RFC 3986 section 3.2.2
	octetPath                    // pchar without "%", and "/": RFC 3986 section 3.3
	octetPlain                   // unreserved: RFC 3986 section 2.3
)

// octets is indexed by octet.
var octets = buildOctets()

func buildOctets() (t [256]uint8) {
	mark := func(class uint8, set string) {
		for i := 0; i < len(set); i++ {
			t[set[i]] |= class
		}
	}
	const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	mark(octetHost, alnum+"-._~!$&'()*+,;=")
	mark(octetPath, alnum+"-._~!$&'()*+,;=:@/")
	mark(octetPlain, alnum+"-._~")
	return t
}

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

var (
	errPathStart  = errors.New("the path does not begin with a slash")
	errPathEscape = errors.New("the path holds an escape that is not valid")
	errPathChar   = errors.New("the path holds a NUL or a backslash")
	errPathDots   = errors.New("the path holds dot segments that could be understood in two ways")
)

// NormalizePath brings a path of visible ASCII into the one form that is matched and forwarded. It fails where two readers
// could see two different paths. The result is path itself or lives in the arena.
//
//   - Dot segments are resolved, also those written with escapes (RFC 3986 section 5.2.4); ".." at the root stays there.
//   - Escapes of unreserved characters are decoded, hex digits of the others become upper case, and characters that may
//     not stand in a path are escaped (section 6.2.2).
//   - An encoded slash stays "%2F": it is data, not a separator. Empty segments stay.
//   - Refused are incomplete escapes, NUL, a backslash in either form, and segments that only some servers take for dot
//     segments: "..;x" and ".." beside an encoded slash.
func NormalizePath(a *Arena, path string) (string, error) {
	if path == "" || path[0] != '/' {
		return "", errPathStart
	}
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
				if !ishex(path[i+1]) || !ishex(path[i+2]) {
					return "", errPathEscape
				}
				c = unhex(path[i+1])<<4 | unhex(path[i+2])
				i += 2
				if c == 0 || c == '\\' {
					return "", errPathChar
				}
				if octets[c]&octetPlain != 0 {
					out = append(out, c)
				} else {
					out = appendEscape(out, c)
				}
			case c == 0 || c == '\\':
				return "", errPathChar
			case octets[c]&octetPath != 0:
				out = append(out, c)
			default:
				out = appendEscape(out, c)
			}
			continue
		}
		segment := view(out[start:])
		switch {
		case segment == ".":
			out = out[:start]
		case segment == "..":
			out = out[:start]
			if len(out) > 1 {
				out = out[:strings.LastIndexByte(view(out[:len(out)-1]), '/')+1]
			}
		case hiddenDots(segment):
			return "", errPathDots
		case i < len(path):
			out = append(out, '/')
		}
		if i >= len(path) {
			return view(out), nil
		}
		start = len(out)
	}
}

// isNormalPath is the fast path: nearly every path is in normal form already.
func isNormalPath(path string) bool {
	prev := byte(0)
	for i := 0; i < len(path); i++ {
		c := path[i]
		if octets[c]&octetPath == 0 || c == '.' && prev == '/' {
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

// ValidAuthority accepts host[:port] with a non-empty host: a name, an IPv4 address or an IPv6 address in brackets. User
// information and escapes are refused.
func ValidAuthority(s string) bool {
	host := 0
	if len(s) > 0 && s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		ip, err := netip.ParseAddr(s[1:end])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return false
		}
		host = end + 1
	} else {
		for host < len(s) && octets[s[host]]&octetHost != 0 {
			host++
		}
	}
	if host == 0 {
		return false
	}
	if host == len(s) {
		return true
	}
	return s[host] == ':' && validPort(s[host+1:])
}

func validPort(s string) bool {
	if len(s) == 0 || len(s) > 5 {
		return false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n > 0 && n <= 65535
}
