package dubbo

import (
	"bytes"
	"errors"
	"strconv"
	"unsafe"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// arguments collects the arguments of a request into c.args and chooses the overload that they are for.
func (c *transcoding) arguments(req *protocol.Request, o *overloads) (*plan, error) {
	c.args, c.document = c.args[:0], c.document[:0]
	if cap(c.document) > keptBuffer {
		c.document = nil
	}
	switch {
	case c.t.route.Args != nil:
		return c.fromTemplates(req, o)
	case len(c.body) > 0:
		return c.fromBody(o)
	case req.RawQuery != "":
		return c.fromQuery(req, o)
	}
	return c.choose(o, "")
}

// fromTemplates makes the arguments that the route describes.
func (c *transcoding) fromTemplates(req *protocol.Request, o *overloads) (*plan, error) {
	for i := range c.t.templates {
		a, err := c.fromTemplate(req, &c.t.templates[i])
		if err != nil {
			return nil, argumentError(err, a.root)
		}
		c.args = append(c.args, a)
	}
	return c.choose(o, " in the route")
}

func (c *transcoding) fromTemplate(req *protocol.Request, t *template) (argument, error) {
	a := argument{root: t.root}
	switch {
	case t.document:
		return c.fromDocument(req, t)
	case len(t.parts) > 1:
		start := len(c.document)
		for i := range t.parts {
			text, _ := t.parts[i].text(req)
			c.document = append(c.document, text...)
		}
		a.text, a.has = req.Arena.String(c.document[start:]), true
		return a, nil
	case t.parts[0].kind == bodySource:
		var err error
		if len(c.body) > 0 {
			a.json, err = t.parts[0].find(c.body)
		}
		return a, err
	}
	p := &t.parts[0]
	a.text, a.has = p.text(req)
	if p.kind == querySource {
		a.query = p.name
	}
	return a, nil
}

// fromDocument writes the JSON of a list or map of templates. What is not there is null.
func (c *transcoding) fromDocument(req *protocol.Request, t *template) (argument, error) {
	a := argument{root: t.root}
	// A buffer of its own: another argument may grow c.document under it.
	var doc []byte
	for i := range t.parts {
		p := &t.parts[i]
		if p.json {
			doc = append(doc, p.name...)
			continue
		}
		if p.kind == bodySource {
			value := c.body
			var err error
			if len(value) > 0 {
				value, err = p.find(value)
			}
			if err == nil && len(value) > 0 {
				err = types.Valid(value)
			}
			if err != nil {
				a.root = p.describe(t.root)
				return a, err
			}
			doc = appendOrNull(doc, value)
			continue
		}
		text, ok := p.text(req)
		if !ok {
			doc = appendOrNull(doc, nil)
			continue
		}
		doc = appendScalar(doc, text)
	}
	a.json = doc
	c.takeScalars()
	return a, nil
}

// appendScalar writes text as the JSON scalar that it looks like, since it is not known here which type it will meet. A
// String takes the scalar's own text back.
func appendScalar(dst []byte, text string) []byte {
	b := unsafe.Slice(unsafe.StringData(text), len(text))
	switch types.KindOf(b) {
	case types.Bool, types.Integer, types.Fraction:
		if types.Valid(b) == nil && len(bytes.TrimSpace(b)) == len(b) {
			return append(dst, text...)
		}
	}
	return protocol.AppendJSONString(dst, text)
}

// takeScalars lets String parameters of this call take what appendScalar wrote.
func (c *transcoding) takeScalars() {
	options := c.t.options
	options.StringsFromScalars = true
	c.encoder.Reset(&options)
}

func appendOrNull(dst, value []byte) []byte {
	if len(value) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, value...)
}

// fromBody reads the whole body as the arguments.
func (c *transcoding) fromBody(o *overloads) (*plan, error) {
	kind := types.KindOf(c.body)
	if len(o.methods) == 1 {
		switch m := o.methods[0]; {
		case len(m.Params) == 0:
			if !saysNothing(c.body) {
				return nil, countError(m, "a body")
			}
			return o.plans[0], nil
		case len(m.Params) == 1 && (kind != types.Array || takesArray(m.Params[0])):
			c.args = append(c.args, argument{root: "body", json: c.body})
			return o.plans[0], nil
		}
	}
	if kind != types.Array {
		c.args = append(c.args, argument{root: "body", json: c.body})
		if _, isNone := c.chooseQuietly(o); isNone && saysNothing(c.body) {
			c.args = c.args[:0]
		}
		return c.choose(o, " JSON value that is no array")
	}
	var err error
	if c.elements, err = types.Elements(c.elements[:0], c.body); err != nil {
		return nil, argumentError(err, "body")
	}
	for i, e := range c.elements {
		c.args = append(c.args, argument{root: elementRoot(i), json: e})
	}
	// With overloads an array is the arguments, unless only a method that takes one array fits.
	if _, isNone := c.chooseQuietly(o); isNone {
		positional := c.args
		c.args = append(c.args[len(c.args):], argument{root: "body", json: c.body})
		if p, none := c.chooseQuietly(o); !none && p != nil && takesArray(p.method.Params[0]) {
			return p, nil
		}
		c.args = positional
	}
	return c.choose(o, " in the array")
}

func elementRoot(i int) string {
	const few = "body[0]body[1]body[2]body[3]body[4]body[5]body[6]body[7]"
	if n := len("body[0]"); i < len(few)/n {
		return few[i*n : (i+1)*n]
	}
	return "body[" + strconv.Itoa(i) + "]"
}

func takesArray(t *types.Type) bool {
	if _, isList := t.Elem(); isList {
		return true
	}
	return t.Erased() == "java.lang.Object"
}

// saysNothing reports whether a body is one that a method without parameters may get.
func saysNothing(body []byte) bool {
	switch string(body) {
	case "null", "[]", "{}":
		return true
	}
	return false
}

// fromQuery makes the arguments of a request without a body.
func (c *transcoding) fromQuery(req *protocol.Request, o *overloads) (*plan, error) {
	if len(o.methods) == 1 {
		m := o.methods[0]
		switch {
		case len(m.Params) == 0:
			return o.plans[0], nil
		case len(m.Params) == 1 && m.Params[0].IsObject():
			c.args = append(c.args, argument{root: "query", json: queryObject(req.RawQuery)})
			c.takeScalars()
			return o.plans[0], nil
		case len(m.Params) == 1:
			if _, isList := m.Params[0].Elem(); isList {
				a := argument{root: "query", has: true}
				queryValues(req.RawQuery, "", func(name, value string) bool {
					a.query, a.text = name, value
					return false
				})
				c.args = append(c.args, a)
				return o.plans[0], nil
			}
		}
	}
	queryValues(req.RawQuery, "", func(name, value string) bool {
		c.args = append(c.args, argument{root: "query." + name, text: value, has: true})
		return true
	})
	return c.choose(o, " in the query")
}

// queryObject writes a query as a JSON object.
func queryObject(rawQuery string) []byte {
	doc := []byte{'{'}
	queryValues(rawQuery, "", func(name, value string) bool {
		if len(doc) > 1 {
			doc = append(doc, ',')
		}
		doc = append(protocol.AppendJSONString(doc, name), ':')
		doc = appendScalar(doc, value)
		return true
	})
	return append(doc, '}')
}

// choose picks the overload for c.args. where says in an error where they came from.
func (c *transcoding) choose(o *overloads, where string) (*plan, error) {
	if len(o.methods) == 1 {
		m := o.methods[0]
		switch {
		case len(m.Params) == len(c.args):
			return o.plans[0], nil
		case where == "":
			return nil, countError(m, "nothing")
		}
		return nil, countError(m, strconv.Itoa(len(c.args))+where)
	}
	m, err := types.Choose(o.methods, c.shapes()...)
	if err != nil {
		return nil, argumentError(err, "body")
	}
	return o.of(m), nil
}

// chooseQuietly tries; none tells that no overload fits.
func (c *transcoding) chooseQuietly(o *overloads) (p *plan, none bool) {
	m, err := types.Choose(o.methods, c.shapes()...)
	if err != nil {
		var e *types.OverloadError
		return nil, errors.As(err, &e) && !e.Ambiguous
	}
	return o.of(m), false
}

func (c *transcoding) shapes() []types.Kind {
	c.kinds = c.kinds[:0]
	for i := range c.args {
		c.kinds = append(c.kinds, c.args[i].kind())
	}
	return c.kinds
}
