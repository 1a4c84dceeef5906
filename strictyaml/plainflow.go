package strictyaml

import "strings"

// flow reads a flow collection that ends within the line.
func (p *plain) flow() *Node {
	if p.depth++; p.depth > maxDepth/2 {
		return nil
	}
	defer func() { p.depth-- }()
	kind, closing := List, byte(']')
	if p.rest()[0] == '{' {
		kind, closing = Mapping, '}'
	}
	out := p.node(kind)
	p.skip(1)
	for first := true; ; first = false {
		s := p.rest()
		switch {
		case s == "":
			return nil
		case s[0] == closing && first:
			p.skip(1)
			return out
		}
		var key string
		pos := p.here()
		if kind == Mapping {
			var size int
			if key, size = flowKey(s); size == 0 {
				return nil
			}
			p.skip(size)
		}
		value := p.flowValue()
		if value == nil {
			return nil
		}
		if kind == List {
			out.Items = append(out.Items, value)
			out.size += value.size
		} else if !p.add(out, key, pos, value) {
			return nil
		}
		switch s = p.rest(); {
		case s != "" && s[0] == closing:
			p.skip(1)
			return out
		case s == "" || s[0] != ',':
			return nil
		}
		p.skip(1)
	}
}

func flowKey(s string) (key string, size int) {
	if s[0] == '"' || s[0] == '\'' {
		text, n := quoted(s)
		if n == 0 || !strings.HasPrefix(s[n:], ": ") {
			return "", 0
		}
		return text, n + 2
	}
	end := strings.IndexByte(s, ':')
	if end <= 0 || !startsPlain(s) || end+1 >= len(s) || s[end+1] != ' ' || strings.ContainsAny(s[:end], ",[]{}#'\"") || s[end-1] == ' ' {
		return "", 0
	}
	return s[:end], end + 2
}

func (p *plain) flowValue() *Node {
	s := p.rest()
	if s == "" {
		return nil
	}
	switch s[0] {
	case '[', '{':
		return p.flow()
	case '"', '\'':
		return p.quoted()
	}
	end := strings.IndexAny(s, ",]}")
	if end <= 0 || !startsPlain(s) || strings.ContainsAny(s[:end], "[{#") {
		return nil
	}
	text := strings.TrimRight(s[:end], " ")
	if strings.Contains(text, ": ") || strings.HasSuffix(text, ":") {
		return nil
	}
	n := p.scalar(text, true)
	p.skip(len(text))
	return n
}
