package strictyaml

import (
	"math"
	"strconv"
	"strings"
)

// Kind is the shape of a Node.
type Kind uint8

// The shapes: nothing at all, one text, a list, a mapping.
const (
	Null Kind = iota
	Scalar
	List
	Mapping
)

// String says the kind as a message would.
func (k Kind) String() string {
	switch k {
	case Null:
		return "nothing"
	case Scalar:
		return "a single value"
	case List:
		return "a list"
	case Mapping:
		return "a mapping"
	}
	return "unknown"
}

// Node is one value of a document. Nodes are never written to after Read; an alias shares the Node of its anchor.
type Node struct {
	Kind Kind
	Pos  Position
	// Text of a Scalar, variables filled in.
	Text string
	// Plain is true for a Scalar written without quotes, which alone can be a number or a truth value.
	Plain bool
	// Items of a List.
	Items []*Node
	// Fields of a Mapping, in the document's order, without duplicates.
	Fields []Field

	// raw is the text as written, when a variable was filled in: messages must not show what may be a secret.
	raw string
	// bad are mistakes of the node itself, found by Read and reported by whoever decodes it.
	bad []badness
	// size counts this node and all below it, aliases expanded.
	size int
}

type badness struct {
	pos     Position
	message string
}

// Field is one key of a Mapping.
type Field struct {
	Key    string
	KeyPos Position
	Value  *Node
}

// Field finds a key, or nil.
func (n *Node) Field(key string) *Field {
	if n == nil || n.Kind != Mapping {
		return nil
	}
	for i := range n.Fields {
		if n.Fields[i].Key == key {
			return &n.Fields[i]
		}
	}
	return nil
}

// Without is the mapping with some keys taken out, for sections whose keys are read by two parties.
func (n *Node) Without(keys ...string) *Node {
	out := *n
	out.Fields = nil
next:
	for _, f := range n.Fields {
		for _, k := range keys {
			if f.Key == k {
				continue next
			}
		}
		out.Fields = append(out.Fields, f)
	}
	return &out
}

// Value is the node as a plain Go value: nil, bool, int64, uint64, float64, string, []any or map[string]any.
func (n *Node) Value() any {
	switch n.Kind {
	case Scalar:
		if n.Plain {
			return resolve(n.Text)
		}
		return n.Text
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Value()
		}
		return out
	case Mapping:
		out := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			out[f.Key] = f.Value.Value()
		}
		return out
	}
	return nil
}

// shown is the text that a message may quote.
func (n *Node) shown() string {
	s := n.Text
	if n.raw != "" {
		s = n.raw
	}
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "..."
	}
	return strconv.Quote(s)
}

// isNull reports whether an unquoted text means nothing, by YAML 1.2's core schema.
func isNull(s string) bool { return s == "" || s == "~" || s == "null" || s == "Null" || s == "NULL" }

// resolve gives an unquoted text its value by YAML 1.2's core schema. Numbers that other readers take differently
// (leading zeros, underscores, infinities) stay texts: whoever wants a number then says so.
func resolve(s string) any {
	if isNull(s) {
		return nil
	}
	switch s {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if v, ok := integer(s); ok {
		return v
	}
	if v, ok := float(s); ok {
		return v
	}
	return s
}

// integer is an int64, or a uint64 when it does not fit.
func integer(s string) (any, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" {
		return nil, false
	}
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"):
		s, base = s[2:], 16
	case strings.HasPrefix(s, "0o"):
		s, base = s[2:], 8
	case len(digits) > 1 && digits[0] == '0':
		return nil, false
	}
	if base != 10 && (s == "" || s[0] == '+' || s[0] == '-') {
		return nil, false // a sign behind the base, which ParseInt would take
	}
	if v, err := strconv.ParseInt(s, base, 64); err == nil {
		return v, true
	}
	if v, err := strconv.ParseUint(s, base, 64); err == nil {
		return v, true
	}
	return nil, false
}

func float(s string) (float64, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || strings.Trim(digits, "0123456789.eE+-") != "" {
		return 0, false
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsInf(v, 0)
}
