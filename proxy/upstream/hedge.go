package upstream

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// hedge sends a second try of a request to another instance when the first takes longer than requests of the service usually
// do; the first answer counts, and the other try is given up (Dean and Barroso, "The Tail at Scale", CACM 2013). It is for
// requests that may run twice and have no body, and each second try is taken out of the service's retry budget.
type hedge struct {
	delay time.Duration // 0: the service's own 95th percentile
}

// race is the two tries of one request.
type race struct {
	target *Target
	state  *state
	req    *protocol.Request
	first  *instance
	giveUp func() // of the first try

	mu sync.Mutex
	// over: the first has its answer, and the request must not be looked at any more.
	over    bool
	running bool
	cancel  func()             // gives the second try up
	ended   chan struct{}      // closed when the second has ended
	resp    *protocol.Response // the second's, if it came first
	second  *instance
	double  *protocol.Request
}

// hedgeable reports whether a request may be hedged at all.
func (t *Target) hedgeable(req *protocol.Request, st *state) bool {
	return len(st.instances) > 1 && req.Body == nil && req.Upgrade == "" && req.Call == nil && t.tries.idempotent(req)
}

// serveHedged is state.serve with a second try for those that are late.
func (t *Target) serveHedged(ctx context.Context, req *protocol.Request, st *state) (*protocol.Response, *instance, error) {
	service := st.instances[0].service
	delay := t.hedge.delay
	if delay == 0 {
		if delay = service.usual.late(); delay == 0 {
			resp, i, err := st.serve(ctx, req, nil) // too few answers to know what is late
			service.usual.observe(req.Record.UpstreamNanos)
			return resp, i, err
		}
	}
	now := protocol.Now()
	first := st.pickNow(now, req, nil)
	if first == nil {
		return st.serve(ctx, req, nil) // it has to wait for a place, and is late already
	}
	own := newTryContext(ctx)
	giveUp := own.giveUp
	r := &race{target: t, state: st, req: req, first: first, giveUp: giveUp, ended: make(chan struct{})}
	timer := time.AfterFunc(delay, func() { r.run(ctx) })
	resp, err := st.serveAt(own, req, first, now)
	timer.Stop()

	r.mu.Lock()
	running := r.running
	if err == nil && r.resp != nil {
		// Both have an answer, and the second was quicker by a hair: the first was given up already.
		r.mu.Unlock()
		_ = resp.Close()
		giveUp()
		return r.adopt(err), r.second, nil
	}
	if err == nil || !running {
		r.over = true
		if running {
			r.cancel()
		}
		r.mu.Unlock()
		if err != nil {
			giveUp()
			return nil, first, err
		}
		service.usual.observe(req.Record.UpstreamNanos)
		resp.OnClose(finish(giveUp))
		return resp, first, nil
	}
	r.mu.Unlock()
	<-r.ended // the first has failed, or was given up: now it is the second's word
	giveUp()
	if r.resp == nil {
		r.cancel()
		return nil, first, err
	}
	first.load.Observe(protocol.Now(), protocol.Now()-now) // as long as this at least
	return r.adopt(err), r.second, nil
}

// pickNow picks an instance that has a place for the request now, or none.
func (s *state) pickNow(now int64, req *protocol.Request, tried []*balance.Load) *instance {
	if l := s.instances[0].service.limits; l != nil {
		return l.reserve(req, s, now, tried)
	}
	return s.choose(now, req, tried)
}

// run is the second try. It begins when the first is late.
func (r *race) run(ctx context.Context) {
	r.mu.Lock()
	now := protocol.Now()
	if r.over || !r.first.service.mayRetry(now) {
		r.mu.Unlock()
		return
	}
	// Under the lock: the request is reused once the first has its answer.
	r.double = CopyHead(r.req)
	second := r.state.pickNow(now, r.double, []*balance.Load{r.first.load})
	if second == nil {
		r.mu.Unlock()
		return
	}
	own := newTryContext(ctx)
	cancel := own.giveUp
	r.running, r.cancel, r.second = true, cancel, second
	store := second.service.store
	store.closing.Add(1)
	defer store.closing.Done()
	r.mu.Unlock()

	resp, err := r.state.serveAt(own, r.double, second, now)

	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(r.ended)
	switch {
	case err != nil:
		cancel()
	case r.over:
		cancel()
		_ = resp.Close()
	default:
		r.resp = resp
		r.giveUp()
	}
}

// adopt makes the second's answer the request's own. err is how the first ended.
func (r *race) adopt(err error) *protocol.Response {
	r.note(err)
	inner := r.resp
	resp := r.req.NewResponse()
	resp.Status, resp.ContentLength = inner.Status, inner.ContentLength
	for i := range inner.Header.Len() {
		f := inner.Header.At(i)
		resp.Header.AddKnown(f.ID(), f.Name, f.Value)
	}
	if inner.Body != nil {
		resp.Body = &adopted{inner.Body, inner, resp}
	}
	record := &r.req.Record
	record.Service, record.Instance, record.UpstreamNanos = r.double.Record.Service, r.double.Record.Instance, r.double.Record.UpstreamNanos
	record.Attempts++
	resp.OnClose(finish(func() {
		if err := resp.Err(); err != nil {
			inner.Fail(err)
		}
		_ = inner.Close()
		r.cancel()
	}))
	return resp
}

// adopted is the body of another response, whose trailers it passes on.
type adopted struct {
	protocol.Body
	inner, outer *protocol.Response
}

// Next implements protocol.Body.
func (a *adopted) Next() ([]byte, bool, error) {
	piece, more, err := a.Body.Next()
	if !more && err == nil {
		for i := range a.inner.Trailer.Len() {
			f := a.inner.Trailer.At(i)
			a.outer.Trailer.AddKnown(f.ID(), f.Name, f.Value)
		}
	}
	return piece, more, err
}

// finish is a function as a finisher.
type finish func()

// Finish implements protocol.Finisher.
func (f finish) Finish(*protocol.Request, *protocol.Response, error) { f() }

// CopyHead is a request without a body that says the same, and lives by itself.
func CopyHead(req *protocol.Request) *protocol.Request {
	double := &protocol.Request{
		Method: strings.Clone(req.Method), Scheme: strings.Clone(req.Scheme), Authority: strings.Clone(req.Authority),
		Path: strings.Clone(req.Path), RawQuery: strings.Clone(req.RawQuery), HasQuery: req.HasQuery, Version: req.Version,
		Peer: req.Peer, Client: req.Client, TLS: req.TLS, ID: strings.Clone(req.ID), Start: req.Start, Deadline: req.Deadline,
	}
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		double.Header.AddKnown(f.ID(), strings.Clone(f.Name), strings.Clone(f.Value))
	}
	return double
}
