package grpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
)

const httpBody = "google.api.HttpBody"

// fillBody sets what the request's body is.
func (c *call) fillBody(m protoreflect.Message, raw []byte, root string) error {
	if c.body == bodyNone {
		if len(bytes.TrimSpace(raw)) > 0 {
			return argumentError(root, "no body", strconv.Itoa(len(raw))+" bytes")
		}
		return nil
	}
	target := m
	if c.body == bodyField {
		if c.field.Message() == nil || c.field.IsList() || c.field.IsMap() {
			return c.fillField(m, raw, root)
		}
		if d := c.field.Message(); len(bytes.TrimSpace(raw)) == 0 && d.FullName() != httpBody {
			return nil // not set
		}
		target = m.Mutable(c.field).Message()
	}
	if target.Descriptor().FullName() == httpBody {
		// The text belongs to the exchange, and the message is encoded before that ends.
		fields := target.Descriptor().Fields()
		target.Set(fields.ByName("content_type"), protoreflect.ValueOfString(c.mediaType))
		target.Set(fields.ByName("data"), protoreflect.ValueOfBytes(raw))
		return nil
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil // no body is a message without fields
	}
	if err := c.options().Unmarshal(raw, target.Interface()); err != nil {
		return c.explain(target.Descriptor(), raw, root, err)
	}
	return nil
}

// options are how JSON is read. What is missing of proto2's required fields shows when the message is encoded: path and
// query may bring it.
func (c *call) options() protojson.UnmarshalOptions {
	return protojson.UnmarshalOptions{AllowPartial: true, DiscardUnknown: c.t.route.JSON.IgnoreUnknown, Resolver: c.writer.types, RecursionLimit: maxDepth}
}

// fillField sets a field that is no message of its own from the JSON of its value.
func (c *call) fillField(m protoreflect.Message, raw []byte, root string) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil
	}
	// Only one whole value may be put into an object: "1, "other": 2" would set other fields.
	if err := wellFormed(raw, root); err != nil {
		return err
	}
	if err := c.options().Unmarshal(wrapped(c.field, raw), m.Interface()); err != nil {
		return c.findValue(c.field, raw, root, err)
	}
	return nil
}

// wrapped makes an object with one field.
func wrapped(fd protoreflect.FieldDescriptor, raw []byte) []byte {
	dst := make([]byte, 0, len(raw)+len(fd.JSONName())+8)
	dst = append(dst, '{')
	dst = protocol.AppendJSONString(dst, jsonKey(fd))
	dst = append(dst, ':')
	dst = append(dst, raw...)
	return append(dst, '}')
}

func jsonKey(fd protoreflect.FieldDescriptor) string {
	if fd.IsExtension() {
		return "[" + string(fd.FullName()) + "]"
	}
	return fd.JSONName()
}

// wellFormed refuses text that is no JSON value, with the place.
func wellFormed(raw []byte, root string) error {
	if json.Valid(raw) {
		return nil
	}
	var v json.RawMessage
	err := json.Unmarshal(raw, &v)
	message := root + ": it is not valid JSON"
	e := &protocol.Error{Status: 400, Code: protocol.CodeBadArgument, NotSent: true, Cause: err}
	if s, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // the decoder returns it as it is
		message = fmt.Sprintf("%s: it is not valid JSON at byte %d", root, s.Offset)
	}
	e.Message = message
	e.Details = []protocol.Detail{{Name: "path", Value: root}}
	return e
}
