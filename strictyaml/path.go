package strictyaml

import (
	"strconv"
	"strings"
)

// Path is the way from the document to a value. Paths live on the stack while a document is read, and become text only
// when there is a problem to report. A nil Path is the document.
type Path struct {
	parent *Path
	key    string
	index  int // -1 for a key
}

// Key is the path of a mapping's value.
func (p *Path) Key(key string) *Path { return &Path{parent: p, key: key, index: -1} }

// Index is the path of a list's item.
func (p *Path) Index(i int) *Path { return &Path{parent: p, index: i} }

// String is such as "routes[2].to.timeout".
func (p *Path) String() string {
	if p == nil {
		return ""
	}
	head := p.parent.String()
	if p.index >= 0 {
		return head + "[" + strconv.Itoa(p.index) + "]"
	}
	if head == "" {
		return p.key
	}
	return head + "." + p.key
}

// locate splits the path off the front of an error's text, and finds its place: from "timeouts.idle: must be ..." it
// gives the position of that key, "timeouts.idle" and "must be ...". A key that the section does not have is shown at
// what encloses it. Without a path the whole text is the message.
func (n *Node) locate(text string) (pos Position, path, message string) {
	node, pos, rest := n, n.Pos, text
	for {
		next, at, tail := node.step(rest)
		if next == nil {
			break
		}
		node, pos, rest = next, at, tail
		if dotted, ok := strings.CutPrefix(rest, "."); ok {
			if next, _, _ := node.step(dotted); next != nil {
				rest = dotted
			}
		}
	}
	head, message, ok := strings.Cut(rest, ": ")
	if !ok || head == "" && rest == text || head != "" && !looksLikePath(head) {
		return n.Pos, "", text
	}
	path = text[:len(text)-len(rest)] + head
	if head != "" {
		return pos, path, message
	}
	if next, _, _ := node.step(message); next != nil { // wrapped once more: "metadata: x: must be a text"
		if at, inner, innermost := node.locate(message); inner != "" {
			return at, join(path, inner), innermost
		}
	}
	return pos, path, message
}

// step takes one key or index off the front of s.
func (n *Node) step(s string) (next *Node, pos Position, rest string) {
	switch n.Kind {
	case List:
		digits, tail, ok := strings.Cut(strings.TrimPrefix(s, "["), "]")
		i, err := strconv.Atoi(digits)
		if strings.HasPrefix(s, "[") && ok && err == nil && i >= 0 && i < len(n.Items) {
			return n.Items[i], n.Items[i].Pos, tail
		}
	case Mapping:
		best := -1
		for i, f := range n.Fields {
			tail, ok := strings.CutPrefix(s, f.Key)
			if ok && f.Key != "" && (tail == "" || tail[0] == '.' || tail[0] == '[' || strings.HasPrefix(tail, ": ")) &&
				(best < 0 || len(f.Key) > len(n.Fields[best].Key)) {
				best = i
			}
		}
		if best >= 0 {
			f := n.Fields[best]
			return f.Value, f.KeyPos, s[len(f.Key):]
		}
	}
	return nil, Position{}, s
}

func join(a, b string) string {
	if a == "" || b == "" || b[0] == '[' {
		return a + b
	}
	return a + "." + b
}

func looksLikePath(s string) bool {
	if s == "" || len(s) > 200 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		word := c == '_' || c == '-' || c == '.' || c == '[' || c == ']' || c >= '0' && c <= '9'
		if !word && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
