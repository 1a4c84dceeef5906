package proxy

import (
	"context"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
)

// server is the Handler that listeners hand requests to. It never returns an error.
type server struct {
	plan atomic.Pointer[Plan]
}

// Serve implements protocol.Handler.
func (s *server) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	if req.Start == 0 {
		req.Start = protocol.Now()
	}
	req.Record.Path = req.Path
	if id := req.Header.Value(protocol.NameXRequestID); id != "" && req.ID == "" {
		req.ID = id
	}
	for {
		p := s.plan.Load()
		c, ok, allow := p.table.Match(req)
		if !ok {
			c = p.lost
		}
		// A plan is given up when no request of it is counted. Counting first and looking again closes the gap between
		// loading the pointer and being counted: whoever was too late sees the new plan.
		c.inflight.Add(1)
		if s.plan.Load() != p {
			c.inflight.Add(-1)
			continue
		}
		if !ok {
			return c.noRoute(req, allow), nil
		}
		return c.serve(ctx, req), nil
	}
}

func (c *compiled) serve(ctx context.Context, req *protocol.Request) *protocol.Response {
	c.counts.Begin()
	req.Record.Route = c.config.Name
	var resp *protocol.Response
	defer func() {
		// A panic below is the listener's to report; here only the books must not stay open.
		if resp == nil {
			req.Record.Code = protocol.CodeInternal
			c.counts.End(&req.Record, 500, protocol.Now()-req.Start)
			c.inflight.Add(-1)
		}
	}()
	answer, err := c.handler.Serve(ctx, req)
	if err != nil {
		answer = render(req, err)
	}
	answer.OnClose(c)
	resp = answer
	return resp
}

// noRoute answers a request that no route wants.
func (c *compiled) noRoute(req *protocol.Request, allow string) *protocol.Response {
	c.counts.Begin()
	resp := render(req, unrouted(allow))
	resp.OnClose(c)
	return resp
}

// unrouted is what a request without a route is answered; allow lists the methods that would have had one.
func unrouted(allow string) *protocol.Error {
	if allow == "" {
		return protocol.NewError(404, protocol.CodeNoRoute, "no route matches this host and path")
	}
	e := protocol.NewError(405, protocol.CodeMethodNotAllowed, "no route takes this method here")
	e.Allow = allow
	return e
}

// refused keeps the books of a request that a listener turned away before any route could see it.
func (s *server) refused(req *protocol.Request, e *protocol.Error) {
	c := s.plan.Load().lost
	req.Record.Code, req.Record.Err = e.Code, e
	nanos := int64(0)
	if req.Start != 0 {
		nanos = protocol.Now() - req.Start
	}
	c.counts.Begin()
	c.counts.End(&req.Record, e.Status, nanos)
	c.log.Log(req, e.Status, nanos)
	c.recent.Note(req, e.Status, nanos)
}

// unanswered is the end of a route whose filters answer themselves.
func unanswered(context.Context, *protocol.Request) (*protocol.Response, error) {
	return nil, errUnanswered
}
