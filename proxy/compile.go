package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/flowcontrol"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/route"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/telemetry"
)

// compiler builds one plan out of the gateway's stores.
type compiler struct {
	gateway *Gateway
	doc     *config.Document
	log     *telemetry.AccessLog
	leases  map[leaseKey]*lease
	// protocol is what instances of the route at hand speak when neither they nor the services' section say so.
	protocol string
}

// compile builds every route of the document. A route that cannot be built is left out and named; what it had taken is
// given back.
func (c *compiler) compile() (*Plan, []config.RefusedRoute) {
	plan := &Plan{document: c.doc, limits: map[string]flowcontrol.Limits{}, at: time.Now(), log: c.log}
	plan.lost = &compiled{config: &config.Route{Name: "-"}, counts: c.gateway.metrics.Route("-"), log: c.log}
	builder := route.NewBuilder[*compiled]()
	var refused []config.RefusedRoute
	for i := range c.doc.Routes {
		r := &c.doc.Routes[i]
		built, preflight, err := c.route(r)
		if err == nil {
			err = builder.Add(route.Entry[*compiled]{Match: r.Match, Preflight: preflight, Value: built})
			if err != nil {
				err = fmt.Errorf("match.%w", err)
			}
		}
		if err != nil {
			built.free(c.gateway.store)
			refused = append(refused, refusedRoute(r, err))
			continue
		}
		plan.routes = append(plan.routes, built)
		if r.FlowControl != nil {
			plan.limits[resource(r)] = limits(r.FlowControl)
		}
	}
	plan.table = builder.Table()
	return plan, refused
}

func refusedRoute(r *config.Route, err error) config.RefusedRoute {
	return config.RefusedRoute{Name: r.Name, Pos: r.Pos, Problems: config.Problems{{Pos: r.Pos, Path: "routes." + r.Name, Message: err.Error()}}}
}

// route builds the chain of one route: filters in their order, then flow control, then the target, so that a filter that
// turns a request away costs the service no share of its limit. The result is never nil.
func (c *compiler) route(r *config.Route) (built *compiled, preflight bool, err error) {
	built = &compiled{config: r, counts: c.gateway.metrics.Route(r.Name), log: c.log}
	var filters []protocol.Filter
	for i := range r.Filters {
		cfg, ok := r.Filters[i].Config.(filter.Config)
		if !ok {
			return built, false, fmt.Errorf("filters[%d]: %s is not a filter", i, r.Filters[i].Name)
		}
		f, err := cfg.Build()
		if err != nil {
			return built, false, fmt.Errorf("filters[%d].%s: %w", i, r.Filters[i].Name, err)
		}
		filters = append(filters, f)
		if p, ok := cfg.(filter.Preflighter); ok && p.AnswersPreflight() {
			preflight = true
		}
	}
	if r.FlowControl != nil {
		if err := limits(r.FlowControl).Validate(); err != nil {
			return built, false, fmt.Errorf("flowControl.%w", err)
		}
		filters = append(filters, c.gateway.flow.Guard(resource(r)).Filter())
	}
	end, err := c.target(r, built)
	if err != nil {
		return built, false, fmt.Errorf("to: %w", err)
	}
	built.handler = protocol.Chain(end, filters...)
	return built, preflight, nil
}

// resource is the name of a route in flow control, as Sentinel's users know it: the route's own.
func resource(r *config.Route) string { return r.Name }

func limits(f *config.FlowControl) flowcontrol.Limits {
	return flowcontrol.Limits{QPS: f.QPS, Concurrency: f.Concurrency}
}

// target builds what a route ends in.
func (c *compiler) target(r *config.Route, built *compiled) (protocol.Handler, error) {
	to := r.To
	if to == nil {
		return protocol.HandlerFunc(unanswered), nil
	}
	reg, err := c.registry(to.Registry)
	if err != nil {
		return nil, err
	}
	if to.Dubbo != nil {
		return c.dubbo(r, reg, built)
	}
	c.protocol = ""
	if to.GRPC != nil {
		c.protocol = "h2c"
	}
	end, err := c.end(to, reg, built)
	if err == nil && to.Mirror != nil {
		end, err = c.mirror(to, end, built)
	}
	built.end = end
	if err == nil && to.GRPC != nil {
		end, err = c.grpc(r, end, built)
	}
	return end, err
}

// end builds what serves the requests of a target that is no Dubbo method.
func (c *compiler) end(to *config.Target, reg string, built *compiled) (protocol.Handler, error) {
	tries := upstream.TriesOf(to)
	if len(to.Split) > 0 {
		s := &split{}
		for i := range to.Split {
			part := &to.Split[i]
			target, err := c.part(cmp.Or(part.Registry, reg), cmp.Or(part.Service, to.Service), cmp.Or(part.Group, to.Group), part.Subset, tries, built)
			if err != nil {
				return nil, fmt.Errorf("split[%d]: %w", i, err)
			}
			s.add(target.Hedge(to.Hedge), part.Weight)
		}
		return s, nil
	}
	template, dynamic := upstream.ParseTemplate(to.Service)
	if !dynamic {
		target, err := c.part(reg, to.Service, to.Group, to.Subset, tries, built)
		if err != nil {
			return nil, err
		}
		return target.Hedge(to.Hedge), nil
	}
	subset, err := upstream.SubsetOf(to.Subset)
	if err != nil {
		return nil, err
	}
	of := *c // as it stands for this route
	d := c.gateway.store.AcquireDynamic(reg, to.Group, template, to.Discover, func(n registry.ServiceName) config.Service {
		return of.settings(reg, n)
	})
	built.release = append(built.release, d.Close)
	built.answered = append(built.answered, d.Answered())
	return upstream.NewDynamicTarget(d, tries).Narrow(subset).Hedge(to.Hedge), nil
}

// part is one service, or a subset of its instances.
func (c *compiler) part(reg, service, group string, of *config.Subset, tries upstream.Tries, built *compiled) (*upstream.Target, error) {
	subset, err := upstream.SubsetOf(of)
	if err != nil {
		return nil, err
	}
	svc, err := c.acquire(reg, registry.ServiceName{Name: service, Group: group}, built)
	if err != nil {
		return nil, err
	}
	return upstream.NewTarget(svc, tries).Narrow(subset), nil
}

// mirror puts copies of a route's requests beside them.
func (c *compiler) mirror(to *config.Target, end protocol.Handler, built *compiled) (protocol.Handler, error) {
	reg, err := c.registry(cmp.Or(to.Mirror.Registry, to.Registry))
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	once := upstream.TriesOf(&config.Target{Timeout: to.Timeout})
	double, err := c.part(reg, to.Mirror.Service, to.Mirror.Group, to.Mirror.Subset, once, built)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	life, cancel := context.WithCancel(context.Background())
	m := &mirror{next: end, to: double, share: to.Mirror.Share, life: life}
	built.release = append(built.release, func() { cancel(); m.tasks.Wait() })
	return m, nil
}

// leaseKey is a service, as routes use it.
type leaseKey struct {
	service  discovery.Key
	protocol string
}

// lease is one plan's hold on a service, shared by the routes that name it.
type lease struct {
	svc    *upstream.Service
	routes int
}

func (c *compiler) acquire(reg string, name registry.ServiceName, built *compiled) (*upstream.Service, error) {
	key := discovery.Key{Registry: reg, Service: name}
	l := c.leases[leaseKey{key, c.protocol}]
	if l == nil {
		svc, err := c.gateway.store.Acquire(key, c.settings(reg, name))
		if err != nil {
			return nil, err
		}
		l = &lease{svc: svc}
		if c.leases == nil {
			c.leases = map[leaseKey]*lease{}
		}
		c.leases[leaseKey{key, c.protocol}] = l
	}
	l.routes++
	built.leases = append(built.leases, l)
	built.answered = append(built.answered, l.svc.Answered())
	return l.svc, nil
}

// settings says how a service is treated by the route at hand.
func (c *compiler) settings(reg string, name registry.ServiceName) config.Service {
	s := settings(c.doc, reg, name)
	s.Protocol = cmp.Or(s.Protocol, c.protocol)
	return s
}

// registry resolves the name of a registry, which may be left out where there is only one.
func (c *compiler) registry(name string) (string, error) {
	if name == "" {
		if len(c.doc.Registries) != 1 {
			return "", fmt.Errorf("registry: is missing, and the document has %d registries", len(c.doc.Registries))
		}
		return c.doc.Registries[0].Name, nil
	}
	if !slices.ContainsFunc(c.doc.Registries, func(r config.Registry) bool { return r.Name == name }) {
		return "", fmt.Errorf("registry: there is no registry %q", name)
	}
	return name, nil
}

// settings says how a service is treated: by the first entry that matches, or by the defaults.
func settings(doc *config.Document, reg string, name registry.ServiceName) config.Service {
	for i := range doc.Services {
		if doc.Services[i].Match.Matches(reg, name.Name) {
			return inZone(doc, doc.Services[i])
		}
	}
	var s config.Service
	s.SetDefaults()
	return inZone(doc, s)
}

// inZone fills in the zone of the gateway.
func inZone(doc *config.Document, s config.Service) config.Service {
	s.Balance.Zone = cmp.Or(s.Balance.Zone, doc.Zone)
	return s
}

// errUnanswered is what a route without target and without a filter that answers comes to; Parse refuses such a route.
var errUnanswered = errors.New("no filter of the route answered, and it has no target")
