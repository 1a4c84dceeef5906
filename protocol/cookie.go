package protocol

import "strings"

// Cookie returns a cookie (RFC 6265 section 4.2), without the quotes around it.
func (h *Header) Cookie(name string) (string, bool) {
	for i := range h.Len() {
		f := h.At(i)
		if f.ID() != NameCookie {
			continue
		}
		for rest := f.Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || key != name {
				continue
			}
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return value, true
		}
	}
	return "", false
}

// QueryValue returns the first value of a query parameter, decoded.
func (r *Request) QueryValue(name string) (string, bool) {
	for rest := r.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if QueryUnescape(&r.Arena, key) == name {
			return QueryUnescape(&r.Arena, value), true
		}
	}
	return "", false
}
