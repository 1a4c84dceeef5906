package route

import (
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// node is one place in the tree of segments. Children are tried in the order of kind, and the search comes back when what
// it found below does not hold; a node is visited at most once a request, so the search is bounded by the table.
type node[T any] struct {
	literals map[string]*node[T]
	// patterns are mixed and regex children, most specific first.
	patterns []patternChild[T]
	single   *node[T]
	// leaves are the routes that end here, leavesRest those that end here by **, best first.
	leaves, leavesRest []*leaf[T]
}

type patternChild[T any] struct {
	seg  segment
	next *node[T]
}

// leaf is one route at the end of its pattern.
type leaf[T any] struct {
	value      T
	names      []string
	conditions conditions
	order      int
}

func (n *node[T]) insert(segments []segment, l *leaf[T]) {
	if len(segments) == 0 {
		n.leaves = insertLeaf(n.leaves, l)
		return
	}
	seg := segments[0]
	switch seg.kind {
	case literal:
		if n.literals == nil {
			n.literals = map[string]*node[T]{}
		}
		child := n.literals[seg.text]
		if child == nil {
			child = &node[T]{}
			n.literals[seg.text] = child
		}
		child.insert(segments[1:], l)
	case single:
		if n.single == nil {
			n.single = &node[T]{}
		}
		n.single.insert(segments[1:], l)
	case rest:
		n.leavesRest = insertLeaf(n.leavesRest, l)
	default:
		n.pattern(seg).insert(segments[1:], l)
	}
}

// pattern finds or makes the child of a mixed or regex segment.
func (n *node[T]) pattern(seg segment) *node[T] {
	for _, c := range n.patterns {
		if c.seg.text == seg.text {
			return c.next
		}
	}
	next := &node[T]{}
	i, _ := slices.BinarySearchFunc(n.patterns, seg, func(c patternChild[T], s segment) int {
		// More text around the captures is more specific; among equals, the earlier in the document.
		switch {
		case c.seg.kind != s.kind:
			return int(c.seg.kind) - int(s.kind)
		case c.seg.fixed() >= s.fixed():
			return -1
		}
		return 1
	})
	n.patterns = slices.Insert(n.patterns, i, patternChild[T]{seg, next})
	return next
}

// fixed counts the bytes of text around captures.
func (s *segment) fixed() int {
	if s.re == nil {
		return len(s.prefix) + len(s.suffix)
	}
	return len(s.text) - strings.Count(s.text, "{")*3
}

func insertLeaf[T any](leaves []*leaf[T], l *leaf[T]) []*leaf[T] {
	i, _ := slices.BinarySearchFunc(leaves, l, func(have, l *leaf[T]) int {
		if have.conditions.count() != l.conditions.count() {
			return l.conditions.count() - have.conditions.count()
		}
		return have.order - l.order
	})
	return slices.Insert(leaves, i, l)
}

// search is one look-up under way.
type search struct {
	req       *protocol.Request
	method    string
	preflight bool
	allow     methodSet // methods that would have matched
}

func newSearch(req *protocol.Request) search {
	s := search{req: req, method: req.Method}
	if req.Method == "OPTIONS" && req.Header.Value(protocol.NameOrigin) != "" {
		s.preflight = req.Header.Get("Access-Control-Request-Method") != ""
	}
	return s
}

// find looks below n for path, which begins after the slash that led here; end is true when nothing follows, not even a
// slash.
func (n *node[T]) find(s *search, path string, end bool) *leaf[T] {
	if end {
		if l := pick(s, n.leaves); l != nil {
			return l
		}
		return n.findRest(s, len(s.req.Path))
	}
	seg, tail, last := path, "", true
	if i := strings.IndexByte(path, '/'); i >= 0 {
		seg, tail, last = path[:i], path[i+1:], false
	}
	if child := n.literals[seg]; child != nil {
		if l := child.find(s, tail, last); l != nil {
			return l
		}
	}
	if seg != "" {
		if l := n.findCapture(s, seg, tail, last); l != nil {
			return l
		}
	}
	return n.findRest(s, len(s.req.Path)-len(path)-1)
}

func (n *node[T]) findCapture(s *search, seg, tail string, last bool) *leaf[T] {
	mark := len(s.req.Params)
	for i := range n.patterns {
		if !n.patterns[i].seg.capture(s.req, seg) {
			continue
		}
		if l := n.patterns[i].next.find(s, tail, last); l != nil {
			return l
		}
		s.req.Params = s.req.Params[:mark]
	}
	if n.single != nil {
		s.req.Params = append(s.req.Params, protocol.Param{Value: seg})
		if l := n.single.find(s, tail, last); l != nil {
			return l
		}
		s.req.Params = s.req.Params[:mark]
	}
	return nil
}

// findRest takes everything from the slash at index start of the path on, or nothing when the path ends there.
func (n *node[T]) findRest(s *search, start int) *leaf[T] {
	l := pick(s, n.leavesRest)
	if l != nil {
		s.req.Params = append(s.req.Params, protocol.Param{Value: s.req.Path[start:]})
	}
	return l
}

// capture matches a mixed or regex segment and appends what it captured.
func (s *segment) capture(req *protocol.Request, text string) bool {
	if s.re == nil {
		if len(text) <= len(s.prefix)+len(s.suffix) || !strings.HasPrefix(text, s.prefix) || !strings.HasSuffix(text, s.suffix) {
			return false
		}
		req.Params = append(req.Params, protocol.Param{Value: text[len(s.prefix) : len(text)-len(s.suffix)]})
		return true
	}
	if s.kind == regex {
		if !s.re.MatchString(text) {
			return false
		}
		req.Params = append(req.Params, protocol.Param{Value: text})
		return true
	}
	at := s.re.FindStringSubmatchIndex(text) // allocates; only for several captures in one segment
	if at == nil {
		return false
	}
	for i := range s.names {
		req.Params = append(req.Params, protocol.Param{Value: text[at[2+2*i]:at[3+2*i]]})
	}
	return true
}

// pick returns the first leaf whose conditions hold, and notes the methods of those that fail by method alone.
func pick[T any](s *search, leaves []*leaf[T]) *leaf[T] {
	for _, l := range leaves {
		c := &l.conditions
		if !c.holds(s.req) {
			continue
		}
		if c.allows(s) {
			return l
		}
		s.allow.add(c.methods)
	}
	return nil
}
