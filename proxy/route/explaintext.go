package route

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// longest is how much of a text of the request or the document an explanation repeats.
const longest = 200

func quote(s string) string {
	if len(s) > longest {
		return strconv.Quote(s[:longest]) + "..."
	}
	return strconv.Quote(s)
}

// explain is holds and method, and says what fails first.
func (c *conditions) explain(s *search) (failed Predicate, name, wanted, seen string) {
	if !c.allows(s) {
		return Method, "", strings.Join(c.methods, ", "), s.method
	}
	for i := range c.values {
		if v := &c.values[i]; !v.holds(s.req) {
			return v.predicate(), v.name, v.wanted(), v.seen(s.req)
		}
	}
	return "", "", "", ""
}

func (v *valueCondition) predicate() Predicate {
	switch v.from {
	case fromHeader:
		return Header
	case fromQuery:
		return Query
	}
	return Cookie
}

// wanted says what satisfies v. What only a holder of a credential should know is not told.
func (v *valueCondition) wanted() string {
	switch {
	case v.absent:
		return "none"
	case v.any:
		return "any"
	case secret(v.name):
		return "a value that is not shown"
	case v.re != nil:
		return "matching " + quote(strings.TrimSuffix(strings.TrimPrefix(v.re.String(), "^(?:"), ")$"))
	case v.prefix != "":
		return "beginning with " + quote(v.prefix)
	}
	return quote(v.exact)
}

// secret reports whether values of this name are likely to be credentials.
func secret(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"auth", "token", "secret", "password", "key", "session", "credential"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// seen lists the values that the request has of v's name.
func (v *valueCondition) seen(req *protocol.Request) string {
	const most = 5
	var out []string
	for value := range v.values(req) {
		if len(out) == most {
			out = append(out, "...")
			break
		}
		out = append(out, quote(value))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// values are those that holds looks at. It has loops of its own, which must not be made to call a function for each.
func (v *valueCondition) values(req *protocol.Request) iter.Seq[string] {
	switch {
	case v.from == fromHeader && protocol.LookupName(v.name) == protocol.NameHost:
		return func(yield func(string) bool) { yield(req.Authority) }
	case v.from == fromQuery:
		return v.queryValues(req)
	}
	return func(yield func(string) bool) {
		for i := range req.Header.Len() {
			f := req.Header.At(i)
			switch {
			case v.from == fromHeader && protocol.EqualFold(f.Name, v.name):
				if !yield(f.Value) {
					return
				}
			case v.from == fromCookie && f.ID() == protocol.NameCookie:
				for pair := range strings.SplitSeq(f.Value, ";") {
					name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
					if name == v.name && !yield(strings.Trim(value, `"`)) {
						return
					}
				}
			}
		}
	}
}

func (v *valueCondition) queryValues(req *protocol.Request) iter.Seq[string] {
	return func(yield func(string) bool) {
		for pair := range strings.SplitSeq(req.RawQuery, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if pair != "" && protocol.QueryUnescape(&req.Arena, name) == v.name && !yield(protocol.QueryUnescape(&req.Arena, value)) {
				return
			}
		}
	}
}

// tell completes a candidate that failed by its host or its path.
func (w *walk[T]) tell(c *Candidate[T]) {
	p := &c.place
	switch c.Failed {
	case Host:
		c.Wanted, c.Seen = p.host, w.host
		if c.Seen == "" {
			c.Seen = "none"
		}
	case Path:
		c.Seen = p.misfit()
	}
}

// misfit says where the path leaves the pattern.
func (p *place) misfit() string {
	at := p.depth + 1
	switch {
	case p.depth == len(p.steps):
		return fmt.Sprintf("goes on with %s after segment %d", quote("/"+p.rest), p.depth)
	case p.end:
		return fmt.Sprintf("ends before segment %d, %s", at, quote(p.steps[p.depth].text))
	}
	seg, _, _ := strings.Cut(p.rest, "/")
	return fmt.Sprintf("segment %d is %s, not %s", at, quote(seg), quote(p.steps[p.depth].text))
}

func kindWord(k kind) string {
	switch k {
	case literal:
		return "text"
	case mixed:
		return "text with captures"
	case regex:
		return "an expression"
	case single:
		return "any segment"
	}
	return "all the rest"
}

// before says why c wins against o, where both hold.
func (c *Candidate[T]) before(o *Candidate[T]) string {
	a, b := &c.place, &o.place
	if a.root != b.root {
		if b.host == "" {
			return "the winner names a host, this one none"
		}
		return fmt.Sprintf("the winner's host %s is more specific than %s", a.host, b.host)
	}
	for i := range max(len(a.steps), len(b.steps)) {
		switch {
		case i >= len(a.steps):
			return "the winner's path ends here, this one's goes on by **"
		case i >= len(b.steps):
			return "this one's path ends here" // only ** can follow, and that loses
		case a.steps[i] == b.steps[i]:
			continue
		case a.steps[i].kind != b.steps[i].kind:
			return fmt.Sprintf("segment %d of the winner's path is %s, of this one's %s", i+1, kindWord(a.steps[i].kind), kindWord(b.steps[i].kind))
		}
		return fmt.Sprintf("segment %d of the winner's path has more text around its captures, or stands earlier", i+1)
	}
	if n, m := c.leaf.conditions.count(), o.leaf.conditions.count(); n != m {
		return fmt.Sprintf("the winner has %d further conditions, this one %d", n, m)
	}
	return "the winner stands earlier in the document"
}
