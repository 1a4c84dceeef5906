package strictyaml

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// tree builds Nodes from the library's syntax tree.
type tree struct {
	file    string
	env     Env
	anchors map[string]*Node // nil while the anchor's own value is being built
	aliased int
}

func (t *tree) at(tk *token.Token) Position {
	p := place(tk)
	p.File = t.file
	return p
}

func (t *tree) build(n ast.Node) *Node {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) == 1 {
			if text, ok := unspaced(n.Values[0]); ok {
				return t.scalar(n.Values[0].Key.GetToken(), text, true)
			}
		}
		return t.mapping(n.Start, n.Values)
	case *ast.MappingValueNode:
		if text, ok := unspaced(n); ok {
			return t.scalar(n.Key.GetToken(), text, true)
		}
		return t.mapping(n.Key.GetToken(), []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		out := &Node{Kind: List, Pos: t.at(n.Start), size: 1}
		for _, v := range n.Values {
			item := t.build(v)
			out.Items = append(out.Items, item)
			out.size += item.size
		}
		return out
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		t.anchors[name] = nil
		value := t.build(n.Value)
		t.anchors[name] = value
		return value
	case *ast.AliasNode:
		return t.alias(n)
	case *ast.TagNode:
		return t.tagged(n)
	case *ast.StringNode:
		plain := n.Token.Type != token.SingleQuoteType && n.Token.Type != token.DoubleQuoteType
		return t.scalar(n.Token, n.Value, plain)
	case *ast.LiteralNode:
		return t.scalar(n.Start, n.Value.Value, false)
	case *ast.NullNode, *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return t.scalar(n.GetToken(), n.GetToken().Value, true)
	case nil:
		return &Node{Pos: Position{File: t.file}, size: 1}
	}
	return &Node{Pos: t.at(n.GetToken()), size: 1, bad: t.fault(n.GetToken(), "is not allowed here")}
}

// unspaced gives back the text that the library takes for a mapping in "{addresses: [127.0.0.1:8848]}": by YAML a colon
// without a space behind it is part of a text, unless it follows a quoted key.
func unspaced(pair *ast.MappingValueNode) (string, bool) {
	key := pair.Key.GetToken()
	if key == nil || pair.Start == nil || key.Type == token.SingleQuoteType || key.Type == token.DoubleQuoteType {
		return "", false
	}
	if _, ok := pair.Value.(ast.ScalarNode); !ok || pair.Value.Type() == ast.AnchorType || pair.Value.Type() == ast.TagType {
		return "", false
	}
	value := pair.Value.GetToken()
	quoted := value.Type == token.SingleQuoteType || value.Type == token.DoubleQuoteType || value.Type == token.ImplicitNullType
	colon := pair.Start.Position
	if quoted || value.Position.Line != colon.Line || value.Position.Column != colon.Column+1 || key.Position.Line != colon.Line {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

func (t *tree) fault(tk *token.Token, message string) []badness {
	return []badness{{t.at(tk), message}}
}

func (t *tree) scalar(tk *token.Token, text string, plain bool) *Node {
	n := &Node{Kind: Scalar, Pos: t.at(tk), Text: text, Plain: plain, size: 1}
	t.fill(n)
	return n
}

// fill puts variables into a scalar, and finds out whether it is nothing.
func (t *tree) fill(n *Node) {
	if filled, err := expand(n.Text, t.env); err != nil {
		n.bad = []badness{{n.Pos, err.Error()}}
	} else if filled != n.Text {
		n.Text, n.raw = filled, n.Text
	}
	if n.Plain && isNull(n.Text) {
		n.Kind, n.Text = Null, ""
	}
}

// tagged knows !!str, which takes a value as text; no type of a document needs another.
func (t *tree) tagged(n *ast.TagNode) *Node {
	value := t.build(n.Value)
	if n.Start.Value != "!!str" || value.Kind == List || value.Kind == Mapping {
		return &Node{Pos: value.Pos, size: 1, bad: t.fault(n.Start, "tag "+n.Start.Value+" is not supported")}
	}
	out := *value
	if null, ok := n.Value.(*ast.NullNode); ok && null.Token.Type == token.NullType {
		out.Text = null.Token.Value // the word itself
	}
	out.Kind, out.Plain, out.Pos = Scalar, false, t.at(n.Start)
	return &out
}

func (t *tree) alias(n *ast.AliasNode) *Node {
	name := n.Value.GetToken().Value
	target, ok := t.anchors[name]
	message := ""
	switch {
	case !ok:
		message = fmt.Sprintf("alias *%s: no anchor of this name stands before it", name)
	case target == nil:
		message = fmt.Sprintf("alias *%s stands inside its own anchor", name)
	case t.aliased+target.size > maxAliased:
		message = fmt.Sprintf("alias *%s: aliases expand to more than %d values", name, maxAliased)
	default:
		t.aliased += target.size
		return target
	}
	return &Node{Pos: t.at(n.Start), size: 1, bad: t.fault(n.Start, message)}
}

// mapping builds a mapping; keys of "<<" count only where the mapping itself has no such key.
func (t *tree) mapping(start *token.Token, values []*ast.MappingValueNode) *Node {
	out := &Node{Kind: Mapping, Pos: t.at(start), size: 1}
	if len(values) > 0 && (start == nil || start.Type == token.MappingValueType) {
		out.Pos = t.at(values[0].Key.GetToken()) // the library says where the first colon is
	}
	var merged []Field
	seen := make(map[string]Position, len(values))
	for _, v := range values {
		if v.Key.IsMergeKey() {
			merged = append(merged, t.merge(out, v.Value)...)
			continue
		}
		key, tk, ok := keyText(v.Key)
		value := t.build(v.Value)
		pos := t.at(tk)
		if !ok {
			out.bad = append(out.bad, badness{pos, "a key must be a plain text"})
			continue
		}
		if first, twice := seen[key]; twice {
			out.bad = append(out.bad, badness{pos, fmt.Sprintf("key %q is already set in line %d", key, first.Line)})
			continue
		}
		seen[key] = pos
		if value.Kind == Null {
			value = nullAt(value, pos)
		}
		out.Fields = append(out.Fields, Field{Key: key, KeyPos: pos, Value: value})
		out.size += value.size
	}
	for _, f := range merged {
		if _, own := seen[f.Key]; !own {
			seen[f.Key] = f.KeyPos
			out.Fields = append(out.Fields, f)
			out.size += f.Value.size
		}
	}
	return out
}

// nullAt moves a value that is not there to its key, where people look.
func nullAt(n *Node, pos Position) *Node {
	out := *n
	out.Pos = pos
	return &out
}

func (t *tree) merge(into *Node, value ast.Node) []Field {
	source := t.build(value)
	into.bad = append(into.bad, source.bad...)
	sources := []*Node{source}
	if source.Kind == List {
		sources = source.Items
	}
	var out []Field
	for _, s := range sources {
		if s.Kind == Mapping {
			out = append(out, s.Fields...)
			if s != source {
				into.bad = append(into.bad, s.bad...)
			}
		} else if len(s.bad) == 0 {
			into.bad = append(into.bad, badness{s.Pos, "<< must be followed by an alias of a mapping, or a list of them"})
		}
	}
	return out
}

// keyText is a key's text: keys are texts, also when they look like numbers. Variables are not filled into keys.
func keyText(n ast.Node) (string, *token.Token, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, n.Token, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, n.GetToken(), true
	}
	return "", n.GetToken(), false
}
