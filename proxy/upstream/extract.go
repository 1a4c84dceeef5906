package upstream

import (
	"fmt"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Extract is a text that a route takes from each request, "{header.X-User}", or that is the same for all.
type Extract struct {
	from byte // what of the request: h, c, q, p or a; 0 for a constant
	name string
}

// ParseExtract reads "{header.NAME}", "{cookie.NAME}", "{query.NAME}", "{path.NAME}" or "{client}"; everything else is a
// constant.
func ParseExtract(text string) (Extract, error) {
	inner, ok := strings.CutPrefix(text, "{")
	if !ok {
		return Extract{name: text}, nil
	}
	inner, ok = strings.CutSuffix(inner, "}")
	source, name, _ := strings.Cut(inner, ".")
	if ok && source == "client" && name == "" {
		return Extract{from: 'a'}, nil
	}
	from := map[string]byte{"header": 'h', "cookie": 'c', "query": 'q', "path": 'p'}[source]
	if !ok || from == 0 || name == "" || strings.ContainsAny(name, "{}") {
		return Extract{}, fmt.Errorf("%q is none of {header.NAME}, {cookie.NAME}, {query.NAME}, {path.NAME}, {client}, or a text without braces", text)
	}
	return Extract{from: from, name: name}, nil
}

// constant reports whether it is the same for all requests.
func (e *Extract) constant() bool { return e.from == 0 }

// of is the request's text; false when the request does not have it. It is valid until the exchange ends.
func (e *Extract) of(req *protocol.Request) (string, bool) {
	switch e.from {
	case 'h':
		return req.Header.Lookup(e.name)
	case 'c':
		return req.Header.Cookie(e.name)
	case 'q':
		return req.QueryValue(e.name)
	case 'p':
		v, ok := req.Param(e.name)
		return protocol.PathUnescape(&req.Arena, v), ok
	case 'a':
		b := req.Client.AppendTo(req.Arena.Take(64)[:0])
		return string(b), req.Client.IsValid()
	}
	return e.name, true
}
