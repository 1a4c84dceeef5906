package grpc

import (
	"bytes"
	"encoding/json"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol"
)

// protojson says on which line something is wrong, but not in which field. explain finds the field: it reads each part of the
// value alone, and goes into the first one that cannot be read. Only requests that are refused pay for it.
func (c *call) explain(d protoreflect.MessageDescriptor, raw []byte, root string, cause error) error {
	if err := wellFormed(raw, root); err != nil {
		return err
	}
	c.allow(raw)
	return c.findField(d, raw, root, cause, 0)
}

// allow bounds the search: deep nesting would make it read the same text again and again.
func (c *call) allow(raw []byte) { c.budget = 4*len(raw) + 64<<10 }

// findField looks in an object.
func (c *call) findField(d protoreflect.MessageDescriptor, raw []byte, path string, cause error, depth int) error {
	raw = bytes.TrimSpace(raw)
	if c.budget -= len(raw); c.budget < 0 || depth > maxDepth || isWellKnown(d.FullName()) || raw[0] != '{' {
		return c.wrong(path, string(d.FullName()), raw, cause)
	}
	seen := map[protoreflect.FieldDescriptor]bool{}
	oneofs := map[protoreflect.OneofDescriptor]string{}
	for _, member := range objectMembers(raw) {
		at := path + member.at()
		fd := c.member(d, member.name)
		switch {
		case fd == nil && c.t.route.JSON.IgnoreUnknown:
			continue
		case fd == nil:
			return c.wrong(at, "a field of "+string(d.FullName()), member.value, cause)
		case seen[fd]:
			return c.wrong(at, "the field once", member.value, cause)
		}
		seen[fd] = true
		one := dynamicpb.NewMessage(d)
		if err := c.options().Unmarshal(wrapped(fd, member.value), one); err != nil {
			return c.findValueAt(fd, member.value, at, err, depth)
		}
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() && string(member.value) != "null" {
			if other := oneofs[o]; other != "" {
				return c.wrong(at, "only one of "+other+" and "+member.name, member.value, cause)
			}
			oneofs[o] = member.name
		}
	}
	return c.wrong(path, string(d.FullName()), raw, cause)
}

// member finds the field of a key.
func (c *call) member(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := d.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	if fd := d.Fields().ByTextName(name); fd != nil {
		return fd
	}
	if n := len(name); n > 2 && name[0] == '[' && name[n-1] == ']' {
		if t, err := c.writer.types.FindExtensionByName(protoreflect.FullName(name[1 : n-1])); err == nil && t.TypeDescriptor().ContainingMessage().FullName() == d.FullName() {
			return t.TypeDescriptor()
		}
	}
	return nil
}

func (c *call) findValue(fd protoreflect.FieldDescriptor, raw []byte, path string, cause error) error {
	c.allow(raw)
	return c.findValueAt(fd, raw, path, cause, 0)
}

// findValueAt looks in a field's value.
func (c *call) findValueAt(fd protoreflect.FieldDescriptor, raw []byte, path string, cause error, depth int) error {
	raw = bytes.TrimSpace(raw)
	switch {
	case fd.IsMap():
		if raw[0] != '{' {
			return c.wrong(path, "an object", raw, cause)
		}
		for _, member := range objectMembers(raw) {
			one := dynamicpb.NewMessage(fd.ContainingMessage())
			object := append(append(append([]byte{'{'}, member.key...), ':'), member.value...)
			err := c.options().Unmarshal(wrapped(fd, append(object, '}')), one)
			if err == nil {
				continue
			}
			if _, bad := scalar(fd.MapKey(), member.name); bad != nil {
				return c.wrong(path+member.at(), "a key of type "+describe(fd.MapKey()), member.key, err)
			}
			if d := fd.MapValue().Message(); d != nil {
				return c.findField(d, member.value, path+member.at(), err, depth+1)
			}
			return c.wrong(path+member.at(), describe(fd.MapValue()), member.value, err)
		}
		return c.wrong(path, "each key once", raw, cause)
	case fd.IsList():
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil || elements == nil {
			return c.wrong(path, "an array of "+describe(fd), raw, cause)
		}
		for i, element := range elements {
			at := path + "[" + strconv.Itoa(i) + "]"
			one := dynamicpb.NewMessage(fd.ContainingMessage())
			list := append(append([]byte{'['}, element...), ']')
			if err := c.options().Unmarshal(wrapped(fd, list), one); err != nil {
				if d := fd.Message(); d != nil {
					return c.findField(d, element, at, err, depth+1)
				}
				return c.wrong(at, describe(fd), element, err)
			}
		}
	case fd.Message() != nil:
		return c.findField(fd.Message(), raw, path, cause, depth+1)
	}
	return c.wrong(path, describe(fd), raw, cause)
}

func (c *call) wrong(path, expected string, raw []byte, cause error) error {
	return argumentError(path, expected, string(raw)).With(cause)
}

// jsonMember is one member of an object.
type jsonMember struct {
	name       string
	key, value []byte
}

// at is how a member is written in a path.
func (m *jsonMember) at() string {
	for i := 0; i < len(m.name); i++ {
		c := m.name[i]
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return "[" + string(protocol.AppendJSONString(nil, shorten(m.name))) + "]"
		}
	}
	return "." + shorten(m.name)
}

// objectMembers lists the members of an object that is valid JSON, in their order and with repetitions.
func objectMembers(raw []byte) []jsonMember {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil
	}
	var out []jsonMember
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return out
		}
		var m jsonMember
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return out
		}
		m.name, _ = name.(string)
		m.key, m.value = protocol.AppendJSONString(nil, m.name), value
		out = append(out, m)
	}
	return out
}
