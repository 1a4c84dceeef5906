package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol/http1"
	"github.com/sluice-gateway/sluice/protocol/http2"
	"github.com/sluice-gateway/sluice/proxy/upstream"
)

// Status is what a gateway knows of itself at one moment.
type Status struct {
	Started time.Time
	// Applied is when the plan in force was built.
	Applied time.Time
	// Rejected is why a newer document was not applied, and when; empty when the newest one is in force.
	Rejected   string
	RejectedAt time.Time
	Routes     []RouteStatus
	Refused    []config.RefusedRoute
	Services   []upstream.ServiceStatus
	Registries []discovery.RegistryStatus
	// Announcements are the gateway's own registrations.
	Announcements []discovery.AnnouncementStatus
	Listeners     []ListenerStatus
	Ready         bool
	Waiting       []string
}

// RouteStatus is one route of the plan in force.
type RouteStatus struct {
	Config *config.Route
	// Requests that have ended, and those that have not.
	Requests uint64
	InFlight int64
	// Earlier is true when the newest version of the route was refused and this is the one before.
	Earlier bool
}

// ListenerStatus is one address that takes traffic.
type ListenerStatus struct {
	Name, Address string
	// Stats are of its connections of HTTP/1.1, HTTP2 of those of HTTP/2.
	Stats http1.Stats
	HTTP2 http2.Stats
}

// Status collects everything.
func (g *Gateway) Status() Status {
	g.statusMu.Lock()
	a := g.applied
	g.statusMu.Unlock()
	st := Status{
		Started: g.started, Applied: a.at, Rejected: a.rejected, RejectedAt: a.failedAt, Refused: a.refused,
		Services: g.store.Status(), Registries: g.catalogue.Registries(), Announcements: g.catalogue.Announcements(),
	}
	st.Ready, st.Waiting = g.Ready()
	kept := map[string]bool{}
	for _, name := range a.kept {
		kept[name] = true
	}
	if p := g.server.plan.Load(); p != nil {
		for _, c := range p.routes {
			st.Routes = append(st.Routes, RouteStatus{
				Config: c.config, Requests: c.counts.Requests(), InFlight: c.counts.InFlight(), Earlier: kept[c.config.Name],
			})
		}
	}
	g.statusMu.Lock()
	defer g.statusMu.Unlock()
	for _, l := range g.listeners {
		st.Listeners = append(st.Listeners, ListenerStatus{Name: l.config.Name, Address: l.socket.Addr().String(), Stats: l.server.Stats(), HTTP2: l.http2.Stats()})
	}
	slices.SortFunc(st.Listeners, func(a, b ListenerStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
	})
	return st
}

// Services lists the services in use, with their instances.
func (g *Gateway) Services() []upstream.ServiceStatus { return g.store.Status() }

// Ready reports whether traffic should come: a plan is in force, and every registry and service has answered once, or
// startup.timeout has passed since the start. What it waits for, or still misses, is named either way.
func (g *Gateway) Ready() (ready bool, waiting []string) {
	if g.draining.Load() {
		return false, []string{"the gateway is shutting down"}
	}
	g.statusMu.Lock()
	a := g.applied
	g.statusMu.Unlock()
	if a.at.IsZero() {
		return false, []string{"no document has been applied"}
	}
	waiting = g.catalogue.Waiting()
	if len(waiting) == 0 {
		return true, nil
	}
	if left := a.startup - time.Since(g.started); left > 0 {
		return false, append(waiting, fmt.Sprintf("not waiting for this any longer in %v", left.Round(time.Second)))
	}
	return true, waiting
}
