package route

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Predicate names one thing that a route asks of a request.
type Predicate string

// The predicates, in the order in which a request is held against them by Explain.
const (
	Host   Predicate = "host"
	Path   Predicate = "path"
	Method Predicate = "method"
	Header Predicate = "header"
	Query  Predicate = "query"
	Cookie Predicate = "cookie"
)

// Candidate is one route, and how a request fares with it.
type Candidate[T any] struct {
	Value T
	// Failed is the first predicate that does not hold; "" when all do.
	Failed Predicate
	// Name is that of the header, the query parameter or the cookie that failed.
	Name string
	// Wanted and Seen are for people. Of a failed host or path what the route wants is the table's owner's to tell.
	Wanted, Seen string
	// Behind is why a route whose predicates all hold did not win.
	Behind string

	leaf  *leaf[T]
	place place
}

// Explain holds req against every route of the table and returns the best most of them: the one that Match finds is the
// first, then come others that hold, by rank, then those that were close. won is false when no route holds. It goes
// through the whole table, so it is for people's questions; it leaves req as it was.
func (t *Table[T]) Explain(req *protocol.Request, most int) (best []Candidate[T], won bool) {
	mark := len(req.Params)
	w := walk[T]{search: newSearch(req), most: most, steps: make([]step, 0, 32)}
	host := string(hostOf(make([]byte, 0, 255), req.Authority))
	w.host = host
	for name, root := range t.exact {
		w.root(root, place{host: name, hostFits: name == host})
	}
	for i := range t.wildcard {
		x := &t.wildcard[i]
		w.root(x.root, place{host: "*" + x.suffix, root: 1 + i, hostFits: len(host) > len(x.suffix) && strings.HasSuffix(host, x.suffix)})
	}
	w.root(t.any, place{root: 1 + len(t.wildcard), hostFits: true})
	req.Params = req.Params[:mark]
	won = len(w.best) > 0 && w.best[0].Failed == ""
	for i := range w.best {
		c := &w.best[i]
		w.tell(c)
		if c.Failed == "" && i > 0 {
			c.Behind = w.best[0].before(c)
		}
	}
	return w.best, won
}

// place is where a route stands in the table, seen from a request.
type place struct {
	host     string // "" is any
	root     int    // rank of the host: exact names, wildcards by length, any
	hostFits bool
	steps    []step // of the pattern
	depth    int    // steps that fit
	fits     bool   // the whole pattern does
	rest     string // of the path, behind what fits
	end      bool   // nothing is, not even a slash
	rank     int    // in the order of the search: hosts, then below each of them
}

// step is one segment of a pattern.
type step struct {
	kind kind
	text string
}

// walk goes through the tree as a search does, and on where a search would turn back.
type walk[T any] struct {
	search
	host  string
	most  int
	steps []step // room for those of place
	place place  // of the node that is looked at
	count int    // of leaves seen
	best  []Candidate[T]
}

func (w *walk[T]) root(n *node[T], p place) {
	p.fits = strings.HasPrefix(w.req.Path, "/")
	p.rest = strings.TrimPrefix(w.req.Path, "/")
	p.steps = w.steps[:0]
	w.place = p
	w.node(n, p.rest, false)
}

// node mirrors node.find: children and leaves come in the same order, and only the fitting ones' order matters.
func (w *walk[T]) node(n *node[T], path string, end bool) {
	fits := w.place.fits
	seg, tail, last := path, "", true
	if i := strings.IndexByte(path, '/'); i >= 0 {
		seg, tail, last = path[:i], path[i+1:], false
	}
	w.leaves(n.leaves, fits && end)
	next := fits && !end
	if child := n.literals[seg]; child != nil && next {
		w.step(child, step{literal, seg}, true, tail, last)
	}
	for text, child := range n.literals {
		if !next || text != seg {
			w.step(child, step{literal, text}, false, path, end)
		}
	}
	mark := len(w.req.Params)
	for i := range n.patterns {
		c := &n.patterns[i]
		ok := next && seg != "" && c.seg.capture(w.req, seg)
		w.req.Params = w.req.Params[:mark]
		if ok {
			w.step(c.next, step{c.seg.kind, c.seg.text}, true, tail, last)
		} else {
			w.step(c.next, step{c.seg.kind, c.seg.text}, false, path, end)
		}
	}
	if n.single != nil {
		if next && seg != "" {
			w.step(n.single, step{single, "*"}, true, tail, last)
		} else {
			w.step(n.single, step{single, "*"}, false, path, end)
		}
	}
	if len(n.leavesRest) > 0 {
		w.place.steps = append(w.place.steps, step{rest, "**"})
		w.leaves(n.leavesRest, fits)
		w.place.steps = w.place.steps[:len(w.place.steps)-1]
	}
}

// step goes down to a child. path is what is left behind the segment if that fits, else what did not.
func (w *walk[T]) step(child *node[T], s step, fits bool, path string, end bool) {
	before := w.place
	w.place.steps = append(w.place.steps, s)
	if fits {
		w.place.depth++
		w.place.rest, w.place.end = path, end
	}
	w.place.fits = fits
	w.node(child, path, end)
	w.place = before
}

func (w *walk[T]) leaves(leaves []*leaf[T], fits bool) {
	for _, l := range leaves {
		c := Candidate[T]{Value: l.value, leaf: l, place: w.place}
		c.place.fits = fits
		c.place.rank = w.count
		w.count++
		switch {
		case !c.place.hostFits:
			c.Failed = Host
		case !fits:
			c.Failed = Path
		default:
			c.Failed, c.Name, c.Wanted, c.Seen = l.conditions.explain(&w.search)
		}
		w.keep(&c)
	}
}

// keep puts c among the best. A route of several hosts stands there once, where it fares best.
func (w *walk[T]) keep(c *Candidate[T]) {
	if len(w.best) == w.most && (w.most == 0 || compare(c, &w.best[w.most-1]) >= 0) {
		return
	}
	if i := slices.IndexFunc(w.best, func(o Candidate[T]) bool { return o.leaf == c.leaf }); i >= 0 {
		if compare(c, &w.best[i]) >= 0 {
			return
		}
		w.best = slices.Delete(w.best, i, i+1)
	}
	c.place.steps = slices.Clone(c.place.steps)
	i, _ := slices.BinarySearchFunc(w.best, *c, func(a, b Candidate[T]) int { return compare(&a, &b) })
	w.best = slices.Insert(w.best, i, *c)
	if len(w.best) > w.most {
		w.best = w.best[:w.most]
	}
}

// closeness is how far a route was from being the one: 4 holds, 3 wants something else but host and path, 2 another host,
// 1 another path, 0 both.
func (c *Candidate[T]) closeness() int {
	switch {
	case c.Failed == "":
		return 4
	case c.place.fits && c.place.hostFits:
		return 3
	case c.place.fits:
		return 2
	case c.place.hostFits:
		return 1
	}
	return 0
}

func compare[T any](a, b *Candidate[T]) int {
	near := a.closeness()
	if d := cmp.Compare(b.closeness(), near); d != 0 {
		return d
	}
	if near >= 3 {
		return cmp.Compare(a.place.rank, b.place.rank)
	}
	return cmp.Or(cmp.Compare(b.place.depth, a.place.depth), cmp.Compare(a.leaf.order, b.leaf.order), cmp.Compare(a.place.host, b.place.host))
}
