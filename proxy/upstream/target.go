package upstream

import (
	"context"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// resolver finds the service of a request.
type resolver interface {
	resolve(ctx context.Context, req *protocol.Request) (*state, error)
}

// Target is the Handler that a route ends in.
type Target struct {
	to    resolver
	tries Tries
	hedge *hedge // nil: requests that are late just are
}

// NewTarget serves requests at svc.
func NewTarget(svc *Service, tries Tries) *Target { return &Target{to: svc, tries: tries} }

// Hedge makes the target send a second try of requests that are late; nil changes nothing.
func (t *Target) Hedge(c *config.Hedge) *Target {
	if c != nil {
		t.hedge = &hedge{delay: c.Delay}
	}
	return t
}

// Serve implements protocol.Handler.
func (t *Target) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	before := req.Deadline
	req.NarrowDeadline(t.tries.Timeout)
	st, err := t.to.resolve(ctx, req)
	if err != nil {
		req.Deadline = before
		return nil, err
	}
	whole := req.Deadline
	req.NarrowDeadline(t.tries.PerTry)
	var resp *protocol.Response
	var i *instance
	if t.hedge != nil && t.hedgeable(req, st) {
		resp, i, err = t.serveHedged(ctx, req, st)
	} else {
		resp, i, err = st.serve(ctx, req, nil)
	}
	if t.tries.Attempts > 0 && i != nil && (err != nil || t.tries.unwanted(resp.Status)) {
		resp, err = t.again(ctx, req, st, i, whole, resp, err)
	}
	// The timeout is for the head. A body may take its time: downloads and event streams are not late.
	req.Deadline = before
	return resp, err
}

// freeTries is how many tries that found nobody at home a request has beside its attempts, while there are instances that
// it was not at: when several die at once, it must find one of those that live.
const freeTries = 8

// again goes on after the first try failed with err, or gave an answer that is not wanted. It is apart from Serve so that
// requests that succeed pay nothing for it.
func (t *Target) again(ctx context.Context, req *protocol.Request, st *state, i *instance, whole int64, resp *protocol.Response, err error) (*protocol.Response, error) {
	tried := make([]*balance.Load, 0, t.tries.Attempts+1)
	for n, free := 0, 0; n < t.tries.Attempts; n++ {
		if notSent(err) && free < freeTries && len(tried)+1 < len(st.instances) {
			free, n = free+1, n-1 // nothing was tried yet: it only found that nobody is there
		}
		now := protocol.Now()
		switch {
		case whole != 0 && now >= whole:
			return resp, err
		case err != nil && !t.tries.repeats(ctx, req, err):
			return nil, err
		case err == nil && !(t.tries.unwanted(resp.Status) && t.tries.idempotent(req) && ctx.Err() == nil && req.Replayable()):
			return resp, nil
		case !notSent(err) && !i.service.mayRetry(now):
			return resp, err
		}
		tried = append(tried, i.load)
		note(req, i, resp, err)
		// The registry may have spoken meanwhile, and an instance that is gone is often why the first try failed.
		if fresh, resolveErr := t.to.resolve(ctx, req); resolveErr == nil {
			st = fresh
		}
		if len(tried) >= len(st.instances) && !t.tries.pause(ctx, max(n, 0), whole) {
			return resp, err
		}
		if resp != nil {
			if closeErr := resp.Close(); closeErr != nil {
				return nil, closeErr
			}
			resp = nil
		}
		req.Deadline = whole
		req.NarrowDeadline(t.tries.PerTry)
		var next error
		var where *instance
		resp, where, next = st.serve(ctx, req, tried)
		if where == nil {
			if err == nil {
				err = next
			}
			return nil, err // nobody is left to ask; the first reason tells more
		}
		i, err = where, next
	}
	return resp, err
}
