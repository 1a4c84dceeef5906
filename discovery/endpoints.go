package discovery

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Key identifies a service across registries.
type Key struct {
	Registry string
	Service  registry.ServiceName
}

// String is "service@registry".
func (k Key) String() string { return k.Service.String() + "@" + k.Registry }

// Endpoint is one instance with its identity spelled out.
type Endpoint struct {
	registry.Instance
	// ID is host:port. Together with the service it identifies the instance across configurations and registry blips.
	ID string
}

// Excluded is an instance that is known but not to be picked.
type Excluded struct {
	Endpoint
	// Reason is a word for the status page: disabled, unhealthy, weight 0, duplicate.
	Reason string
}

// Endpoints is the published state of one service. It never changes once published.
type Endpoints struct {
	Key Key
	// Usable may be picked, in a stable order (by ID, then protocol, group and version).
	Usable []Endpoint
	// Excluded are known but not to be picked.
	Excluded []Excluded
	// Skipped are entries of the registry that make no sense; at most registry.MaxSkipped are kept.
	Skipped      []registry.Skipped
	SkippedCount int
	// At is when the registry said so. Subscribers are not told when it says the same again.
	At time.Time
}

// fromSnapshot applies the rules of use: out of service on purpose, failing the registry's own checks, or weighing
// nothing means not picked; an address that is listed twice is used once.
func fromSnapshot(key Key, s registry.Snapshot, at time.Time) *Endpoints {
	e := &Endpoints{Key: key, Skipped: s.Skipped, SkippedCount: s.SkippedCount, At: at}
	e.Usable = make([]Endpoint, 0, len(s.Instances))
	seen := make(map[string]struct{}, len(s.Instances))
	for i := range s.Instances {
		ep := Endpoint{Instance: s.Instances[i], ID: s.Instances[i].Address()}
		identity := ep.ID + "\x00" + ep.Protocol + "\x00" + ep.Group + "\x00" + ep.Version
		reason := ""
		switch _, dup := seen[identity]; {
		case dup:
			reason = "duplicate"
		case ep.Disabled:
			reason = "disabled"
		case ep.Unhealthy:
			reason = "unhealthy"
		case ep.Weight == 0:
			reason = "weight 0"
		}
		if reason != "" {
			e.Excluded = append(e.Excluded, Excluded{Endpoint: ep, Reason: reason})
			continue
		}
		seen[identity] = struct{}{}
		e.Usable = append(e.Usable, ep)
	}
	slices.SortStableFunc(e.Usable, func(a, b Endpoint) int { return compare(&a, &b) })
	slices.SortStableFunc(e.Excluded, func(a, b Excluded) int { return compare(&a.Endpoint, &b.Endpoint) })
	return e
}

// compare orders endpoints so that the order in which a registry happens to tell them makes no difference.
func compare(a, b *Endpoint) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Protocol, b.Protocol),
		strings.Compare(a.Group, b.Group), strings.Compare(a.Version, b.Version))
}

// sameAs reports whether a subscriber would notice no difference between e and o.
func (e *Endpoints) sameAs(o *Endpoints) bool {
	if o == nil || len(e.Usable) != len(o.Usable) || len(e.Excluded) != len(o.Excluded) || e.SkippedCount != o.SkippedCount {
		return false
	}
	for i := range e.Usable {
		if !sameEndpoint(&e.Usable[i], &o.Usable[i]) {
			return false
		}
	}
	for i := range e.Excluded {
		if e.Excluded[i].Reason != o.Excluded[i].Reason || !sameEndpoint(&e.Excluded[i].Endpoint, &o.Excluded[i].Endpoint) {
			return false
		}
	}
	return slices.Equal(e.Skipped, o.Skipped)
}

func sameEndpoint(a, b *Endpoint) bool {
	if a.ID != b.ID || a.Weight != b.Weight || a.Protocol != b.Protocol || a.Zone != b.Zone ||
		a.Group != b.Group || a.Version != b.Version || a.Path != b.Path || len(a.Metadata) != len(b.Metadata) {
		return false
	}
	for k, v := range a.Metadata {
		if w, ok := b.Metadata[k]; !ok || v != w {
			return false
		}
	}
	return true
}
