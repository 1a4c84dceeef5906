package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/route"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/telemetry"
)

// explainedRoutes bounds the candidates of an explanation.
const explainedRoutes = 50

// remember takes over what the plan before remembers, or begins anew when size is another.
func (p *Plan) remember(old *Plan, size int) {
	p.recent = telemetry.NewRecent(size)
	if old != nil && old.recent.Size() == size {
		p.recent = old.recent
	}
	p.lost.recent = p.recent
	for _, c := range p.routes {
		c.recent = p.recent
	}
}

// Recent remembers the last exchanges; nil when nothing does.
func (g *Gateway) Recent() *telemetry.Recent {
	if p := g.server.plan.Load(); p != nil {
		return p.recent
	}
	return nil
}

// Question is a request that somebody asks about.
type Question struct {
	// Method, such as GET.
	Method string
	// URL is a whole one, or only a path with its query; then the host comes from Header.
	URL string
	// Header fields. Host, if it is there, wins against the URL's.
	Header []protocol.Field
	// Client is whom it would come from; it may be left out.
	Client netip.Addr
}

// Explanation is what would become of a request now.
type Explanation struct {
	// Method, Host, Path (in normal form) and Query, as routes see them.
	Method, Host, Path, Query string
	// Won is true when a route takes the request; it is the first of Candidates then, and Route tells more of it.
	Won   bool
	Route ExplainedRoute
	// Candidates are the routes that take it or come close, the best first. Routes is how many there are in all.
	Candidates []CandidateRoute
	Routes     int
	// Refused is how a request without a route is answered.
	Refused *protocol.Error
	// Targets are where the winner would send it. Empty for a route whose filters answer.
	Targets []ExplainedTarget
}

// CandidateRoute is a route, and why it was not the one.
type CandidateRoute struct {
	Config *config.Route
	// Failed is the first predicate that does not hold, "" when all do; Name of a header, parameter or cookie.
	Failed route.Predicate
	Name   string
	// Wanted and Seen are for people; Behind is why a route that holds is not the first.
	Wanted, Seen, Behind string
}

// ExplainedRoute is the route that won.
type ExplainedRoute struct {
	Config *config.Route
	Params []protocol.Param
	// Preflight is true when filters answer it as a CORS preflight, whatever the route's methods.
	Preflight bool
	InFlight  int64
	Requests  uint64
	// Earlier is true when the newest version of the route was refused and this is the one before.
	Earlier bool
}

// ExplainedTarget is one place that a route's requests go to.
type ExplainedTarget struct {
	upstream.Destination
	// Share of the route's requests: less than 1 for parts of a split, and for a mirror that takes some.
	Share float64
	// Mirror gets copies, and its answers are dropped.
	Mirror bool
	// Registry is the state of the one that tells of the service.
	Registry discovery.RegistryStatus
}

// Explain tells what would become of a request. Nothing is sent. An error means that the question makes no sense, or that
// a listener would refuse such a request before any route sees it.
func (g *Gateway) Explain(q Question) (*Explanation, error) {
	p := g.server.plan.Load()
	if p == nil {
		return nil, errors.New("no document has been applied")
	}
	req, err := q.request()
	if err != nil {
		return nil, err
	}
	x := &Explanation{
		Method: req.Method, Host: req.Authority, Path: strings.Clone(req.Path), Query: req.RawQuery, Routes: len(p.routes),
	}
	candidates, _ := p.table.Explain(req, explainedRoutes)
	for i := range candidates {
		x.Candidates = append(x.Candidates, candidate(&candidates[i]))
	}
	c, ok, allow := p.table.Match(req)
	if !ok {
		x.Refused = unrouted(allow)
		return x, nil
	}
	x.Won, x.Route = true, g.explainRoute(c, req)
	x.Targets = c.destinations(req)
	g.registries(x.Targets)
	return x, nil
}

// registries fills in the states of the targets' registries.
func (g *Gateway) registries(targets []ExplainedTarget) {
	if len(targets) == 0 {
		return
	}
	all := g.catalogue.Registries()
	for i := range targets {
		if n := slices.IndexFunc(all, func(r discovery.RegistryStatus) bool { return r.Name == targets[i].Key.Registry }); n >= 0 {
			targets[i].Registry = all[n]
		}
	}
}

func candidate(c *route.Candidate[*compiled]) CandidateRoute {
	r := c.Value.config
	out := CandidateRoute{Config: r, Failed: c.Failed, Name: c.Name, Wanted: c.Wanted, Seen: strings.Clone(c.Seen), Behind: c.Behind}
	switch c.Failed {
	case route.Host:
		out.Wanted = strings.Join(r.Match.Hosts, ", ")
	case route.Path:
		out.Wanted = r.Match.Path
	}
	return out
}

func (g *Gateway) explainRoute(c *compiled, req *protocol.Request) ExplainedRoute {
	g.statusMu.Lock()
	earlier := slices.Contains(g.applied.kept, c.config.Name)
	g.statusMu.Unlock()
	out := ExplainedRoute{Config: c.config, InFlight: c.counts.InFlight(), Requests: c.counts.Requests(), Earlier: earlier}
	for _, param := range req.Params {
		if param.Name != "" {
			out.Params = append(out.Params, protocol.Param{Name: param.Name, Value: strings.Clone(param.Value)})
		}
	}
	methods := c.config.Match.Methods
	out.Preflight = req.Method == "OPTIONS" && len(methods) > 0 && !slices.Contains(methods, "OPTIONS")
	return out
}

// destinations are where the route's requests end, found by walking down what the compiler has built.
func (c *compiled) destinations(req *protocol.Request) []ExplainedTarget {
	if c.call != nil {
		return []ExplainedTarget{{Destination: c.call.Explain(req), Share: 1}}
	}
	var out []ExplainedTarget
	var walk func(end protocol.Handler, share float64, mirrored bool)
	walk = func(end protocol.Handler, share float64, mirrored bool) {
		switch h := end.(type) {
		case *upstream.Target:
			out = append(out, ExplainedTarget{Destination: h.Explain(req), Share: share, Mirror: mirrored})
		case *split:
			before := 0
			for i, part := range h.ends {
				walk(part, share*float64(h.upTo[i]-before)/float64(h.total), mirrored)
				before = h.upTo[i]
			}
		case *mirror:
			walk(h.next, share, mirrored)
			walk(h.to, share*h.share, true)
		}
	}
	walk(c.end, 1, false)
	return out
}

// request is what a listener would make of the question.
func (q *Question) request() (*protocol.Request, error) {
	const most = 64 << 10
	size := len(q.Method) + len(q.URL)
	req := &protocol.Request{Method: q.Method, Scheme: "http", Version: protocol.HTTP11, Client: q.Client}
	if req.Method == "" {
		req.Method = "GET"
	}
	rest := q.URL
	if scheme, after, ok := strings.Cut(rest, "://"); ok && !strings.ContainsAny(scheme, "/?#") {
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		req.Scheme, req.Authority, rest = strings.ToLower(scheme), after[:end], after[end:]
	}
	rest, _, _ = strings.Cut(rest, "#")
	path, query, has := strings.Cut(rest, "?")
	req.RawQuery, req.HasQuery = query, has
	for _, f := range q.Header {
		size += len(f.Name) + len(f.Value)
		switch strings.ToLower(f.Name) {
		case "host":
			req.Authority = f.Value
		case "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length":
			// They are between the client and the listener, and no route sees them.
		default:
			req.Header.Add(f.Name, f.Value)
		}
	}
	if size > most {
		return nil, fmt.Errorf("the request is longer than %d bytes", most)
	}
	if req.Authority != "" && !protocol.ValidAuthority(req.Authority) {
		return nil, fmt.Errorf("host %q: a listener refuses this with 400", req.Authority)
	}
	if path == "*" && req.Method == "OPTIONS" {
		req.Path = path
		return req, nil
	}
	if path == "" && req.Authority != "" {
		path = "/"
	}
	var err error
	if req.Path, err = protocol.NormalizePath(&req.Arena, path); err != nil {
		return nil, fmt.Errorf("path %q: a listener refuses this with 400: %w", path, err)
	}
	return req, nil
}
