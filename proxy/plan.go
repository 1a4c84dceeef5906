package proxy

import (
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/flowcontrol"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/route"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/telemetry"
)

// Plan is a compiled document. It never changes.
type Plan struct {
	table  *route.Table[*compiled]
	routes []*compiled
	// lost stands for the route of requests that match none; it has no handler.
	lost   *compiled
	limits map[string]flowcontrol.Limits
	// document is what it was compiled from, without the routes that were refused.
	document *config.Document
	at       time.Time
	log      *telemetry.AccessLog
	recent   *telemetry.Recent
}

// compiled is one route: the head of its chain of handlers, and its books. It is its own finisher.
type compiled struct {
	config  *config.Route
	handler protocol.Handler
	// end is what filters and transcoders of HTTP lead to, and call what serves a transcoder's Dubbo calls; both for Explain.
	end    protocol.Handler
	call   *upstream.Target
	counts *telemetry.Route
	log    *telemetry.AccessLog
	recent *telemetry.Recent
	// inflight counts requests of this plan's route, so that what the route holds can be released when a newer plan has
	// taken over and the last request has ended.
	inflight atomic.Int64
	release  []func()
	// leases are the services that the route names; answered are closed when the registries have spoken of what it needs.
	leases   []*lease
	answered []<-chan struct{}
}

// settle waits until the registries have spoken of every service of the plan, so that a reload does not put a route in
// force that could only answer 503 for the first moment. A registry that is down holds it up no longer than patience.
func (p *Plan) settle(patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, c := range p.routes {
		for _, answered := range c.answered {
			select {
			case <-answered:
			case <-timer.C:
				return
			}
		}
	}
}

// Finish implements protocol.Finisher.
func (c *compiled) Finish(req *protocol.Request, resp *protocol.Response, err error) {
	nanos := protocol.Now() - req.Start
	if err != nil && req.Record.Err == nil {
		req.Record.Err = err
	}
	c.counts.End(&req.Record, resp.Status, nanos)
	c.log.Log(req, resp.Status, nanos)
	c.recent.Note(req, resp.Status, nanos)
	c.inflight.Add(-1)
}

// free gives up what the route holds. The routes of one plan are freed by one goroutine at a time.
func (c *compiled) free(store *upstream.Store) {
	for _, release := range c.release {
		release()
	}
	for _, l := range c.leases {
		if l.routes--; l.routes == 0 {
			store.Release(l.svc)
		}
	}
	c.release, c.leases = nil, nil
}
