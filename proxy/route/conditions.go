package route

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// conditions are what a route asks of a request beside host and path.
type conditions struct {
	methods   []string // sorted; none is any
	preflight bool
	values    []valueCondition
}

type source uint8

const (
	fromHeader source = iota
	fromQuery
	fromCookie
)

// valueCondition is one condition on a header, a query parameter or a cookie.
type valueCondition struct {
	from   source
	name   string
	absent bool
	exact  string
	prefix string
	re     *regexp.Regexp
	any    bool // present, whatever it is
}

func compileConditions(m *config.Match) (conditions, error) {
	c := conditions{}
	for _, method := range m.Methods {
		c.methods = append(c.methods, method)
		if method == "GET" && !slices.Contains(m.Methods, "HEAD") {
			c.methods = append(c.methods, "HEAD")
		}
	}
	slices.Sort(c.methods)
	for _, group := range []struct {
		from source
		word string
		by   map[string]config.ValueMatch
	}{{fromHeader, "headers", m.Headers}, {fromQuery, "query", m.Query}, {fromCookie, "cookies", m.Cookies}} {
		for _, name := range slices.Sorted(maps.Keys(group.by)) {
			v, err := compileValue(group.from, name, group.by[name])
			if err != nil {
				return c, fmt.Errorf("%s.%s: %w", group.word, name, err)
			}
			c.values = append(c.values, v)
		}
	}
	return c, nil
}

func compileValue(from source, name string, m config.ValueMatch) (valueCondition, error) {
	v := valueCondition{from: from, name: name, exact: m.Exact, prefix: m.Prefix}
	if m.Present != nil && !*m.Present {
		v.absent = true
		return v, nil
	}
	if m.Regex != "" {
		re, err := regexp.Compile("^(?:" + m.Regex + ")$")
		if err != nil {
			return v, err
		}
		v.re = re
	}
	v.any = m.Exact == "" && m.Prefix == "" && m.Regex == ""
	return v, nil
}

func (c *conditions) count() int {
	n := len(c.values)
	if len(c.methods) > 0 {
		n++
	}
	return n
}

func (c *conditions) method(m string) bool {
	return len(c.methods) == 0 || slices.Contains(c.methods, m)
}

// allows is method, with what preflights may do.
func (c *conditions) allows(s *search) bool {
	return c.method(s.method) || (s.preflight && c.preflight)
}

func (c *conditions) holds(req *protocol.Request) bool {
	for i := range c.values {
		if !c.values[i].holds(req) {
			return false
		}
	}
	return true
}

// holds reports whether any value of the name satisfies v.
func (v *valueCondition) holds(req *protocol.Request) bool {
	switch v.from {
	case fromHeader:
		return v.header(req)
	case fromQuery:
		return v.query(req)
	}
	return v.cookie(req)
}

func (v *valueCondition) header(req *protocol.Request) bool {
	id := protocol.LookupName(v.name)
	if id == protocol.NameHost {
		return v.value(req.Authority) != v.absent
	}
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		if f.ID() != id || (id == protocol.NameOther && !protocol.EqualFold(f.Name, v.name)) {
			continue
		}
		if v.absent {
			return false
		}
		if v.value(f.Value) {
			return true
		}
	}
	return v.absent
}

func (v *valueCondition) query(req *protocol.Request) bool {
	for rest := req.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		if protocol.QueryUnescape(&req.Arena, name) != v.name {
			continue
		}
		if v.absent {
			return false
		}
		if v.value(protocol.QueryUnescape(&req.Arena, value)) {
			return true
		}
	}
	return v.absent
}

func (v *valueCondition) cookie(req *protocol.Request) bool {
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		if f.ID() != protocol.NameCookie {
			continue
		}
		for rest := f.Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name != v.name {
				continue
			}
			if v.absent {
				return false
			}
			if v.value(strings.Trim(value, `"`)) {
				return true
			}
		}
	}
	return v.absent
}

func (v *valueCondition) value(s string) bool {
	switch {
	case v.absent, v.any:
		return true
	case v.re != nil:
		return v.re.MatchString(s)
	case v.prefix != "":
		return strings.HasPrefix(s, v.prefix)
	}
	return s == v.exact
}

// methodSet collects methods for Allow; it stays on the stack until there is something to say.
type methodSet struct{ methods []string }

func (m *methodSet) add(methods []string) {
	for _, method := range methods {
		if !slices.Contains(m.methods, method) {
			m.methods = append(m.methods, method)
		}
	}
}

func (m *methodSet) String() string {
	slices.Sort(m.methods)
	return strings.Join(m.methods, ", ")
}
