package dubbo

import (
	"strconv"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// Any as a group or version means: whatever the chosen instance exports.
const Any = "*"

// Invocation is a Dubbo call, ready to be framed for any instance. The Transcoder puts it into Request.Call; whoever
// balances may read the exported fields, and the Client sends it. It can be sent more than once.
type Invocation struct {
	// Interface, Group and Version name the service. Group and Version may be Any.
	Interface, Group, Version string
	// Method is the Java method.
	Method string

	// wireMethod and wireTypes are the method as framed: $invoke with its types, but for direct calls.
	wireMethod, wireTypes string
	// args are the encoded arguments of wireMethod.
	args []byte
	// attachments are encoded keys and values, beside those that the client adds.
	attachments []byte
	// generic is the attachment of that name; empty for direct calls.
	generic string
	// void is true when the definition says that the method returns nothing.
	void bool
}

// reset prepares inv for another call and keeps its memory.
func (inv *Invocation) reset() {
	args, attachments := inv.args[:0], inv.attachments[:0]
	*inv = Invocation{args: args, attachments: attachments, wireMethod: frame.GenericMethod, wireTypes: frame.GenericTypes, generic: genericTrue}
}

// addAttachment encodes one more attachment.
func (inv *Invocation) addAttachment(key, value string) {
	inv.attachments = hessian.AppendString(inv.attachments, key)
	inv.attachments = hessian.AppendString(inv.attachments, value)
}

// target is what a particular instance calls the service.
type target struct {
	group, version, path string
}

// resolve replaces what the invocation leaves open by what the instance exports.
func (t target) resolve(inv *Invocation) (group, version, path string) {
	group, version, path = inv.Group, inv.Version, t.path
	if group == Any {
		group = t.group
	}
	if version == Any {
		version = t.version
	}
	if path == "" {
		path = inv.Interface
	}
	return group, version, path
}

// appendRequest appends inv as a whole frame. timeout is in milliseconds; 0 leaves it out.
func appendRequest(dst []byte, id uint64, inv *Invocation, t target, timeout int64) []byte {
	start := len(dst)
	group, version, path := t.resolve(inv)
	dst = frame.AppendHeader(dst, frame.Request|frame.TwoWay|frame.Hessian2, 0, id)
	dst = hessian.AppendString(dst, frame.Version)
	dst = hessian.AppendString(dst, path)
	dst = hessian.AppendString(dst, version)
	dst = hessian.AppendString(dst, inv.wireMethod)
	dst = hessian.AppendString(dst, inv.wireTypes)
	dst = append(dst, inv.args...)
	dst = append(dst, 'H') // a map without a type
	if inv.generic != "" {
		dst = appendPair(dst, "generic", inv.generic)
	}
	if timeout > 0 {
		// A string, as Dubbo's own clients send it.
		var digits [20]byte
		dst = hessian.AppendString(dst, "timeout")
		dst = hessian.AppendString(dst, strconv.AppendInt(digits[:0], timeout, 10))
	}
	dst = appendPair(dst, "path", path)
	dst = appendPair(dst, "interface", inv.Interface)
	if version != "" {
		dst = appendPair(dst, "version", version)
	}
	if group != "" {
		dst = appendPair(dst, "group", group)
	}
	dst = append(dst, inv.attachments...)
	dst = append(dst, 'Z')
	frame.SetLength(dst[start:])
	return dst
}

func appendPair(dst []byte, key, value string) []byte {
	dst = hessian.AppendString(dst, key)
	return hessian.AppendString(dst, value)
}
