package grpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
)

// Route says what a Transcoder exposes, and how.
type Route struct {
	// Services are the full names of the services that can be called. Empty means all that are described.
	Services []string
	// MessageLimit bounds each message in bytes, as JSON and as protobuf, in either direction. Default DefaultMessageLimit.
	MessageLimit int
	// JSON says how messages look.
	JSON JSON
}

// Transcoder turns HTTP requests with JSON into gRPC calls, by the google.api.http annotations of the methods
// (google/api/http.proto). Each method can also be called by POST /pkg.Service/Method with its message as the body.
//
// It stands above the balancer: what goes down is an ordinary gRPC request. Requests that are gRPC already pass untouched.
//
// A stream of answers is written as the request's Accept wants it: "application/x-ndjson" (the default) has one message a
// line, "text/event-stream" one an event, "application/json" an array of them. A failure in the middle is a last line or
// event named "error"; an array is cut off instead, because a whole one would claim that nothing is missing. A stream of
// requests is JSON values, one a line or in an array.
//
// The status of a failed call becomes the HTTP status that google/rpc/code.proto gives for it, and a problem document
// (RFC 9457) with "grpcStatus", "detail" and, if the service sent them, "details".
type Transcoder struct {
	route       Route
	descriptors *Descriptors
	logger      *slog.Logger
	inflaters   inflaters
	calls       sync.Pool // of *call

	routes atomic.Pointer[routes]
	mu     sync.Mutex // one goroutine reads annotations
}

// NewTranscoder returns a Transcoder. The descriptors belong to the caller, who may give them to several. logger may be nil.
func NewTranscoder(route Route, descriptors *Descriptors, logger *slog.Logger) (*Transcoder, error) {
	if descriptors == nil {
		return nil, errors.New("no descriptors")
	}
	if route.MessageLimit < 0 {
		return nil, fmt.Errorf("message limit: %d is negative", route.MessageLimit)
	}
	if route.MessageLimit == 0 {
		route.MessageLimit = DefaultMessageLimit
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Transcoder{route: route, descriptors: descriptors, logger: logger}, nil
}

// Filter is the Transcoder as a protocol.Filter.
func (t *Transcoder) Filter(target protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		if IsCall(req) {
			return target.Serve(ctx, req)
		}
		return t.serve(ctx, req, target)
	})
}

// serve finds what a request means and calls it.
func (t *Transcoder) serve(ctx context.Context, req *protocol.Request, target protocol.Handler) (*protocol.Response, error) {
	schema, err := t.descriptors.schema(ctx, req.Deadline)
	if err != nil {
		return nil, err
	}
	r := t.routes.Load()
	if r == nil || r.schema != schema {
		r = t.compile(schema)
	}
	c := t.take()
	b, captures, allow, ok := r.router.Match(&req.Arena, req.Method, req.Path, c.captures[:0])
	c.captures = captures
	if !ok {
		t.calls.Put(c)
		t.descriptors.hint()
		if allow != "" {
			return nil, &protocol.Error{Status: 405, Code: protocol.CodeMethodNotAllowed, Message: "the path exists, but not with this method", Allow: allow, NotSent: true}
		}
		return nil, &protocol.Error{Status: 404, Code: protocol.CodeNoRoute, Message: "no method of a gRPC service has this path", NotSent: true}
	}
	c.binding, c.writer.types = b, schema.types
	resp, err := c.serve(ctx, req, target)
	if err != nil {
		c.release()
	}
	return resp, err
}

// compile reads the annotations of a new Schema.
func (t *Transcoder) compile(s *Schema) *routes {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.routes.Load(); r != nil && r.schema == s {
		return r
	}
	r := newRoutes(s, t.route.Services)
	for _, err := range r.problems {
		t.logger.Warn("a method cannot be called as it is annotated", "source", t.descriptors.source.String(), "error", err)
	}
	t.routes.Store(r)
	return r
}

func (t *Transcoder) take() *call {
	c, ok := t.calls.Get().(*call)
	if !ok {
		c = &call{t: t}
		c.writer.options = t.route.JSON
		c.answers.pool = &t.inflaters
	}
	return c
}

// Problems tells what of the annotations cannot be used, with the newest descriptors.
func (t *Transcoder) Problems() []error {
	if s := t.descriptors.current.Load(); s != nil {
		return t.compile(s).problems
	}
	return nil
}
