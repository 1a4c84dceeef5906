package route

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// kind orders the segments of patterns from the most specific to the least.
type kind uint8

const (
	literal kind = iota
	mixed        // text with captures or * in it
	regex        // {name:expression} alone
	single       // {name} or * alone
	rest         // ** or {*name}
)

// segment is one compiled segment of a pattern.
type segment struct {
	kind kind
	// text is the literal in normal form; for the others the source, by which equal segments are found.
	text string
	// names of the captures, in order; "" for *.
	names []string
	// re matches the whole segment, with one group for each capture. Nil for literal, single and rest, and for mixed
	// segments of one capture, where prefix and suffix do.
	re             *regexp.Regexp
	prefix, suffix string
}

// Pattern is a parsed path pattern.
type Pattern struct {
	source   string
	segments []segment
}

// String is the source.
func (p *Pattern) String() string { return p.source }

// Names lists the captures in the order of the path.
func (p *Pattern) Names() []string {
	var names []string
	for _, s := range p.segments {
		for _, n := range s.names {
			if n != "" {
				names = append(names, n)
			}
		}
	}
	return names
}

// ParsePattern parses a path pattern; see the package comment for its syntax.
func ParsePattern(source string) (*Pattern, error) {
	if !strings.HasPrefix(source, "/") {
		return nil, errors.New(`a path pattern begins with "/"`)
	}
	p := &Pattern{source: source}
	var seen map[string]bool
	parts, err := split(source[1:])
	if err != nil {
		return nil, err
	}
	p.segments = make([]segment, 0, len(parts))
	for i, part := range parts {
		seg, err := parseSegment(part)
		if err != nil {
			return nil, fmt.Errorf("segment %q: %w", part, err)
		}
		if seg.kind == rest && i != len(parts)-1 {
			return nil, fmt.Errorf("%q may stand only at the end", part)
		}
		for _, n := range seg.names {
			if n != "" && seen[n] {
				return nil, fmt.Errorf("capture %q stands twice", n)
			}
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[n] = true
		}
		p.segments = append(p.segments, seg)
	}
	return p, nil
}

// split cuts at slashes outside braces, because an expression may hold one.
func split(s string) ([]string, error) {
	parts := make([]string, 0, strings.Count(s, "/")+1)
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if depth > 0 {
				i++
			}
		case '{':
			depth++
		case '}':
			depth--
			if depth < 0 {
				return nil, errors.New(`"}" without "{"`)
			}
		case '/':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		case '?', '#':
			if depth == 0 {
				return nil, fmt.Errorf("%q is not part of a path; conditions on the query go under query", s[i])
			}
		}
	}
	if depth > 0 {
		return nil, errors.New(`"{" without "}"`)
	}
	return append(parts, s[start:]), nil
}

func parseSegment(part string) (segment, error) {
	seg := segment{text: part}
	if strings.IndexByte(part, '*') < 0 && strings.IndexByte(part, '{') < 0 {
		text, err := normalLiteral(part)
		seg.text = text
		return seg, err
	}
	if part == "**" {
		seg.kind, seg.names = rest, []string{""}
		return seg, nil
	}
	var expr strings.Builder
	var texts []string // around the captures
	text := ""
	expressions := 0
	for s := part; s != ""; {
		switch s[0] {
		case '*':
			if strings.HasPrefix(s, "**") {
				return seg, errors.New(`"**" must be a whole segment`)
			}
			texts, text = append(texts, text), ""
			seg.names = append(seg.names, "")
			expr.WriteString("(.+)")
			s = s[1:]
		case '{':
			end := closing(s)
			name, re, isRegex := strings.Cut(s[1:end], ":")
			if strings.HasPrefix(name, "*") {
				if end != len(s)-1 || s != part || isRegex {
					return seg, errors.New(`"{*name}" must be a whole segment`)
				}
				seg.kind, seg.names = rest, []string{name[1:]}
				return seg, checkName(name[1:])
			}
			if err := checkName(name); err != nil {
				return seg, err
			}
			texts, text = append(texts, text), ""
			seg.names = append(seg.names, name)
			if isRegex {
				expressions++
				if err := checkExpression(re); err != nil {
					return seg, err
				}
				expr.WriteString("(" + re + ")")
			} else {
				expr.WriteString("(.+)")
			}
			s = s[end+1:]
		default:
			n := strings.IndexAny(s, "*{")
			if n < 0 {
				n = len(s)
			}
			normal, err := normalLiteral(s[:n])
			if err != nil {
				return seg, err
			}
			text += normal
			expr.WriteString(regexp.QuoteMeta(normal))
			s = s[n:]
		}
	}
	texts = append(texts, text)
	switch {
	case len(seg.names) == 0:
		seg.kind, seg.text = literal, text
		return seg, nil
	case len(seg.names) == 1 && expressions == 0:
		seg.prefix, seg.suffix = texts[0], texts[1]
		seg.kind = mixed
		if seg.prefix == "" && seg.suffix == "" {
			seg.kind = single
		}
		return seg, nil
	case len(seg.names) == 1 && texts[0] == "" && texts[1] == "":
		seg.kind = regex
	default:
		seg.kind = mixed
	}
	re, err := regexp.Compile("^(?s:" + expr.String() + ")$")
	if err != nil {
		return seg, err
	}
	seg.re = re
	return seg, nil
}

// closing finds the brace that ends the capture at the start of s; split has seen that there is one.
func closing(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s) - 1
}

func checkName(name string) error {
	if name == "" {
		return errors.New("a capture needs a name")
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c == '_' || c == '-' || 'a' <= c|0x20 && c|0x20 <= 'z' || (i > 0 && '0' <= c && c <= '9')) {
			return fmt.Errorf("%q is not a name: letters, digits, - and _", name)
		}
	}
	return nil
}

func checkExpression(re string) error {
	compiled, err := regexp.Compile(re)
	if err != nil {
		return err
	}
	if compiled.NumSubexp() > 0 {
		return fmt.Errorf("groups in %q must not capture; write (?:...)", re)
	}
	return nil
}

// normalLiteral brings text into the normal form of Request.Path: what needs escaping is escaped, what does not is not.
func normalLiteral(s string) (string, error) {
	if isNormal(s) {
		return s, nil
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", errors.New(`"%" must be followed by two hexadecimal digits`)
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", errors.New(`"%" must be followed by two hexadecimal digits`)
			}
			c = byte(hi<<4 | lo)
			i += 2
			if unreserved(c) {
				b.WriteByte(c)
			} else {
				b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
			}
			continue
		}
		if unreserved(c) || strings.IndexByte("!$&'()*+,;=:@", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
	}
	out := b.String()
	if out == "." || out == ".." {
		return "", errors.New("dot segments are resolved before a path is matched, so this would match nothing")
	}
	return out, nil
}

// isNormal reports whether s is in normal form beyond doubt; most text of patterns is.
func isNormal(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !unreserved(c) || c == '.' {
			return false
		}
	}
	return true
}

// unreserved is RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
