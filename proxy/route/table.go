package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// Entry is one route of a table.
type Entry[T any] struct {
	Match config.Match
	// Preflight lets CORS preflights through whatever Match.Methods says, for routes that answer them.
	Preflight bool
	// Value is what Match returns.
	Value T
}

// Table is a set of compiled routes. It never changes after it is built.
type Table[T any] struct {
	exact    map[string]*node[T]
	wildcard []wildcardHost[T] // longest suffix first
	any      *node[T]
}

type wildcardHost[T any] struct {
	suffix string // ".example.com"
	root   *node[T]
}

// Builder collects entries.
type Builder[T any] struct {
	table Table[T]
	order int
}

// NewBuilder returns an empty Builder.
func NewBuilder[T any]() *Builder[T] {
	return &Builder[T]{table: Table[T]{exact: map[string]*node[T]{}, any: &node[T]{}}}
}

// Add compiles one entry. An error leaves the builder as it was, so one bad route does not spoil the others; it begins
// with the place within the match.
func (b *Builder[T]) Add(e Entry[T]) error {
	p, err := ParsePattern(e.Match.Path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	c, err := compileConditions(&e.Match)
	if err != nil {
		return err
	}
	c.preflight = e.Preflight
	for i, h := range e.Match.Hosts {
		if err := CheckHost(h); err != nil {
			return fmt.Errorf("hosts[%d]: %w", i, err)
		}
	}
	l := &leaf[T]{value: e.Value, conditions: c, order: b.order}
	for _, s := range p.segments {
		l.names = append(l.names, s.names...)
	}
	b.order++
	if len(e.Match.Hosts) == 0 {
		b.table.any.insert(p.segments, l)
		return nil
	}
	for _, h := range e.Match.Hosts {
		b.root(strings.ToLower(h)).insert(p.segments, l)
	}
	return nil
}

func (b *Builder[T]) root(host string) *node[T] {
	t := &b.table
	if host == "*" {
		return t.any
	}
	suffix, ok := strings.CutPrefix(host, "*")
	if !ok {
		if t.exact[host] == nil {
			t.exact[host] = &node[T]{}
		}
		return t.exact[host]
	}
	for _, w := range t.wildcard {
		if w.suffix == suffix {
			return w.root
		}
	}
	w := wildcardHost[T]{suffix, &node[T]{}}
	i, _ := slices.BinarySearchFunc(t.wildcard, w, func(a, b wildcardHost[T]) int {
		if len(a.suffix) != len(b.suffix) {
			return len(b.suffix) - len(a.suffix)
		}
		return strings.Compare(a.suffix, b.suffix)
	})
	t.wildcard = slices.Insert(t.wildcard, i, w)
	return w.root
}

// Table returns the finished table; the builder must not be used afterwards.
func (b *Builder[T]) Table() *Table[T] { return &b.table }

// CheckHost says what is wrong with a host of a route: a name, an address, or "*.name".
func CheckHost(h string) error {
	name := strings.TrimPrefix(h, "*.")
	switch {
	case h == "*":
		return nil
	case name == "":
		return errors.New("a host is a name or *.name")
	case strings.Contains(name, "*"):
		return fmt.Errorf(`%q: "*" may stand only for whole labels at the start, as in *.example.com`, h)
	case strings.ContainsAny(name, "/ @?#\t"), strings.HasPrefix(name, "."), strings.HasSuffix(name, "."):
		return fmt.Errorf("%q is not a host name", h)
	case strings.Contains(name, ":") && !strings.HasPrefix(name, "["):
		return fmt.Errorf("%q: write the host without its port", h)
	}
	return nil
}

// Match finds the route of req and sets req.Params. When there is none, allow lists the methods that would have matched,
// for 405, or is empty.
func (t *Table[T]) Match(req *protocol.Request) (value T, ok bool, allow string) {
	s := newSearch(req)
	req.Params = req.Params[:0]
	if l := t.find(&s); l != nil {
		for i := range req.Params {
			req.Params[i].Name = l.names[i]
		}
		return l.value, true, ""
	}
	req.Params = req.Params[:0]
	if len(s.allow.methods) > 0 {
		allow = s.allow.String()
	}
	return value, false, allow
}

func (t *Table[T]) find(s *search) *leaf[T] {
	path := s.req.Path
	if len(path) == 0 || path[0] != '/' {
		return nil // "*" of OPTIONS
	}
	path = path[1:]
	if len(t.exact) > 0 || len(t.wildcard) > 0 {
		var space [255]byte
		host := hostOf(space[:0], s.req.Authority)
		if root := t.exact[string(host)]; root != nil {
			if l := root.find(s, path, false); l != nil {
				return l
			}
			s.req.Params = s.req.Params[:0]
		}
		for i := range t.wildcard {
			w := &t.wildcard[i]
			if len(host) <= len(w.suffix) || string(host[len(host)-len(w.suffix):]) != w.suffix {
				continue
			}
			if l := w.root.find(s, path, false); l != nil {
				return l
			}
			s.req.Params = s.req.Params[:0]
		}
	}
	return t.any.find(s, path, false)
}

// hostOf appends the lower-case host of an authority to buf, without port and final dot. Longer ones than buf's room
// match nothing: no name has more than 255 bytes (RFC 1035 section 2.3.4).
func hostOf(buf []byte, authority string) []byte {
	host := authority
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > cap(buf) {
		return nil
	}
	for i := 0; i < len(host); i++ {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf = append(buf, c)
	}
	return buf
}
