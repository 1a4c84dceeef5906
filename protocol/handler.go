package protocol

import "context"

// Handler answers one request. The whole data plane is Handlers made of Handlers.
//
// Exactly one of response and error is non-nil. A Handler that returns a Response hands over the duty to Close it. A
// Handler that returns an error has released whatever it took; the error is rendered once, at the edge.
//
// ctx belongs to the exchange: it is done when the client is gone or the server gives the exchange up. Asking ctx.Err()
// looks at the client's socket, so a waiter that blocks elsewhere can ask now and then instead of keeping a goroutine.
// The time by which an answer is worth having is Request.Deadline, not a derived context (docs/design/0001).
type Handler interface {
	Serve(ctx context.Context, req *Request) (*Response, error)
}

// HandlerFunc lets a plain function be a Handler.
type HandlerFunc func(ctx context.Context, req *Request) (*Response, error)

// Serve calls f.
func (f HandlerFunc) Serve(ctx context.Context, req *Request) (*Response, error) { return f(ctx, req) }

// Filter wraps a Handler: before next is the request's way in, after it the response's way out.
//
// A Filter is called once, when a plan is compiled; the Handler it returns serves many requests at once and keeps no
// state of any of them. It may rewrite the request in place, because retries happen below all rewriting filters.
type Filter func(next Handler) Handler

// Chain wraps h in filters so that the first one listed sees the request first.
func Chain(h Handler, filters ...Filter) Handler {
	for i := len(filters) - 1; i >= 0; i-- {
		h = filters[i](h)
	}
	return h
}

// Finisher is told once that an exchange has ended. err is nil when the response reached the client whole.
//
// It is an interface and not a func so that a stateless filter can be its own Finisher: no closure per request.
type Finisher interface {
	Finish(req *Request, resp *Response, err error)
}
