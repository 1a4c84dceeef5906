package discovery

import (
	"cmp"
	"net/netip"
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
	// Source is the name of the registry that describes it: the service's own, or the member of a merged one.
	Source string
	// Held is not nil when the registry does not list the instance any more, or lists it as unhealthy, and that is doubted.
	Held *Hold
}

// Hold is why and how long instances stay in use that their registry has dropped.
type Hold struct {
	// Since is when the registry dropped them, Until when it is believed at the latest.
	Since, Until time.Time
	// Reason is a short phrase.
	Reason string
}

// Excluded is an instance that is known but not to be picked.
type Excluded struct {
	Endpoint
	// Reason is a word for the status page: disabled, unhealthy, weight 0, duplicate, denied address.
	Reason string
}

const (
	reasonDuplicate  = "duplicate"
	reasonDenied     = "denied address"
	reasonDisabled   = "disabled"
	reasonUnhealthy  = "unhealthy"
	reasonWeightless = "weight 0"
)

// Endpoints is the published state of one service. It never changes once published.
type Endpoints struct {
	Key Key
	// Usable may be picked, in a stable order (by ID, then protocol, group and version).
	Usable []Endpoint
	// Held counts those of Usable that are held.
	Held int
	// Excluded are known but not to be picked.
	Excluded []Excluded
	// Skipped are entries of the registry that make no sense; at most registry.MaxSkipped are kept.
	Skipped      []registry.Skipped
	SkippedCount int
	// At is when the registry said so, with the monotonic clock's reading. Subscribers are not told when it says the same
	// again, and a state that changed for another reason (a held instance was let go) has the At of the one before it.
	At time.Time
	// Stale is true when this is what was kept on disk and the registry has not answered since. At is then when it was
	// known to be true.
	Stale bool
}

// fromSnapshot applies the rules of use: denied by policy, out of service on purpose, failing the registry's own checks,
// or weighing nothing means not picked; an address that is listed twice is used once.
func fromSnapshot(key Key, s registry.Snapshot, at time.Time, deny []netip.Prefix) *Endpoints {
	e := &Endpoints{Key: key, Skipped: s.Skipped, SkippedCount: s.SkippedCount, At: at}
	e.Usable = make([]Endpoint, 0, len(s.Instances))
	for i := range s.Instances {
		e.add(Endpoint{Instance: s.Instances[i], ID: s.Instances[i].Address(), Source: key.Registry}, deny)
	}
	e.finish()
	return e
}

// add puts an endpoint where it belongs. finish must follow.
func (e *Endpoints) add(ep Endpoint, deny []netip.Prefix) {
	reason := ""
	switch {
	case denied(ep.Host, deny):
		reason = reasonDenied
	case ep.Disabled:
		reason = reasonDisabled
	case ep.Unhealthy:
		reason = reasonUnhealthy
	case ep.Weight == 0:
		reason = reasonWeightless
	default:
		e.Usable = append(e.Usable, ep)
		return
	}
	e.Excluded = append(e.Excluded, Excluded{Endpoint: ep, Reason: reason})
}

// finish brings the endpoints into order, and excludes all but the first that the registry told of an identity.
func (e *Endpoints) finish() {
	slices.SortStableFunc(e.Usable, func(a, b Endpoint) int { return compare(&a, &b) })
	kept := e.Usable[:0]
	for i := range e.Usable {
		if n := len(kept); n > 0 && compare(&kept[n-1], &e.Usable[i]) == 0 {
			e.Excluded = append(e.Excluded, Excluded{Endpoint: e.Usable[i], Reason: reasonDuplicate})
			continue
		}
		kept = append(kept, e.Usable[i])
	}
	clear(e.Usable[len(kept):])
	e.Usable = kept
	slices.SortStableFunc(e.Excluded, func(a, b Excluded) int { return compare(&a.Endpoint, &b.Endpoint) })
}

// denying is e under another list of denied addresses. What is denied is held no longer.
func (e *Endpoints) denying(deny []netip.Prefix) *Endpoints {
	out := *e
	out.Usable, out.Excluded, out.Held = make([]Endpoint, 0, len(e.Usable)), nil, 0
	for i := range e.Usable {
		ep := e.Usable[i]
		switch {
		case ep.Held == nil:
			out.add(ep, deny)
		case !denied(ep.Host, deny):
			out.Usable = append(out.Usable, ep)
			out.Held++
		}
	}
	for i := range e.Excluded {
		if x := &e.Excluded[i]; x.Reason == reasonDuplicate {
			out.Excluded = append(out.Excluded, *x)
		} else {
			out.add(x.Endpoint, deny)
		}
	}
	out.finish()
	return &out
}

// confirmedBy is e as of the time of o, which says the same. What e is made of is shared, so that whoever still holds e
// costs no second copy.
func (e *Endpoints) confirmedBy(o *Endpoints) *Endpoints {
	out := *e
	out.At = o.At
	return &out
}

// compare orders endpoints so that the order in which a registry happens to tell them makes no difference. Two that are
// equal are the same instance.
func compare(a, b *Endpoint) int {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Protocol, b.Protocol),
		strings.Compare(a.Group, b.Group), strings.Compare(a.Version, b.Version))
}

// sameAs reports whether a subscriber would notice no difference between e and o.
func (e *Endpoints) sameAs(o *Endpoints) bool {
	if o == nil || len(e.Usable) != len(o.Usable) || len(e.Excluded) != len(o.Excluded) ||
		e.SkippedCount != o.SkippedCount || e.Stale != o.Stale {
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
	if a.ID != b.ID || a.Source != b.Source || a.Held != b.Held ||
		a.Weight != b.Weight || a.Protocol != b.Protocol || a.Zone != b.Zone ||
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
