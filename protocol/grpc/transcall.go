package grpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/grpc/httprule"
)

// call is one request's way through a Transcoder: memory that the next one uses again. It is given back when the answer's
// body is closed.
type call struct {
	t *Transcoder
	*binding
	captures []httprule.Capture
	writer   writer
	// Of the request, whose fields are the call's by the time they are needed; a stream's messages are made by the goroutine
	// that sends them, so what they take is kept apart from the request's arena.
	accept, mediaType, rawQuery string
	arena                       protocol.Arena

	connect  bool // the client speaks Connect
	deadline int64
	budget   int // of a search for what is wrong

	raw   []byte         // the request's body
	frame []byte         // the request's message, as it is sent
	sent  protocol.Bytes // the body that sends it
	lines jsonStream     // the body of a stream

	answers messages
	out     []byte // the answer as JSON
	inner   protocol.Body
}

// serve makes the call.
func (c *call) serve(ctx context.Context, req *protocol.Request, target protocol.Handler) (*protocol.Response, error) {
	if err := ApplyTimeout(req); err != nil {
		return nil, err
	}
	if c.connect = isConnect(req); c.connect {
		if err := applyConnectTimeout(req); err != nil {
			return nil, err
		}
	}
	if e := req.Header.Value(protocol.NameContentEncoding); e != "" && !protocol.EqualFold(e, identityEncoding) {
		return nil, &protocol.Error{Status: 415, Code: protocol.CodeUnsupported, Message: "a body with a content-encoding cannot be turned into a gRPC message", NotSent: true}
	}
	c.accept, c.mediaType, c.rawQuery = req.Header.Value(protocol.NameAccept), req.Header.Value(protocol.NameContentType), req.RawQuery
	body := protocol.Body(&c.sent)
	if c.desc.IsStreamingClient() {
		c.lines.begin(c, req)
		body = &c.lines
	} else {
		if err := c.read(req); err != nil {
			return nil, err
		}
		var err error
		if c.frame, err = c.encode(c.frame[:0], c.raw, "body"); err != nil {
			return nil, err
		}
		c.sent.SetBytes(c.frame)
	}
	if err := PassTimeout(req); err != nil {
		return nil, err
	}
	c.deadline = req.Deadline
	resp, err := c.send(ctx, req, body, target)
	if err != nil {
		return nil, late(err, c.deadline)
	}
	return c.answer(req, resp)
}

// send gives the target a gRPC request, and the layers above the one they know.
func (c *call) send(ctx context.Context, req *protocol.Request, body protocol.Body, target protocol.Handler) (*protocol.Response, error) {
	method, path, query, has, was, length := req.Method, req.Path, req.RawQuery, req.HasQuery, req.Body, req.ContentLength
	defer func() {
		req.Method, req.Path, req.RawQuery, req.HasQuery, req.Body, req.ContentLength = method, path, query, has, was, length
		req.Header.DelKnown(protocol.NameTE)
		req.Header.DelKnown(protocol.NameContentType) // who renders errors asks what the client speaks
		if c.mediaType != "" {
			req.Header.AddKnown(protocol.NameContentType, "content-type", c.mediaType)
		}
	}()
	req.Method, req.Path, req.RawQuery, req.HasQuery = "POST", c.path, "", false
	req.Body, req.ContentLength = body, protocol.UnknownLength
	h := &req.Header
	for i := h.Len() - 1; i >= 0; i-- {
		switch h.At(i).ID() {
		case protocol.NameAccept, protocol.NameAcceptEncoding, protocol.NameExpect, protocol.NameContentEncoding, protocol.NameLastEventID:
			h.DelAt(i) // they speak of the JSON
		}
	}
	setCallHeader(h)
	return target.Serve(ctx, req)
}

// read reads the request's body whole.
func (c *call) read(req *protocol.Request) error {
	c.raw = c.raw[:0]
	if req.Body == nil {
		return nil
	}
	limit := int64(c.t.route.MessageLimit)
	if req.ContentLength > limit {
		return protocol.ErrBodyTooLarge
	}
	var err error
	if c.raw, err = protocol.ReadAll(c.raw, req.Body, limit); err != nil {
		var known *protocol.Error
		if errors.As(err, &known) {
			return known
		}
		return &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: "the request's body did not arrive whole", Cause: err, NotSent: true}
	}
	return nil
}

// encode appends a message with its prefix. raw is the JSON of what the binding says, root names it in errors.
func (c *call) encode(dst, raw []byte, root string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0)
	if quick, err := c.encodeQuick(dst, raw); err == nil {
		dst = quick
	} else if dst, err = c.encodeSlow(dst, raw, root); err != nil {
		return dst[:start], err
	}
	n := len(dst) - start - prefixLen
	if n > c.t.route.MessageLimit {
		return dst[:start], protocol.ErrBodyTooLarge
	}
	putPrefix(dst[start:], 0, n)
	return dst, nil
}

// encodeQuick appends a message without building it. On any error the slow way must judge.
func (c *call) encodeQuick(dst, raw []byte) ([]byte, error) {
	if c.in == nil {
		return nil, errSlow
	}
	var err error
	r := quickReader{options: c.options()}
	if c.body == bodyField {
		dst = protowire.AppendTag(dst, c.field.Number(), protowire.BytesType)
		at := len(dst)
		if dst, err = r.read(dst, raw, c.in); err != nil {
			return nil, err
		}
		dst = insertLength(dst, at)
	} else if dst, err = r.read(dst, raw, c.in); err != nil {
		return nil, err
	}
	if len(c.vars) == 0 && (c.body == bodyAll || c.rawQuery == "") {
		return dst, nil
	}
	// What path and query say stands behind the body: a field's later value replaces its earlier one, messages are merged.
	m := c.input.New()
	if err := c.fillRest(m); err != nil {
		return nil, err
	}
	for _, fields := range c.vars {
		if !given(m, fields) {
			return nil, errSlow // a zero is not written, and replaces nothing
		}
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m.Interface())
}

// encodeSlow appends a message that it builds first.
func (c *call) encodeSlow(dst, raw []byte, root string) ([]byte, error) {
	m := c.input.New()
	if err := c.fill(m, raw, root); err != nil {
		return dst, err
	}
	out, err := proto.MarshalOptions{}.MarshalAppend(dst, m.Interface())
	if err != nil {
		// proto2's required fields are all that can be wrong with it now.
		return dst, &protocol.Error{Status: 400, Code: protocol.CodeBadArgument, Message: root + ": a required field is missing", Cause: err, NotSent: true}
	}
	return out, nil
}

// fill sets the fields of m from body, path and query.
func (c *call) fill(m protoreflect.Message, raw []byte, root string) error {
	if err := c.fillBody(m, raw, root); err != nil {
		return err
	}
	return c.fillRest(m)
}

// fillRest sets the fields that come from path and query.
func (c *call) fillRest(m protoreflect.Message) error {
	for i, fields := range c.vars {
		if err := setText(m, fields, c.captures[i].Value, "path."+c.captures[i].Path); err != nil {
			return err
		}
	}
	if c.body == bodyAll {
		return nil
	}
	return c.query(m, c.rawQuery, &c.arena, c.t.route.JSON.IgnoreUnknown)
}

// release gives back what the call holds. Nothing of it may be in use any more.
func (c *call) release() {
	c.answers.release()
	c.lines.release()
	for _, b := range []*[]byte{&c.raw, &c.frame, &c.out} {
		if protocol.Poisoning {
			for i := range *b {
				(*b)[i] = '#'
			}
		}
		if cap(*b) > keptBuffer {
			*b = nil
		}
	}
	c.sent.SetBytes(nil)
	c.captures = c.captures[:0]
	c.arena.Reset()
	c.binding, c.inner, c.accept, c.mediaType, c.rawQuery = nil, nil, "", "", ""
	c.t.calls.Put(c)
}

// streamFormat says how a stream of answers is written, by what the client accepts. Quality values are
// not weighed: who accepts several forms is served with the first of them.
func streamFormat(accept string) format {
	for one := range strings.SplitSeq(accept, ",") {
		mediaType, _, _ := strings.Cut(one, ";")
		mediaType = strings.Trim(mediaType, " \t")
		switch {
		case protocol.EqualFold(mediaType, eventStream):
			return formatEvents
		case protocol.EqualFold(mediaType, "application/json"):
			return formatArray
		case protocol.EqualFold(mediaType, ndjson), protocol.EqualFold(mediaType, "application/ndjson"), protocol.EqualFold(mediaType, "application/jsonl"):
			return formatLines
		}
	}
	return formatLines
}
