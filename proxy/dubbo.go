package proxy

import (
	"cmp"
	"sync"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo"
	"github.com/sluice-gateway/sluice/proxy/upstream"
	"github.com/sluice-gateway/sluice/registry"
)

// definitions holds the catalog of Dubbo definitions of each registry. Catalogs outlive plans, so a definition is not
// compiled again because a route changed.
type definitions struct {
	catalogue *discovery.Catalogue

	mu       sync.Mutex
	catalogs map[string]*dubbo.Catalog
}

func (d *definitions) of(g *Gateway, reg string) *dubbo.Catalog {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.catalogs[reg]
	if c == nil {
		c = dubbo.NewCatalog(&definitionSource{d.catalogue, reg}, g.logger.With("registry", reg))
		if d.catalogs == nil {
			d.catalogs = map[string]*dubbo.Catalog{}
		}
		d.catalogs[reg] = c
	}
	return c
}

// definitionSource is one registry's part of the catalogue as protocol/dubbo wants it.
type definitionSource struct {
	catalogue *discovery.Catalogue
	registry  string
}

// SubscribeDefinition implements dubbo.DefinitionSource.
func (s *definitionSource) SubscribeDefinition(service dubbo.Service, notify func(json []byte)) (stop func()) {
	key := discovery.Key{Registry: s.registry, Service: registry.DubboService(service.Interface, service.Group, service.Version)}
	return s.catalogue.SubscribeDefinition(key, func(d *discovery.Definition) { notify(d.JSON) }).Close
}

// dubbo builds the end of a route that calls a Dubbo method. A group or version that the route leaves open is any that the
// registry knows; the request, or their being only one, decides among them.
func (c *compiler) dubbo(r *config.Route, reg string, built *compiled) (protocol.Handler, error) {
	to := r.To
	route := dubbo.Route{
		Interface: to.Dubbo.Interface, Method: to.Dubbo.Method, Group: to.Dubbo.Group, Version: to.Dubbo.Version,
		Args: to.Dubbo.Args, Types: to.Dubbo.Types, Attachments: to.Dubbo.Attachments, Unknown: to.Dubbo.Unknown,
	}
	open := route.Group == "" || route.Version == ""
	name := registry.DubboService(route.Interface, cmp.Or(route.Group, "*"), cmp.Or(route.Version, "*"))
	svc, err := c.acquire(reg, name, built)
	if err != nil {
		return nil, err
	}
	tries := upstream.TriesOf(to)
	target := upstream.NewTarget(svc, tries)
	var part dubbo.Part
	if open {
		target = upstream.NewPartTarget(svc, tries, route.Select)
		part = target.Part
	}
	transcoder, err := dubbo.NewTranscoder(route, c.gateway.definition.of(c.gateway, reg), part)
	if err != nil {
		return nil, err
	}
	built.release = append(built.release, transcoder.Close)
	built.call = target
	return transcoder.Filter(target), nil
}
