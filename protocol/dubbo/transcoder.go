package dubbo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// Part says which exact group and version a request is for, where the route leaves them open.
type Part func(req *protocol.Request) (group, version string, err error)

// Transcoder turns HTTP requests into calls of one route's Dubbo method. It stands above the balancer: the handler below it
// finds an *Invocation in Request.Call.
//
// A route without Args takes the arguments from the request by these rules, which need no names, because Java interfaces
// publish none:
//
//   - A body is the argument of a method with one parameter. A JSON array is that argument if the parameter can be an array;
//     otherwise, and for several parameters, its elements are the arguments in their order.
//   - Without a body, the query makes the argument of a method with one bean or map: each query parameter is a property.
//     Otherwise its values are the arguments, in the order in which they are written.
//   - A method without parameters takes no body, or one that says nothing: null, [] or {}. Its query is not looked at.
//
// The answer is the result as application/json. A method that the definition calls void answers 204; any other null is a
// JSON null.
type Transcoder struct {
	route     Route
	templates []template
	// dynamic is set when the method's name holds captures.
	dynamic []part
	// readsBody is false when no argument can come from the body.
	readsBody bool
	options   types.Options
	part      Part
	catalog   *Catalog

	// entry is the definition of a route whose service is fixed; entries are those of the parts that requests chose.
	entry *Entry
	// recent is the entry that was used last, which nearly always is the one that is used next.
	recent  atomic.Pointer[Entry]
	mu      sync.Mutex
	entries map[Service]*Entry
	closed  bool

	// typed are the plans of Route.Types, for the definition that they were made with.
	typed atomic.Pointer[typedPlans]
	calls sync.Pool // of *transcoding
}

type typedPlans struct {
	from      *servicePlans
	overloads *overloads
	method    string
	err       error
}

// NewTranscoder checks a route and begins to follow its service's definition. part may be nil when the route names a group
// and a version, or means the service that has neither. Close the Transcoder when the route is given up.
func NewTranscoder(route Route, catalog *Catalog, part Part) (*Transcoder, error) {
	if err := route.validate(); err != nil {
		return nil, err
	}
	t := &Transcoder{route: route, part: part, catalog: catalog, readsBody: route.Args == nil, entries: map[Service]*Entry{}}
	if t.route.BodyLimit <= 0 {
		t.route.BodyLimit = 8 << 20
	}
	if route.Unknown == "ignore" {
		t.options.Unknown = types.IgnoreUnknown
	}
	var err error
	if t.dynamic, err = parseMethod(route.Method); err != nil {
		return nil, fmt.Errorf("method: %w", err)
	}
	if t.templates, err = parseTemplates(route.Args); err != nil {
		return nil, err
	}
	for i := range t.templates {
		t.readsBody = t.readsBody || t.templates[i].usesBody()
	}
	if part == nil {
		t.entry = catalog.Acquire(Service{route.Interface, route.Group, route.Version})
	}
	return t, nil
}

// Close stops following definitions. No request may be in the Transcoder any more.
func (t *Transcoder) Close() {
	if t.entry != nil {
		t.entry.Release()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, e := range t.entries {
		e.Release()
	}
	clear(t.entries)
}

// Filter is the Transcoder as a protocol.Filter.
func (t *Transcoder) Filter(next protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		return t.serve(ctx, req, next)
	})
}

func (t *Transcoder) serve(ctx context.Context, req *protocol.Request, next protocol.Handler) (*protocol.Response, error) {
	c := t.take()
	// The client below has copied what it needs when it returns, whatever became of the call.
	defer t.calls.Put(c)
	if err := c.prepare(ctx, req); err != nil {
		return nil, err
	}
	req.Call = &c.inv
	resp, err := next.Serve(ctx, req)
	req.Call = nil
	return resp, err
}

func (t *Transcoder) take() *transcoding {
	c, ok := t.calls.Get().(*transcoding)
	if !ok {
		c = &transcoding{t: t}
	}
	c.inv.reset()
	c.encoder.Reset(&t.options)
	return c
}

// lookup finds the definition entry of a service.
func (t *Transcoder) lookup(s Service) (*Entry, error) {
	if t.entry != nil {
		return t.entry, nil
	}
	if e := t.recent.Load(); e != nil && e.service == s {
		return e, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[s]
	if e == nil {
		if t.closed {
			return nil, protocol.NewError(503, protocol.CodeShuttingDown, "the route is gone")
		}
		e = t.catalog.Acquire(s)
		t.entries[s] = e
	}
	t.recent.Store(e)
	return e, nil
}

// candidates gives the overloads that a call can mean.
func (t *Transcoder) candidates(p *servicePlans, method string) (*overloads, error) {
	if t.route.Types != nil {
		return t.stated(p, method)
	}
	if o := p.methods[method]; o != nil {
		return o, nil
	}
	switch {
	case p.definition == nil:
		return nil, noDefinition("the parameter types of "+t.route.Interface+"."+method+
			" are unknown: the registry holds no definition of the service; name them in the route, in dubbo.types", nil)
	case t.dynamic != nil:
		return nil, protocol.NewError(404, protocol.CodeNoRoute, "the service has no method of this name")
	}
	return nil, noDefinition("the definition of "+t.route.Interface+" has no method "+method, nil)
}

// stated gives the one plan that the route's types make with the current definition.
func (t *Transcoder) stated(p *servicePlans, method string) (*overloads, error) {
	s := t.typed.Load()
	if s == nil || s.from != p || s.method != method {
		s = &typedPlans{from: p, method: method}
		m, err := p.definition.Signature(method, t.route.Types)
		if err != nil {
			s.err = noDefinition("the route's dubbo.types do not fit the service", err)
		} else {
			s.overloads = newOverloads(m)
		}
		t.typed.Store(s)
	}
	return s.overloads, s.err
}

// argumentError turns what the types package says about an argument into an answer.
func argumentError(err error, root string) error {
	var wrong *types.ArgumentError
	var overload *types.OverloadError
	switch {
	case errors.As(err, &wrong):
		path := root + strings.TrimPrefix(wrong.Path, "$")
		return &protocol.Error{
			Status: 400, Code: protocol.CodeBadArgument, NotSent: true,
			Message: path + ": expected " + wrong.Expected + ", got " + wrong.Got,
			Details: []protocol.Detail{{Name: "path", Value: path}, {Name: "expected", Value: wrong.Expected}, {Name: "value", Value: wrong.Got}},
		}
	case errors.As(err, &overload):
		e := &protocol.Error{Status: 400, Code: protocol.CodeBadArgument, Message: overload.Error(), NotSent: true}
		if len(overload.Candidates) > 0 {
			e.Details = append(e.Details, protocol.Detail{Name: "signatures", Value: strings.Join(overload.Candidates, "; ")})
		}
		return e
	}
	return err
}

// countError is for a call with a wrong number of arguments.
func countError(m *types.Method, got string) error {
	return argumentError(&types.ArgumentError{Path: "$", Expected: fmt.Sprintf("the %d arguments of %s", len(m.Params), m), Got: got}, "body")
}
