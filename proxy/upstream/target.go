package upstream

import (
	"context"
	"errors"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// resolver finds the service of a request.
type resolver interface {
	resolve(ctx context.Context, req *protocol.Request) (*state, error)
}

// Target is the Handler that a route ends in.
type Target struct {
	to       resolver
	timeout  int64
	attempts int
}

// NewTarget serves requests at svc. timeout, in nanoseconds, bounds the time until the answer's head, with all attempts;
// 0 means none. attempts are those beyond the first.
func NewTarget(svc *Service, timeout int64, attempts int) *Target {
	return &Target{to: svc, timeout: timeout, attempts: attempts}
}

// Serve implements protocol.Handler.
func (t *Target) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	before := req.Deadline
	req.NarrowDeadline(t.timeout)
	st, err := t.to.resolve(ctx, req)
	if err != nil {
		req.Deadline = before
		return nil, err
	}
	resp, i, err := st.serve(ctx, req, nil)
	if err != nil && i != nil && t.attempts > 0 {
		resp, err = t.retry(ctx, req, st, i, err)
	}
	// The timeout is for the head. A body may take its time: downloads and event streams are not late.
	req.Deadline = before
	return resp, err
}

// retry goes on after the first attempt failed with err. It is apart from Serve so that requests that succeed pay nothing
// for it.
func (t *Target) retry(ctx context.Context, req *protocol.Request, st *state, i *instance, err error) (*protocol.Response, error) {
	tried := make([]*balance.Load, 0, t.attempts)
	for range t.attempts {
		if !again(ctx, req, err) {
			return nil, err
		}
		tried = append(tried, i.load)
		// The registry may have spoken meanwhile, and an instance that is gone is often why the first attempt failed.
		if fresh, resolveErr := t.to.resolve(ctx, req); resolveErr == nil {
			st = fresh
		}
		var resp *protocol.Response
		var next error
		resp, i, next = st.serve(ctx, req, tried)
		if next == nil {
			return resp, nil
		}
		if i == nil {
			return nil, err // nobody is left to ask; the first reason tells more
		}
		err = next
	}
	return nil, err
}

// again reports whether a request that failed with err may be sent to another instance: when nothing of it was sent, or
// sending it twice does no harm (RFC 9110 section 9.2.2), and it still can be.
func again(ctx context.Context, req *protocol.Request, err error) bool {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return false
	}
	switch {
	case e.NotSent:
	case !idempotent(req):
		return false
	case e.Code != protocol.CodeUpstreamConnect && e.Code != protocol.CodeUpstreamReset && e.Code != protocol.CodeUpstreamBusy:
		return false
	}
	if req.Deadline != 0 && protocol.Now() >= req.Deadline {
		return false
	}
	return ctx.Err() == nil && req.Replayable()
}

// idempotent is about the request as the client sent it; what a transcoder made of it (a call) is never known to be.
func idempotent(req *protocol.Request) bool {
	if req.Call != nil {
		return false
	}
	switch req.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
