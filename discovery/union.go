package discovery

import (
	"slices"

	"github.com/sluice-gateway/sluice/registry"
)

// union is what a merged registry knows of a service. parts are the members' states, the most trusted first; nil for one
// that has not answered.
//
// An instance that several know is described by the first that lists it, for good or ill: one that the first calls
// disabled is not picked though the second lists it as usable. Two kinds of knowledge come last, whoever has it: what
// was kept on disk and not confirmed, and what is merely held.
func union(key Key, parts []*Endpoints) *Endpoints {
	out := &Endpoints{Key: key, Stale: true}
	var only *Endpoints // the one part that has instances
	count, speakers := 0, 0
	for _, p := range parts {
		if p == nil {
			continue
		}
		if p.At.After(out.At) {
			out.At = p.At
		}
		out.Stale = out.Stale && p.Stale
		out.SkippedCount += p.SkippedCount
		out.Skipped = append(out.Skipped, p.Skipped[:min(len(p.Skipped), registry.MaxSkipped-len(out.Skipped))]...)
		if n := len(p.Usable) + len(p.Excluded); n > 0 {
			only = p
			speakers++
			count += n
		}
	}
	switch speakers {
	case 0:
		return out
	case 1:
		// States never change, so that the lists can be shared: most services are in one registry only.
		out.Usable, out.Excluded, out.Held = only.Usable, only.Excluded, only.Held
		return out
	}
	all := make([]claim, 0, count)
	for rank, p := range parts {
		if p == nil {
			continue
		}
		if p.Stale {
			rank += len(parts)
		}
		for i := range p.Usable {
			c := claim{endpoint: &p.Usable[i], rank: rank * 2}
			if c.endpoint.Held != nil {
				c.rank = len(parts)*4 + rank
			}
			all = append(all, c)
		}
		for i := range p.Excluded {
			if x := &p.Excluded[i]; x.Reason != reasonDuplicate {
				all = append(all, claim{endpoint: &x.Endpoint, reason: x.Reason, rank: rank*2 + 1})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b claim) int {
		if c := compare(a.endpoint, b.endpoint); c != 0 {
			return c
		}
		return a.rank - b.rank
	})
	out.Usable = make([]Endpoint, 0, count)
	for i, c := range all {
		switch {
		case i > 0 && compare(all[i-1].endpoint, c.endpoint) == 0:
		case c.reason != "":
			out.Excluded = append(out.Excluded, Excluded{Endpoint: *c.endpoint, Reason: c.reason})
		default:
			out.Usable = append(out.Usable, *c.endpoint)
			if c.endpoint.Held != nil {
				out.Held++
			}
		}
	}
	return out
}

// claim is what one member says of an instance.
type claim struct {
	endpoint *Endpoint
	reason   string // not to be picked
	rank     int    // the lowest describes it
}

// unionOfNames lists what any member has, in the order of the members.
func unionOfNames(parts []*registry.ServiceSet) *registry.ServiceSet {
	out := &registry.ServiceSet{}
	seen := map[registry.ServiceName]struct{}{}
	for _, p := range parts {
		if p == nil {
			continue
		}
		for _, name := range p.Services {
			if _, twice := seen[name]; !twice {
				seen[name] = struct{}{}
				out.Services = append(out.Services, name)
			}
		}
	}
	return out
}

// firstDefinition is that of the first member that has one.
func firstDefinition(parts []*Definition) *Definition {
	for _, p := range parts {
		if p != nil && len(p.JSON) > 0 {
			return p
		}
	}
	return &Definition{}
}
