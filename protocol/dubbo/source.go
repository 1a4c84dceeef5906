package dubbo

import (
	"net/url"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Where the text of an argument comes from.

// pathValue returns a capture of the route's path, decoded.
func pathValue(req *protocol.Request, name string) (string, bool) {
	v, ok := req.Param(name)
	if !ok {
		return "", false
	}
	return decode(v, false), true
}

// queryValues calls f for each value of a query parameter, or of all of them if name is empty, until f returns false.
func queryValues(rawQuery, name string, f func(name, value string) bool) {
	for rawQuery != "" {
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key = decode(key, true)
		if name != "" && key != name {
			continue
		}
		if !f(key, decode(value, true)) {
			return
		}
	}
}

// queryValue returns the first value of a query parameter.
func queryValue(rawQuery, name string) (value string, found bool) {
	queryValues(rawQuery, name, func(_, v string) bool {
		value, found = v, true
		return false
	})
	return value, found
}

// decode undoes percent-encoding, and in a query the plus sign. Text that is not well encoded is taken as it stands.
func decode(s string, query bool) string {
	switch {
	case query && strings.ContainsAny(s, "%+"):
		if d, err := url.QueryUnescape(s); err == nil {
			return d
		}
	case !query && strings.Contains(s, "%"):
		if d, err := url.PathUnescape(s); err == nil {
			return d
		}
	}
	return s
}
