package proxy

import (
	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/proxy/filter"
	"github.com/sluice-gateway/sluice/proxy/route"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
)

// Components is the table of plug-ins that a binary is made of. Each constructor returns a configuration filled with
// defaults.
type Components struct {
	// Filters by the name a route uses.
	Filters map[string]func() filter.Config
	// Registries by type.
	Registries map[string]func() registry.Config
	// Dialers by an instance's protocol.
	Dialers map[string]upstream.Dialer
}

// Kinds is what reading a document needs of the table.
func (c *Components) Kinds() config.Kinds {
	kinds := config.Kinds{
		Filters: map[string]func() any{}, Registries: map[string]func() any{},
		Pattern: func(path string) error { _, err := route.ParsePattern(path); return err },
	}
	for name, build := range c.Filters {
		kinds.Filters[name] = func() any { return build() }
	}
	for name, build := range c.Registries {
		kinds.Registries[name] = func() any { return build() }
	}
	return kinds
}
