package upstream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/protocol"
)

// Subset narrows a service to the instances whose metadata fits what the request asks for: a version, a colour, a tag.
type Subset struct {
	keys   []string // sorted
	id     string   // of the keys
	values []Extract
	fixed  string // the values joined, when they are the same for all requests
	strict bool
}

// sep joins texts that cannot hold it in metadata that anybody sends by HTTP.
const sep = "\x00"

// SubsetOf reads what a route says; nil when it says nothing.
func SubsetOf(c *config.Subset) (*Subset, error) {
	if c == nil || len(c.Metadata) == 0 {
		return nil, nil
	}
	s := &Subset{keys: slices.Sorted(maps.Keys(c.Metadata)), strict: c.Fallback == "none"}
	s.id = strings.Join(s.keys, sep)
	constant := true
	for _, key := range s.keys {
		e, err := ParseExtract(c.Metadata[key])
		if err != nil {
			return nil, fmt.Errorf("subset.metadata.%s: %w", key, err)
		}
		constant = constant && e.constant()
		s.values = append(s.values, e)
	}
	if constant {
		for _, e := range s.values {
			s.fixed += e.name + sep
		}
	}
	return s, nil
}

// wanted is what the request asks for. It is "" when the request leaves a value open: then every instance fits.
func (s *Subset) wanted(req *protocol.Request) string {
	if s.fixed != "" {
		return s.fixed
	}
	out := ""
	for i := range s.values {
		v, ok := s.values[i].of(req)
		if !ok || v == "" {
			return ""
		}
		out = req.Arena.Concat(out, req.Arena.Concat(v, sep))
	}
	return out
}

// narrowed resolves to a subset of what another resolver finds.
type narrowed struct {
	to     resolver
	subset *Subset
}

// Narrow makes the target use only the instances of a subset; nil changes nothing.
func (t *Target) Narrow(s *Subset) *Target {
	if s == nil {
		return t
	}
	return &Target{to: &narrowed{t.to, s}, tries: t.tries, hedge: t.hedge}
}

// resolve implements resolver.
func (n *narrowed) resolve(ctx context.Context, req *protocol.Request) (*state, error) {
	st, err := n.to.resolve(ctx, req)
	if err != nil || len(st.instances) == 0 {
		return st, err
	}
	wanted := n.subset.wanted(req)
	if wanted == "" {
		return st, nil
	}
	if sub := st.partition(n.subset)[wanted]; sub != nil {
		return sub, nil
	}
	if !n.subset.strict {
		return st, nil
	}
	e := st.noInstance()
	e.Message = fmt.Sprintf("no instance of %s has %s", st.service, n.subset.words(wanted))
	return nil, e
}

// words is what was wanted, for people.
func (s *Subset) words(wanted string) string {
	values := strings.Split(wanted, sep)
	var out []string
	for i, key := range s.keys {
		out = append(out, fmt.Sprintf("%s=%q", key, values[i]))
	}
	return strings.Join(out, " and ")
}

// partition divides the instances by the values of the subset's keys. It is made when a request first needs it, once for
// each state of the service, and holds only values that instances have: what clients write makes no work.
func (s *state) partition(by *Subset) map[string]*state {
	if all := s.subsets.Load(); all != nil {
		if p, ok := (*all)[by.id]; ok {
			return p
		}
	}
	s.dividing.Lock()
	defer s.dividing.Unlock()
	old := s.subsets.Load()
	next := map[string]map[string]*state{}
	if old != nil {
		if p, ok := (*old)[by.id]; ok {
			return p
		}
		maps.Copy(next, *old)
	}
	p := map[string]*state{}
	for _, i := range s.instances {
		value := ""
		for _, key := range by.keys {
			value += metadata(i, key) + sep
		}
		if p[value] == nil {
			p[value] = &state{service: s.service, endpoints: s.endpoints}
		}
		p[value].instances = append(p[value].instances, i)
	}
	for _, sub := range p {
		sub.picker = s.instances[0].service.picker(sub.instances)
	}
	next[by.id] = p
	s.subsets.Store(&next)
	return p
}

// metadata is a value that instances are told apart by. "version" and "zone" are known by themselves, too.
func metadata(i *instance, key string) string {
	if v, ok := i.endpoint.Metadata[key]; ok {
		return v
	}
	switch key {
	case "version":
		return i.endpoint.Version
	case "zone":
		return i.endpoint.Zone
	}
	return ""
}
