package dubbo

import (
	"encoding/json"
	"strconv"
)

// Text is a JSON string, or the text of a number or boolean; anything else is empty. With Number and Texts it reads JSON
// that different versions write differently, so that one odd field does not cost an instance.
type Text string

// UnmarshalJSON never fails: what is no text is none.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0, string(b) == "null", b[0] == '{', b[0] == '[':
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = Text(s)
		}
	default:
		*t = Text(b)
	}
	return nil
}

// Number is a JSON number, or a string that holds one; anything else is not given.
type Number struct {
	Value float64
	Given bool
}

// UnmarshalJSON never fails: what is no number is none.
func (n *Number) UnmarshalJSON(b []byte) error {
	var t Text
	_ = t.UnmarshalJSON(b)
	if f, err := strconv.ParseFloat(string(t), 64); err == nil {
		*n = Number{f, true}
	}
	return nil
}

// Port is the number as a port; what cannot be one is 0.
func (n Number) Port() int {
	if n.Value >= 1 && n.Value <= 65535 && n.Value == float64(int(n.Value)) {
		return int(n.Value)
	}
	return 0
}

// Texts is a JSON object whose values are texts; objects and lists among them keep their JSON. Anything else is empty.
type Texts map[string]string

// UnmarshalJSON never fails: what is no object is none.
func (m *Texts) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if json.Unmarshal(b, &raw) != nil || len(raw) == 0 {
		return nil //nolint:nilerr // what is no object is none
	}
	*m = make(Texts, len(raw))
	for k, v := range raw {
		var t Text
		_ = t.UnmarshalJSON(v)
		if t == "" && len(v) > 0 && (v[0] == '{' || v[0] == '[') {
			t = Text(v)
		}
		(*m)[k] = string(t)
	}
	return nil
}
