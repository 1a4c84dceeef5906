package proxy

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/upstream"
)

// The bounds of what a route mirrors: copies that run at once, and the body of one.
const (
	mirrorsAtOnce  = 64
	mirrorBodySize = 64 << 10
)

// mirror sends a copy of some requests to another end as well, and drops its answers. The request itself never waits for a
// copy: one that would be too many, or whose body is not there yet, is not made.
type mirror struct {
	next, to protocol.Handler
	share    float64
	// life ends with the plan's route; tasks are waited for then.
	life    context.Context //nolint:containedctx // a copy outlives its request, but not the route
	running atomic.Int64
	tasks   sync.WaitGroup
}

// Serve implements protocol.Handler.
func (m *mirror) Serve(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
	if m.share >= 1 || rand.Float64() < m.share {
		m.copy(req)
	}
	return m.next.Serve(ctx, req)
}

func (m *mirror) copy(req *protocol.Request) {
	if m.running.Add(1) > mirrorsAtOnce {
		m.running.Add(-1)
		return
	}
	double, ok := duplicate(req)
	if !ok || m.life.Err() != nil {
		m.running.Add(-1)
		return
	}
	m.tasks.Go(func() {
		defer m.running.Add(-1)
		resp, err := m.to.Serve(m.life, double)
		if err != nil {
			return
		}
		_, _ = protocol.ReadAll(nil, resp.Body, mirrorBodySize) // so that the connection can be used again
		_ = resp.Close()
	})
}

// duplicate is a request of its own that says the same. It is false for one whose body is not wholly there, and for one
// that is no single exchange.
func duplicate(req *protocol.Request) (*protocol.Request, bool) {
	if req.Upgrade != "" || req.Call != nil {
		return nil, false
	}
	double := upstream.CopyHead(req)
	double.Start, double.Deadline, double.ContentLength = protocol.Now(), 0, req.ContentLength // it is nobody's to wait for
	for _, p := range req.Params {
		double.Params = append(double.Params, protocol.Param{Name: p.Name, Value: strings.Clone(p.Value)})
	}
	if req.Body == nil || req.ContentLength == 0 {
		return double, true
	}
	if req.ContentLength < 0 || req.ContentLength > mirrorBodySize || int64(req.Body.Buffered()) < req.ContentLength {
		return nil, false
	}
	body, err := protocol.ReadAll(make([]byte, 0, req.ContentLength), req.Body, mirrorBodySize)
	if err != nil {
		return nil, false
	}
	if !req.Body.Rewind() {
		req.Body = protocol.NewBytes(body) // the copies share it; nobody changes it
	}
	double.Body = protocol.NewBytes(body)
	return double, true
}
