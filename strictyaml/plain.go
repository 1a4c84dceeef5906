package strictyaml

import (
	"strings"
	"unicode/utf8"
)

// The library that reads YAML takes 200 bytes of memory and 300 ns for each byte of a document: a second for 10,000
// routes. Documents hardly ever use more than a small, regular part of YAML, which is read here about twenty times as
// fast: block mappings and lists, flow collections and scalars within one line, comments. Whatever else a document holds,
// and every mistake, is left to the library: plain reads a document only as the library would, and gives up otherwise.
// TestPlainIsAsTheLibrary and FuzzPlain hold both side by side.

// maxLine bounds a line, so that counting its columns costs little.
const maxLine = 4096

// plain reads one document.
type plain struct {
	tree
	text  string
	lines []line
	now   int // index into lines
	depth int
	slab  []Node
}

// line is one that is neither empty nor a comment. indent is where its unread part begins.
type line struct {
	number, start, indent, end int
	ascii                      bool
}

// readPlain gives nil for what it leaves to the library.
func readPlain(file string, data []byte, env Env) *Node {
	p := &plain{tree: tree{file: file, env: env}, text: string(data)}
	if !p.split() || len(p.lines) == 0 || p.lines[0].indent > 0 {
		return nil
	}
	root := p.block()
	if p.now < len(p.lines) {
		return nil
	}
	return root
}

// split finds the lines.
func (p *plain) split() bool {
	p.lines = make([]line, 0, strings.Count(p.text, "\n")+1)
	for start, number := 0, 1; start < len(p.text); number++ {
		end := strings.IndexByte(p.text[start:], '\n')
		if end < 0 {
			end = len(p.text) - start
		}
		next := start + end + 1
		s := p.text[start : start+end]
		body := strings.TrimLeft(s, " ")
		if len(s) > maxLine || strings.ContainsAny(s, "\t\r") {
			return false
		}
		if body != "" && body[0] != '#' {
			if body == s && (body[0] == '%' || strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...")) {
				return false
			}
			l := line{number: number, start: start, indent: len(s) - len(body), end: len(strings.TrimRight(s, " ")), ascii: true}
			for i := 0; i < len(s); i++ {
				l.ascii = l.ascii && s[i] < utf8.RuneSelf
			}
			p.lines = append(p.lines, l)
		}
		start = next
	}
	return true
}

// rest is the unread part of the current line.
func (p *plain) rest() string {
	l := &p.lines[p.now]
	return p.text[l.start+l.indent : l.start+l.end]
}

// skip reads n bytes of the current line, and the spaces behind them.
func (p *plain) skip(n int) {
	l := &p.lines[p.now]
	l.indent += n
	for l.indent < l.end && p.text[l.start+l.indent] == ' ' {
		l.indent++
	}
}

// ended reports whether nothing but a comment is left of the current line. A comment needs a space before it, which the
// caller has just skipped.
func (p *plain) ended() bool {
	l := &p.lines[p.now]
	return l.indent >= l.end || p.text[l.start+l.indent] == '#' && p.text[l.start+l.indent-1] == ' '
}

// indent of the current line; -1 at the end of the document.
func (p *plain) indent() int {
	if p.now == len(p.lines) {
		return -1
	}
	return p.lines[p.now].indent
}

func (p *plain) here() Position {
	l := &p.lines[p.now]
	column := l.indent + 1
	if !l.ascii {
		column = utf8.RuneCountInString(p.text[l.start:l.start+l.indent]) + 1
	}
	return Position{File: p.file, Line: l.number, Column: column}
}

func (p *plain) node(kind Kind) *Node {
	if len(p.slab) == 0 {
		p.slab = make([]Node, 128)
	}
	n := &p.slab[0]
	p.slab = p.slab[1:]
	n.Kind, n.Pos, n.size = kind, p.here(), 1
	return n
}

func (p *plain) dash() bool {
	s := p.rest()
	return s == "-" || strings.HasPrefix(s, "- ")
}

// block reads the list or mapping that begins here.
func (p *plain) block() *Node {
	if p.depth++; p.depth > maxDepth/2 {
		return nil
	}
	defer func() { p.depth-- }()
	if p.dash() {
		return p.list(p.indent())
	}
	return p.blockMapping(p.indent())
}

func (p *plain) list(column int) *Node {
	out := p.node(List)
	for p.indent() == column && p.dash() {
		var item *Node
		p.skip(1)
		if p.ended() {
			if p.now++; p.indent() <= column {
				return nil // an empty item
			}
			item = p.block()
		} else if _, _, size := p.key(); size > 0 || p.dash() {
			item = p.block()
		} else {
			item = p.inline(column)
		}
		if item == nil {
			return nil
		}
		out.Items = append(out.Items, item)
		out.size += item.size
	}
	if p.indent() > column {
		return nil
	}
	return out
}

func (p *plain) blockMapping(column int) *Node {
	out := p.node(Mapping)
	for p.indent() == column {
		key, pos, size := p.key()
		if size == 0 {
			break
		}
		p.skip(size)
		var value *Node
		if p.ended() {
			p.now++
			switch {
			case p.indent() > column, p.indent() == column && p.dash():
				value = p.block()
			default:
				value = &Node{Pos: pos, Text: "", Plain: true, size: 1}
			}
		} else {
			value = p.inline(column)
		}
		if value == nil || !p.add(out, key, pos, value) {
			return nil
		}
	}
	if p.indent() > column || len(out.Fields) == 0 {
		return nil
	}
	return out
}

// add appends a field; a key that stands twice is the library's to complain about.
func (p *plain) add(out *Node, key string, pos Position, value *Node) bool {
	if strings.Contains(key, "<<") {
		return false
	}
	// Looking through a few keys is faster than a map, and a mapping of many is rare.
	if len(out.Fields) > 64 {
		return false
	}
	for i := range out.Fields {
		if out.Fields[i].Key == key {
			return false
		}
	}
	if value.Kind == Null {
		value.Pos = pos
	}
	out.Fields = append(out.Fields, Field{Key: key, KeyPos: pos, Value: value})
	out.size += value.size
	return true
}

// key looks for a key of a block mapping here. size counts it and its colon; 0 means that there is none.
func (p *plain) key() (key string, pos Position, size int) {
	s := p.rest()
	if s[0] == '"' || s[0] == '\'' {
		text, n := quoted(s)
		if n == 0 || n >= len(s) || s[n] != ':' || n+1 < len(s) && s[n+1] != ' ' {
			return "", Position{}, 0
		}
		return text, p.here(), n + 1
	}
	if !startsPlain(s) {
		return "", Position{}, 0
	}
	end := strings.Index(s, ": ")
	if end < 0 {
		if end = len(s) - 1; s[end] != ':' {
			return "", Position{}, 0
		}
	}
	if key = s[:end]; strings.Contains(key, " #") || key != strings.TrimRight(key, " ") || key == "" {
		return "", Position{}, 0
	}
	return key, p.here(), end + 1
}

// inline reads a value that ends with the line, and goes on to the next, which must not continue it.
func (p *plain) inline(column int) *Node {
	var out *Node
	switch s := p.rest(); s[0] {
	case '[', '{':
		out = p.flow()
	case '"', '\'':
		out = p.quoted()
	default:
		end := strings.Index(s, " #")
		if end < 0 {
			end = len(s)
		}
		text := strings.TrimRight(s[:end], " ")
		if !startsPlain(s) || strings.Contains(text, ": ") || strings.HasSuffix(text, ":") {
			return nil
		}
		out = p.scalar(text, true)
		p.skip(len(text))
	}
	if out == nil || !p.ended() {
		return nil
	}
	if p.now++; p.indent() > column {
		return nil
	}
	return out
}

func (p *plain) scalar(text string, bare bool) *Node {
	n := p.node(Scalar)
	n.Text, n.Plain = text, bare
	p.fill(n)
	return n
}

func (p *plain) quoted() *Node {
	text, size := quoted(p.rest())
	if size == 0 {
		return nil
	}
	n := p.scalar(text, false)
	p.skip(size)
	return n
}

// quoted reads a quoted text at the start of s. size 0 means that it is not one of the simple ones.
func quoted(s string) (text string, size int) {
	quote := s[0]
	end := strings.IndexByte(s[1:], quote) + 1
	if end == 0 {
		return "", 0
	}
	if text = s[1:end]; quote == '"' && strings.IndexByte(text, '\\') >= 0 || end+1 < len(s) && s[end+1] == quote {
		return unescape(s)
	}
	return text, end + 1
}

// unescape reads a quoted text with quotes or backslashes in it.
func unescape(s string) (text string, size int) {
	var b strings.Builder
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote && quote == '\'' && i+1 < len(s) && s[i+1] == quote:
			b.WriteByte(quote)
			i++
		case c == quote:
			return b.String(), i + 1
		case c == '\\' && quote == '"':
			if i++; i == len(s) || s[i] != '\\' && s[i] != '"' {
				return "", 0
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0
}

// startsPlain reports whether a text without quotes may begin so. It refuses more than YAML does.
func startsPlain(s string) bool {
	if s[0] == '-' && len(s) > 1 {
		return s[1] != ' ' && s[1] != '-'
	}
	return strings.IndexByte("-?:,[]{}#&*!|>'\"%@`<", s[0]) < 0
}
