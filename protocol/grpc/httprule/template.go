// Package httprule holds the path templates of google.api.http (google/api/http.proto): it parses them and finds the one that
// a request's path means.
package httprule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Template is a parsed path template:
//
//	Template  = "/" Segments [ Verb ] ;
//	Segments  = Segment { "/" Segment } ;
//	Segment   = "*" | "**" | LITERAL | Variable ;
//	Variable  = "{" FieldPath [ "=" Segments ] "}" ;
//	FieldPath = IDENT { "." IDENT } ;
//	Verb      = ":" LITERAL ;
type Template struct {
	// Text is what was parsed.
	Text string
	// Variables in their order.
	Variables []Variable

	segments []string // "*", "**", or a literal in normal form
	verb     string
}

// Variable is a part of the path that is a field's value.
type Variable struct {
	// Path names the field, "shelf.name".
	Path string
	// first and last segment it covers, both within; last is open if the template ends with "**".
	first, last int
	// several is true if it can hold more than one segment: an encoded slash stays encoded then.
	several bool
}

const (
	anySegment  = "*"
	anySegments = "**"
	// maxSegments bounds what a template of a stranger can cost.
	maxSegments = 64
)

// Parse reads a template.
func Parse(text string) (*Template, error) {
	t := &Template{Text: text}
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, fmt.Errorf("%q does not begin with a slash", text)
	}
	if rest == "" {
		return t, nil // the root: not in the grammar, but what people write means one thing
	}
	// A verb follows the last slash and the last brace.
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexAny(rest, "/}") || i > 0 && rest[i-1] == '}' {
		verb, err := literal(rest[i+1:])
		if err != nil {
			return nil, fmt.Errorf("%q: verb: %w", text, err)
		}
		t.verb, rest = verb, rest[:i]
	}
	for more := true; more; {
		var err error
		if rest, more, err = t.segment(rest); err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
	}
	if len(t.segments) > maxSegments {
		return nil, fmt.Errorf("%q: more than %d segments", text, maxSegments)
	}
	for i, s := range t.segments {
		if s == anySegments && i != len(t.segments)-1 {
			return nil, fmt.Errorf("%q: ** is not the last segment", text)
		}
	}
	return t, nil
}

// segment takes one segment, or a variable with all of its, off the front.
func (t *Template) segment(s string) (rest string, more bool, err error) {
	if !strings.HasPrefix(s, "{") {
		one, rest, more := strings.Cut(s, "/")
		return rest, more, t.plain(one)
	}
	inner, rest, ok := strings.Cut(s[1:], "}")
	if !ok {
		return "", false, errors.New("a brace is not closed")
	}
	if rest != "" {
		if rest, more = strings.CutPrefix(rest, "/"); !more {
			return "", false, errors.New("text follows a variable in its segment")
		}
	}
	name, pattern, given := strings.Cut(inner, "=")
	if !given {
		pattern = anySegment
	}
	if !fieldPath(name) {
		return "", false, fmt.Errorf("%q is no path of fields", name)
	}
	for _, v := range t.Variables {
		if v.Path == name {
			return "", false, fmt.Errorf("%q is named twice", name)
		}
	}
	v := Variable{Path: name, first: len(t.segments)}
	for one := range strings.SplitSeq(pattern, "/") {
		if err := t.plain(one); err != nil {
			return "", false, err
		}
	}
	v.last = len(t.segments) - 1
	v.several = v.last > v.first || t.segments[v.last] == anySegments
	t.Variables = append(t.Variables, v)
	return rest, more, nil
}

// plain adds a segment that is no variable.
func (t *Template) plain(s string) error {
	if s != anySegment && s != anySegments {
		var err error
		if s, err = literal(s); err != nil {
			return err
		}
	}
	t.segments = append(t.segments, s)
	return nil
}

// literal checks a literal and brings it into the form that requests' paths have.
func literal(s string) (string, error) {
	if s == "" {
		return "", errors.New("a segment is empty")
	}
	if strings.ContainsAny(s, "{}=*/") {
		return "", fmt.Errorf("%q is no literal", s)
	}
	var a protocol.Arena // not reset, so what it made stays
	n, err := protocol.NormalizePath(&a, "/"+s)
	if err != nil || n == "/" {
		return "", fmt.Errorf("%q cannot stand in a path", s)
	}
	return strings.Clone(n[1:]), nil
}

func fieldPath(s string) bool {
	for name := range strings.SplitSeq(s, ".") {
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			return false
		}
		for i := 0; i < len(name); i++ {
			c := name[i] | 0x20
			if c == '_' || name[i] == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				continue
			}
			return false
		}
	}
	return true
}

// OpenAPI writes the template as OpenAPI has paths, where a parameter is within one segment: a variable of several segments
// becomes their literals and a parameter for each other one. variables says which variable each parameter belongs to; -1 is none.
func (t *Template) OpenAPI() (path string, params []string, variables []int) {
	var b strings.Builder
	for i, s := range t.segments {
		b.WriteByte('/')
		if s != anySegment && s != anySegments {
			b.WriteString(s)
			continue
		}
		name, of := "segment", -1
		for k, v := range t.Variables {
			if i >= v.first && i <= v.last {
				name, of = v.Path, k
			}
		}
		for base, n := name, 2; slices.Contains(params, name); n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		params, variables = append(params, name), append(variables, of)
		b.WriteString("{" + name + "}")
	}
	if b.Len() == 0 {
		b.WriteByte('/')
	}
	if t.verb != "" {
		b.WriteString(":" + t.verb)
	}
	return b.String(), params, variables
}
