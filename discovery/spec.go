package discovery

import (
	"net/netip"
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
	// Policy says how far the registry is believed.
	Policy Policy
}

// Policy says how far a registry is believed.
type Policy struct {
	// ServiceCollapse is the share (0 to 1) of a service's usable instances that may be gone with one change; when more are
	// gone, and the service had at least CollapseMin of them, they are held. 0 turns it off.
	ServiceCollapse float64
	// RegistryCollapse is the share of all usable instances of the registry's subscribed services that may be gone within
	// CollapseWindow; when more are, they are held. 0 turns it off.
	RegistryCollapse float64
	// CollapseMin is the number of instances, of a service and of a registry, below which no loss is suspicious.
	CollapseMin int
	// Hold is how long instances of a collapse stay in use, as long as they accept connections.
	Hold time.Duration
	// DenyAddresses are never used, whoever registers them.
	DenyAddresses []netip.Prefix
}

// CollapseWindow is the time within which losses of different services count as one.
const CollapseWindow = 5 * time.Second

// DefaultPolicy believes what changes service by service, and doubts what takes most of a larger service, or a third of a
// registry, at once.
func DefaultPolicy() Policy {
	return Policy{ServiceCollapse: 0.7, RegistryCollapse: 0.3, CollapseMin: 4, Hold: time.Minute}
}
