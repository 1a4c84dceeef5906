package proxy

import (
	"fmt"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/registry"
)

// registrySpecs are the registries of a document as the catalogue runs them.
func registrySpecs(doc *config.Document) (map[string]discovery.Spec, error) {
	out := make(map[string]discovery.Spec, len(doc.Registries))
	for _, r := range doc.Registries {
		spec := discovery.Spec{Members: r.Members, Policy: discovery.Policy{
			ServiceCollapse: r.Protection.Service, RegistryCollapse: r.Protection.Registry, CollapseMin: r.Protection.Min,
			Hold: r.Protection.Hold, DenyAddresses: r.DenyAddresses,
		}}
		if r.Type != config.Merged {
			cfg, ok := r.Config.(registry.Config)
			if !ok {
				return nil, fmt.Errorf("registry %q: type %q is not a registry", r.Name, r.Type)
			}
			spec.Config = cfg
			if _, byHand := cfg.(registry.Authored); byHand {
				spec.Policy = discovery.Policy{DenyAddresses: r.DenyAddresses}
			}
		}
		out[r.Name] = spec
	}
	return out, nil
}
