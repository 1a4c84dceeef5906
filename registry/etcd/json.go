package etcd

import (
	"encoding/json"
	"strconv"
	"strings"
)

// text is a JSON string, or the text of a number or boolean; anything else is empty.
type text string

// UnmarshalJSON never fails: what is no text is none.
func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) == 0, string(b) == "null", b[0] == '{', b[0] == '[':
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(s)
		}
	default:
		*t = text(b)
	}
	return nil
}

// number is a JSON number, or a string that holds one; anything else is not given.
type number struct {
	value float64
	given bool
}

// UnmarshalJSON never fails: what is no number is none.
func (n *number) UnmarshalJSON(b []byte) error {
	var t text
	_ = t.UnmarshalJSON(b)
	if f, err := strconv.ParseFloat(string(t), 64); err == nil {
		*n = number{f, true}
	}
	return nil
}

// port is the number as a port; what cannot be one is 0.
func (n number) port() int {
	if n.value >= 1 && n.value <= 65535 && n.value == float64(int(n.value)) {
		return int(n.value)
	}
	return 0
}

// flag is a JSON boolean, or a string that holds one.
type flag struct{ yes, given bool }

// UnmarshalJSON never fails: what is no boolean is none.
func (f *flag) UnmarshalJSON(b []byte) error {
	var t text
	_ = t.UnmarshalJSON(b)
	if yes, err := strconv.ParseBool(strings.ToLower(string(t))); err == nil {
		*f = flag{yes, true}
	}
	return nil
}

func (f flag) no() bool { return f.given && !f.yes }

// texts is a JSON object whose values are texts; other values of it keep their JSON. Anything else is empty.
type texts map[string]string

// UnmarshalJSON never fails: what is no object is none.
func (m *texts) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if json.Unmarshal(b, &raw) != nil || len(raw) == 0 {
		return nil //nolint:nilerr // what is no object is none
	}
	*m = make(texts, len(raw))
	for k, v := range raw {
		var t text
		_ = t.UnmarshalJSON(v)
		if t == "" && len(v) > 0 && (v[0] == '{' || v[0] == '[') {
			t = text(v)
		}
		(*m)[k] = string(t)
	}
	return nil
}
