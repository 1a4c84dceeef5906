package dubbo

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// transcoding is one request's way through a Transcoder: memory that the next request uses again.
type transcoding struct {
	t       *Transcoder
	inv     Invocation
	encoder types.Encoder

	body     []byte
	args     []argument
	kinds    []types.Kind
	elements [][]byte
	// document is where texts made of parts are put together.
	document []byte
}

// keptBuffer is the largest buffer that is kept for the next request.
const keptBuffer = 64 << 10

// argument is a value on its way to a parameter.
type argument struct {
	// root names it in errors.
	root string
	// json is the value as JSON. If it is nil, text is the value, or if that is absent too the argument is null.
	json []byte
	text string
	has  bool
	// query names the query parameter that a list takes all values of.
	query string
}

func (a *argument) kind() types.Kind {
	switch {
	case a.json != nil:
		return types.KindOf(a.json)
	case a.has:
		return types.Text
	}
	return types.Null
}

// prepare fills in the invocation.
func (c *transcoding) prepare(ctx context.Context, req *protocol.Request) error {
	t := c.t
	service := Service{t.route.Interface, t.route.Group, t.route.Version}
	if t.part != nil {
		var err error
		if service.Group, service.Version, err = t.part(req); err != nil {
			return err
		}
	}
	method := t.route.Method
	if t.dynamic != nil {
		var name strings.Builder
		for i := range t.dynamic {
			text, _ := t.dynamic[i].text(req)
			name.WriteString(text)
		}
		method = name.String()
	}
	c.inv.Interface, c.inv.Group, c.inv.Version, c.inv.Method = service.Interface, service.Group, service.Version, method

	entry, err := t.lookup(service)
	if err != nil {
		return err
	}
	plans, err := entry.plans(ctx, req.Deadline)
	if err != nil {
		return err
	}
	candidates, err := t.candidates(plans, method)
	if err != nil {
		return err
	}
	if candidates, err = c.narrow(req, candidates); err != nil {
		return err
	}
	if err := c.readBody(req); err != nil {
		return err
	}
	plan, err := c.arguments(req, candidates)
	if err != nil {
		return err
	}
	if err := c.encode(req, plan); err != nil {
		return err
	}
	c.attach(req)
	return nil
}

// narrow obeys the header that chooses an overload. Only what the definition knows can be chosen.
func (c *transcoding) narrow(req *protocol.Request, o *overloads) (*overloads, error) {
	if len(o.methods) == 1 {
		return o, nil
	}
	signature, ok := req.Header.Lookup(HeaderSignature)
	if !ok {
		return o, nil
	}
	wanted := strings.ReplaceAll(signature, " ", "")
	var candidates []string
	for i, m := range o.methods {
		if strings.Join(m.ErasedTypes, ",") == wanted {
			return &overloads{o.methods[i : i+1], o.plans[i : i+1]}, nil
		}
		candidates = append(candidates, m.String())
	}
	return nil, argumentError(&types.ArgumentError{
		Path: "$", Expected: "the parameter types of one of " + strings.Join(candidates, ", "), Got: signature,
	}, "header."+HeaderSignature)
}

func (c *transcoding) readBody(req *protocol.Request) error {
	c.body = c.body[:0]
	if cap(c.body) > keptBuffer {
		c.body = nil
	}
	if !c.t.readsBody || req.Body == nil {
		return nil
	}
	if req.ContentLength > c.t.route.BodyLimit {
		return protocol.ErrBodyTooLarge
	}
	var err error
	c.body, err = protocol.ReadAll(c.body, req.Body, c.t.route.BodyLimit)
	if err != nil {
		var known *protocol.Error
		if errors.As(err, &known) {
			return known
		}
		return &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: "the request's body did not arrive whole", Cause: err, NotSent: true}
	}
	c.body = bytes.TrimSpace(c.body)
	return nil
}

// encode appends the plan's prefix and the arguments in their types.
func (c *transcoding) encode(req *protocol.Request, p *plan) error {
	c.inv.generic, c.inv.void = p.generic, p.void
	if cap(c.inv.args) > keptBuffer {
		c.inv.args = nil
	}
	dst := append(c.inv.args, p.prefix...)
	for i := range c.args {
		var err error
		if dst, err = c.encodeOne(dst, req, &c.args[i], p.method.Params[i]); err != nil {
			return argumentError(err, c.args[i].root)
		}
	}
	c.inv.args = dst
	return nil
}

func (c *transcoding) encodeOne(dst []byte, req *protocol.Request, a *argument, typ *types.Type) ([]byte, error) {
	switch {
	case a.json != nil:
		dst, rest, err := c.encoder.AppendJSON(dst, typ, a.json)
		if err == nil && len(bytes.TrimSpace(rest)) > 0 {
			err = &types.ArgumentError{Path: "$", Expected: "one JSON value", Got: "more after it"}
		}
		return dst, err
	case !a.has:
		return c.encoder.AppendNull(dst, typ)
	case a.query != "":
		if elem, ok := typ.Elem(); ok && (a.text == "" || a.text[0] != '[') {
			return c.encodeValues(dst, req, a.query, elem)
		}
	}
	return c.encoder.AppendText(dst, typ, a.text)
}

// encodeValues makes a list of a query parameter that is repeated.
func (c *transcoding) encodeValues(dst []byte, req *protocol.Request, name string, elem *types.Type) ([]byte, error) {
	dst, mark := hessian.AppendListStart(dst)
	n := 0
	var err error
	queryValues(req.RawQuery, name, func(_, value string) bool {
		dst, err = c.encoder.AppendText(dst, elem, value)
		n++
		return err == nil
	})
	hessian.PatchListLength(dst, mark, n)
	return dst, err
}

// attach passes on the headers that the route lists, and the trace that the request belongs to.
func (c *transcoding) attach(req *protocol.Request) {
	c.attachHeader(req, "traceparent")
	c.attachHeader(req, "tracestate")
	for _, name := range c.t.route.Attachments {
		c.attachHeader(req, name)
	}
}

func (c *transcoding) attachHeader(req *protocol.Request, name string) {
	if v, ok := req.Header.Lookup(name); ok {
		c.inv.addAttachment(name, v)
	}
}
