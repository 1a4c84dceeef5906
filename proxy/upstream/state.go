package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// state is what a service looked like at one moment. It never changes, but for what is derived from it on demand.
type state struct {
	service   string
	endpoints *discovery.Endpoints // nil until the registry has spoken
	instances []*instance
	picker    balance.Picker
	// parts divides a Dubbo service that was asked for with "*" by exact group and version.
	parts map[part]*state
	// subsets divides the instances further, by what routes tell them apart by.
	subsets  atomic.Pointer[map[string]map[string]*state]
	dividing sync.Mutex
	sticky   atomic.Pointer[tokens]
	// unusable are endpoints that the registry calls usable but that no client can be made for.
	unusable []discovery.Excluded
}

// part is an exact group and version of a Dubbo service.
type part struct{ group, version string }

// noInstance answers for a service without anybody to ask.
func (s *state) noInstance() *protocol.Error {
	e := &protocol.Error{Status: 503, Code: protocol.CodeNoInstance, RetryAfter: time.Second}
	switch {
	case s.endpoints == nil:
		e.Message = "the registry has not told the instances of " + s.service + " yet"
	case len(s.unusable) > 0:
		e.Message = "no instance of " + s.service + " speaks a protocol that this gateway can use"
	default:
		e.Message = "no instance of " + s.service + " is available"
	}
	return e
}

// overloaded answers for a service whose limits are reached, and its queue too.
func (s *state) overloaded() *protocol.Error {
	return &protocol.Error{
		Status: 503, Code: protocol.CodeOverloaded, RetryAfter: time.Second,
		Message: "the limits of " + s.service + " are reached",
	}
}

// serve picks an instance and hands it the request. tried lists where the request has been.
func (s *state) serve(ctx context.Context, req *protocol.Request, tried []*balance.Load) (*protocol.Response, *instance, error) {
	if len(s.instances) == 0 {
		return nil, nil, s.noInstance()
	}
	now := protocol.Now()
	var i *instance
	if l := s.instances[0].service.limits; l == nil {
		i = s.choose(now, req, tried)
	} else {
		var refused *protocol.Error
		if i, refused = l.enter(ctx, req, s, tried); refused != nil {
			return nil, nil, refused
		}
		now = protocol.Now() // the time in the queue is not the instance's
	}
	resp, err := s.serveAt(ctx, req, i, now)
	return resp, i, err
}

// serveAt hands the request to an instance that was picked for it.
func (s *state) serveAt(ctx context.Context, req *protocol.Request, i *instance, now int64) (*protocol.Response, error) {
	resp, err := i.serve(ctx, req, now)
	if by := i.service.selection; by != nil && err == nil {
		by.stick(s, i, req, resp)
	}
	return resp, err
}
