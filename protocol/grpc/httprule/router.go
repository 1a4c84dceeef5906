package httprule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// AnyMethod stands for every HTTP method in Router.Add.
const AnyMethod = "*"

// Router finds the template that a path matches. A literal is preferred to "*", and "*" to "**", from the first segment on;
// a verb is preferred to the same text as a part of the last segment. Add is not safe to call while Match is.
type Router[T any] struct {
	root  node[T]
	count int
}

type node[T any] struct {
	literals map[string]*node[T]
	star     *node[T]
	ends     []end[T] // templates that end here
	deep     []end[T] // templates that end here with "**"
}

type end[T any] struct {
	verb, method string
	template     *Template
	value        T
}

// Capture is the value of a variable, decoded.
type Capture struct {
	Path, Value string
}

// Add registers a template. The same template and method can be registered once.
func (r *Router[T]) Add(method string, t *Template, value T) error {
	n := &r.root
	list := &n.ends
	for _, s := range t.segments {
		if s == anySegments {
			list = &n.deep
			break
		}
		n = n.child(s)
		list = &n.ends
	}
	for _, e := range *list {
		if e.verb == t.verb && e.method == method {
			return fmt.Errorf("%s %s means the same as %s", method, t.Text, e.template.Text)
		}
	}
	*list = append(*list, end[T]{verb: t.verb, method: method, template: t, value: value})
	r.count++
	return nil
}

func (n *node[T]) child(s string) *node[T] {
	if s == anySegment {
		if n.star == nil {
			n.star = new(node[T])
		}
		return n.star
	}
	c := n.literals[s]
	if c == nil {
		if n.literals == nil {
			n.literals = map[string]*node[T]{}
		}
		c = new(node[T])
		n.literals[s] = c
	}
	return c
}

// Len counts the templates.
func (r *Router[T]) Len() int { return r.count }

// Match finds the template of a path in normal form (protocol.NormalizePath) and appends what its variables captured to
// dst; decoded text lives in the arena. If only other methods match, allow lists them.
func (r *Router[T]) Match(a *protocol.Arena, method, path string, dst []Capture) (value T, captures []Capture, allow string, ok bool) {
	if path == "" || path[0] != '/' {
		return value, dst, "", false
	}
	m := match[T]{method: method, path: path[1:]}
	colon := strings.LastIndexByte(path, ':')
	if colon > strings.LastIndexByte(path, '/') {
		m.verb, m.path = path[colon+1:], path[1:colon]
		m.walk(&r.root, m.path, path == "/")
		if m.found == nil {
			m.verb, m.path = "", path[1:]
		}
	}
	if m.found == nil {
		m.walk(&r.root, m.path, path == "/")
	}
	if m.found == nil {
		slices.Sort(m.allow)
		return value, dst, strings.Join(slices.Compact(m.allow), ", "), false
	}
	for i := range m.found.template.Variables {
		v := &m.found.template.Variables[i]
		text := m.segments(v)
		if v.several {
			text = decodeSeveral(a, text)
		} else {
			text = protocol.PathUnescape(a, text)
		}
		dst = append(dst, Capture{Path: v.Path, Value: text})
	}
	return m.found.value, dst, "", true
}

// match is one search.
type match[T any] struct {
	method, verb, path string
	found              *end[T]
	allow              []string
}

// walk looks below n for rest. It visits each node once at most, since a node's depth is the number of segments before it.
func (m *match[T]) walk(n *node[T], rest string, done bool) bool {
	if done {
		return m.end(n.ends) || m.end(n.deep)
	}
	segment, after, more := strings.Cut(rest, "/")
	if c := n.literals[segment]; c != nil && m.walk(c, after, !more) {
		return true
	}
	if n.star != nil && segment != "" && m.walk(n.star, after, !more) {
		return true
	}
	return m.end(n.deep)
}

// end looks for the method among the templates that end somewhere.
func (m *match[T]) end(list []end[T]) bool {
	var any *end[T]
	for i := range list {
		e := &list[i]
		switch {
		case e.verb != m.verb:
		case e.method == m.method:
			m.found = e
			return true
		case e.method == AnyMethod:
			any = e
		default:
			m.allow = append(m.allow, e.method)
		}
	}
	m.found = any
	return any != nil
}

// segments cuts out of the path what a variable covers.
func (m *match[T]) segments(v *Variable) string {
	s := m.path
	for range v.first {
		var more bool
		if _, s, more = strings.Cut(s, "/"); !more {
			return "" // "**" that covers nothing
		}
	}
	if v.last == len(m.found.template.segments)-1 {
		return s
	}
	end := 0
	for range v.last - v.first + 1 {
		end += strings.IndexByte(s[end:], '/') + 1
	}
	return s[:end-1]
}

// decodeSeveral decodes all but encoded slashes, which are data of a segment.
func decodeSeveral(a *protocol.Arena, s string) string {
	if !strings.Contains(s, "%2F") {
		return protocol.PathUnescape(a, s)
	}
	var b strings.Builder
	for more := true; more; {
		var part string
		part, s, more = strings.Cut(s, "%2F")
		b.WriteString(protocol.PathUnescape(a, part))
		if more {
			b.WriteString("%2F")
		}
	}
	return b.String()
}
