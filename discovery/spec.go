package discovery

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Spec is one registry as the document wants it: one that is connected to, or one that is merged of others.
type Spec struct {
	// Config builds the registry; nil for a merged one.
	Config registry.Config
	// Members are the names of the registries that a merged one is made of, the most trusted first. A service of it has the
	// instances of all; an address that several of them know is described by the first.
	Members []string
	// Policy says how far the registry is believed. That of a merged one does not count: its members have theirs.
	Policy Policy
}

// Policy says how far a registry is believed. The zero Policy believes everything, as is right for one that is written by
// hand.
//
// Three things are told apart. An error is no answer, and changes nothing. An authoritative answer is believed, also an
// empty one. A collapse is an answer that takes away more at once than people ordinarily do: its instances stay in use,
// marked as held, while they accept connections and until Hold has passed; then the registry is believed.
//
// Losses are net: what is replaced by new instances, as in a deployment, is no loss. Instances that the registry still
// lists, but as disabled, with weight 0, or at a denied address, are put out of service on purpose and never held; those
// that it calls unhealthy are lost like those that are gone, as a registry that was cut off from everybody says so first.
type Policy struct {
	// ServiceCollapse is the share (0 to 1) of a service's usable instances that may be gone with one change, or within
	// CollapseWindow; when more are gone, and the service had at least CollapseMin of them, they are held. 0 turns it off.
	ServiceCollapse float64
	// RegistryCollapse is the share of all usable instances of the registry's subscribed services that may be gone within
	// CollapseWindow; when more are, from two services or more, they are held. 0 turns it off.
	RegistryCollapse float64
	// CollapseMin is the number of instances, of a service and of a registry, below which no loss is suspicious. Until
	// afterReconnect has passed since a registry was found again it is 1: a server that was restarted empty, or before its
	// providers have registered again, says little, and what it says of a small service is as doubtful as of a large one.
	CollapseMin int
	// Hold is how long instances of a collapse stay in use, as long as they accept connections. 0 turns holding off.
	Hold time.Duration
	// DenyAddresses are never used, whoever registers them. Hosts that are names are not looked up for it.
	DenyAddresses []netip.Prefix
}

const (
	// CollapseWindow is the time within which losses count as one.
	CollapseWindow = 5 * time.Second
	// afterReconnect is how long after its connection was found again a registry's word on small services is doubted, too.
	afterReconnect = 10 * time.Second
)

// DefaultPolicy believes what changes service by service, and doubts what takes most of a larger service, or a third of a
// registry, at once.
//
// 0.7: scaling to half, or losing one of three zones, or two, is believed; 0.3: one zone of three is just too much for a
// registry, as nobody takes a third of everything away on purpose within seconds. A minute is longer than any lease
// (Eureka 90 s excepted) needs to be renewed after a restart. To be wrong costs little: who is gone does not answer
// probes, and is let go within two seconds.
func DefaultPolicy() Policy {
	return Policy{ServiceCollapse: 0.7, RegistryCollapse: 0.3, CollapseMin: 4, Hold: time.Minute}
}

func (p *Policy) holds() bool {
	return p.Hold > 0 && (p.ServiceCollapse > 0 || p.RegistryCollapse > 0)
}

func (p *Policy) sameDenied(o *Policy) bool { return slices.Equal(p.DenyAddresses, o.DenyAddresses) }
