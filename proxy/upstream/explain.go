package upstream

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
)

// The bounds of an explanation.
const (
	explainedInstances = 100
	sampledPicks       = 1000
	keptTries          = 16
)

// Destination tells where a target would send a request now, and what it would go by. Nothing is sent, and no service is
// watched for its sake.
type Destination struct {
	Key discovery.Key
	// Group and Version of a Dubbo service that was asked for with "*": those of this request.
	Group, Version string
	// Subset is what narrows the service for this request, in words; "" when nothing does.
	Subset string
	// Unfit is true when no instance is in the subset, and all are used instead.
	Unfit bool
	// Refused is how the request would be answered without being sent anywhere, or nil.
	Refused *protocol.Error
	// Unwatched is true for a service that no request has named for a while: its instances are asked for with the next one.
	Unwatched bool

	Policy string
	// Answered is false until the registry has told the instances.
	Answered bool
	// Stale is true while what is known comes from disk.
	Stale bool
	// At is when the registry told something new of the service.
	At    time.Time
	Tries Tries
	// Hedged is true when late requests like this one get a second try, HedgeDelay when that begins; 0 is not known yet.
	Hedged     bool
	HedgeDelay time.Duration
	// Ignored are flags that do not count now, because so many instances have them.
	Ignored balance.Flags
	// Keyed is true when the request has what the policy hashes.
	Keyed bool
	// Stuck is the instance that the request's cookie names, if it can be used; then nobody else is picked.
	Stuck string

	// Instances that may be picked, the first explainedInstances of Total.
	Instances []InstanceView
	Total     int
	// Excluded are known and never picked, for this request at least; the first explainedInstances of ExcludedTotal.
	Excluded      []discovery.Excluded
	ExcludedTotal int
	// Skipped counts entries of the registry that make no sense.
	Skipped int

	// Limits is nil for a service without.
	Limits *LimitsView
	Budget BudgetView
}

// InstanceView is one instance, and what a pick makes of it.
type InstanceView struct {
	InstanceStatus
	balance.View
	// Limit is how many requests it may have at once; 0 is no limit.
	Limit int64
	// Chance is the part of requests like this one that would go there now, 0 to 1.
	Chance float64
}

// LimitsView is how full a service is.
type LimitsView struct {
	Rule config.RequestLimits
	// InFlight requests of the service, counted when it has a limit of its own, and those that wait for a place.
	InFlight, Waiting int64
}

// BudgetView is what may be retried.
type BudgetView struct {
	Rule config.RetryBudget
	// Left is how many retries could be taken at once.
	Left             float64
	Granted, Refused uint64
}

// Explain tells where Serve would send req, whose Params are those of its route.
func (t *Target) Explain(req *protocol.Request) Destination {
	d := Destination{Tries: t.tries}
	st, svc := d.look(t.to, req)
	if svc != nil {
		d.service(svc)
	}
	if st == nil {
		return d
	}
	if len(st.instances) == 0 && d.Refused == nil {
		d.Refused = st.noInstance()
	}
	if svc != nil {
		d.describe(svc, st, req)
	}
	if t.hedge != nil && t.hedgeable(req, st) {
		d.Hedged, d.HedgeDelay = true, t.hedge.delay
		if d.HedgeDelay == 0 {
			d.HedgeDelay = st.instances[0].service.usual.late()
		}
	}
	return d
}

// look is resolve without its doing: it neither watches a service nor waits for one. The state is nil when nothing is
// known of any instance.
func (d *Destination) look(to resolver, req *protocol.Request) (*state, *Service) {
	switch r := to.(type) {
	case *Service:
		d.Key = r.key
		return r.state.Load(), r
	case *Dynamic:
		return d.dynamic(r, req)
	case *partResolver:
		d.Key = r.svc.key
		all := r.svc.state.Load()
		p, err := r.svc.choose(all, r.sel, req)
		if err != nil {
			d.Refused = protocol.AsError(err)
			return all, r.svc
		}
		d.Group, d.Version = p.group, p.version
		return all.parts[p], r.svc
	case *narrowed:
		st, svc := d.look(r.to, req)
		if st == nil || len(st.instances) == 0 {
			return st, svc
		}
		return d.narrow(r.subset, st, req), svc
	}
	return nil, nil
}

func (d *Destination) dynamic(r *Dynamic, req *protocol.Request) (*state, *Service) {
	name := strings.Clone(r.template.Expand(req))
	d.Key.Registry, d.Key.Service.Name, d.Key.Service.Group = r.registry, name, r.group
	s := (*r.services.Load())[name]
	switch {
	case s == nil && r.list.Load() == nil:
		d.Refused = (&state{service: name}).noInstance()
		return nil, nil
	case s == nil:
		d.Refused = protocol.NewError(404, protocol.CodeNoRoute, "the registry knows no service "+name)
		return nil, nil
	}
	d.Key.Service = s.name
	svc := s.svc.Load()
	if svc == nil {
		d.Unwatched = true
		return nil, nil
	}
	return svc.state.Load(), svc
}

// narrow is narrowed.resolve, and lists what is outside of the subset.
func (d *Destination) narrow(by *Subset, all *state, req *protocol.Request) *state {
	wanted := by.wanted(req)
	if wanted == "" {
		d.Subset = "any: the request does not say which"
		return all
	}
	d.Subset = by.words(strings.Clone(wanted))
	sub := all.partition(by)[wanted]
	switch {
	case sub == nil && by.strict:
		d.Refused = all.noInstance()
		d.Refused.Message = fmt.Sprintf("no instance of %s has %s", all.service, d.Subset)
		sub = &state{service: all.service, endpoints: all.endpoints}
	case sub == nil:
		d.Unfit = true
		return all
	}
	inside := sub.instances // in the order of all
	for _, i := range all.instances {
		if len(inside) > 0 && inside[0] == i {
			inside = inside[1:]
			continue
		}
		d.exclude(discovery.Excluded{Endpoint: *i.endpoint, Reason: "outside the subset " + d.Subset})
	}
	return sub
}

func (d *Destination) exclude(x discovery.Excluded) {
	d.ExcludedTotal++
	if len(d.Excluded) < explainedInstances {
		d.Excluded = append(d.Excluded, x)
	}
}

// service tells what is so for every request to the service.
func (d *Destination) service(s *Service) {
	now := protocol.Now()
	st := s.state.Load()
	d.Policy, d.Answered, d.Ignored = s.settings.Balance.Policy, st.endpoints != nil, s.pool.Ignored()
	d.Budget.Rule = s.settings.RetryBudget
	d.Budget.Left, d.Budget.Granted, d.Budget.Refused = s.budget.left(now, s.requests(), s.settings.RetryBudget)
	if l := s.limits; l != nil {
		d.Limits = &LimitsView{Rule: l.rule, InFlight: l.inflight.Load(), Waiting: int64(l.waiting.Load())}
	}
	if st.endpoints == nil {
		return
	}
	d.At, d.Stale, d.Skipped = st.endpoints.At, st.endpoints.Stale, st.endpoints.SkippedCount
	for _, x := range slices.Concat(st.endpoints.Excluded, st.unusable) {
		d.exclude(x)
	}
}

// describe tells what a pick among the instances of st goes by.
func (d *Destination) describe(s *Service, st *state, req *protocol.Request) {
	d.Total = len(st.instances)
	if d.Total == 0 || st.picker == nil {
		return
	}
	choice := balance.Choice{Now: protocol.Now()}
	var stuck *instance
	if by := s.selection; by != nil {
		choice.Key, choice.Keyed = by.key(req)
		if stuck = by.stuck(st, req); stuck != nil {
			d.Stuck = stuck.endpoint.ID
		}
	}
	d.Keyed = choice.Keyed
	views := st.picker.Explain(choice)
	chances := s.chances(st, views, choice, stuck)
	for n, i := range st.instances[:min(d.Total, explainedInstances)] {
		v := InstanceView{InstanceStatus: i.status(choice.Now), View: views[n], Chance: chances[n]}
		if l := s.limits; l != nil && (l.rule.Adaptive || l.rule.Instance > 0) {
			v.Limit = l.limit(i)
		}
		d.Instances = append(d.Instances, v)
	}
}

// chances are the parts of requests that would go to each instance now. Policies that only look are asked many times; those
// that go by turns give everybody a share, and asking would take others' turns.
func (s *Service) chances(st *state, views []balance.View, c balance.Choice, stuck *instance) []float64 {
	out := make([]float64, len(views))
	if stuck != nil {
		out[slices.Index(st.instances, stuck)] = 1
		return out
	}
	if policy := s.settings.Balance.Policy; policy == "roundRobin" || policy == "orca" {
		for n := range views {
			out[n] = views[n].Share
		}
		return out
	}
	for range sampledPicks {
		if n := st.picker.Pick(c); n >= 0 {
			out[n] += 1.0 / sampledPicks
		}
	}
	return out
}

// note keeps what became of the first try, when the second's answer counts. It was given up unless it failed by itself.
func (r *race) note(err error) {
	t := protocol.Try{Instance: r.first.endpoint.ID, Nanos: r.req.Record.UpstreamNanos}
	if err != nil && instancesFault(err) {
		t.Code = protocol.AsError(err).Code
	}
	r.req.Record.Earlier = append(r.req.Record.Earlier, t)
}

// note keeps what became of a try that another one follows. Retries are rare, so it may allocate.
func note(req *protocol.Request, i *instance, resp *protocol.Response, err error) {
	rec := &req.Record
	if len(rec.Earlier) < keptTries {
		t := protocol.Try{Instance: i.endpoint.ID, Nanos: rec.UpstreamNanos}
		if err != nil {
			t.Code = protocol.AsError(err).Code
		} else {
			t.Status = resp.Status
		}
		rec.Earlier = append(rec.Earlier, t)
	}
	rec.UpstreamNanos = 0 // the next try may not come to have one
}
