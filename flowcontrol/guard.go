package flowcontrol

import (
	"context"
	"errors"
	"time"

	"github.com/alibaba/sentinel-golang/api"
	"github.com/alibaba/sentinel-golang/core/base"

	"github.com/sluice-gateway/sluice/protocol"
)

// Guard asks Sentinel about every request of one resource.
type Guard struct {
	resource string // Sentinel's name
	name     string // ours
	options  []api.EntryOption
}

// Guard returns the guard of a resource. The limits are those of the last Apply.
func (e *Engine) Guard(resource string) *Guard {
	return &Guard{
		resource: e.resource(resource), name: resource,
		options: []api.EntryOption{
			api.WithTrafficType(base.Inbound), api.WithResourceType(base.ResTypeAPIGateway), api.WithSlotChain(e.chain),
		},
	}
}

// Filter returns the guard as a filter. A request counts as running until its Response is closed.
func (g *Guard) Filter() protocol.Filter {
	return func(next protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
			entry, blocked := api.Entry(g.resource, g.options...)
			if blocked != nil {
				return nil, g.refuse(blocked)
			}
			handedOver := false
			defer func() {
				if !handedOver {
					entry.Exit()
				}
			}()
			resp, err := next.Serve(ctx, req)
			if err != nil {
				var e *protocol.Error
				if !errors.As(err, &e) || e.Status >= 500 {
					entry.SetError(err)
				}
				return nil, err
			}
			resp.OnClose((*exit)(entry))
			handedOver = true
			return resp, nil
		})
	}
}

// exit is an entry that waits for the end of its exchange; the conversion saves an allocation.
type exit base.SentinelEntry

// Finish implements protocol.Finisher.
func (e *exit) Finish(_ *protocol.Request, resp *protocol.Response, err error) {
	entry := (*base.SentinelEntry)(e)
	if err != nil {
		entry.SetError(err)
	}
	entry.Exit()
}

// refuse renders a decision of Sentinel.
func (g *Guard) refuse(blocked *base.BlockError) *protocol.Error {
	e := &protocol.Error{Status: 429, Code: protocol.CodeFlowLimited, RetryAfter: time.Second, Cause: blocked}
	switch blocked.BlockType() {
	case base.BlockTypeIsolation:
		e.Message = "too many requests are running on this route"
		e.Details = []protocol.Detail{{Name: "rule", Value: "concurrency"}, {Name: "resource", Value: g.name}}
	default:
		e.Message = "this route has reached its limit of requests per second"
		e.Details = []protocol.Detail{{Name: "rule", Value: "qps"}, {Name: "resource", Value: g.name}}
	}
	return e
}
