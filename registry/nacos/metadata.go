package nacos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// revisionKey names what an application exports at one revision, which never changes.
type revisionKey struct {
	app, id string
	only    string // the one instance that this is about, where it tells no revision (Dubbo 2.7)
}

var errNoMetadata = errors.New("metadata: not in the configuration centre, and no instance says where to ask")

// appNode is one instance of an application.
type appNode struct {
	*dubbo.Node
	host     *host
	revision revisionKey
}

// readAppNode reads an instance's metadata.
func readAppNode(app string, h *host) (appNode, error) {
	if !dubbo.IsNode(h.Metadata) {
		return appNode{}, errors.New("it is no instance of a Dubbo application")
	}
	n := appNode{Node: dubbo.ReadNode(dubbo.Unbracket(h.IP), h.Port, h.Metadata), host: h}
	n.revision = revisionKey{app: app, id: n.Revision}
	if n.Revision == "" {
		n.revision.only = n.Source.Address
	}
	return n, nil
}

// instance is where the node serves what its application exports.
func (n *appNode) instance(e *dubbo.Exported) registry.Instance {
	i, h := n.Instance(n.revision.app, e), n.host.plain()
	i.Weight = dubboWeight(n.host, cmp.Or(n.host.Metadata["weight"], e.Params["weight"]))
	i.Disabled, i.Unhealthy, i.Zone = i.Disabled || h.Disabled, h.Unhealthy, h.Zone
	return i
}

// appMetadata is the subject of what one revision exports. Once it is known it is never asked for again.
type appMetadata struct {
	subjectState
	client *client
	key    revisionKey

	// Guarded by the client's lock.
	sources []dubbo.Source
	known   bool
	exports []dubbo.Exported
	err     error // why there are none; it is tried again
}

func (a *appMetadata) String() string {
	return "metadata of " + a.key.app + " at revision " + clip(cmp.Or(a.key.id, a.key.only))
}

// metadata gives a reader what a revision exports, or why that cannot be known at present; false: not tried yet.
func (sc *scope) metadata(key revisionKey, sources []dubbo.Source) (exports []dubbo.Exported, known bool, err error) {
	c := sc.client
	c.mu.Lock()
	defer c.mu.Unlock()
	a := find(c.apps, key, func() *appMetadata { return &appMetadata{client: c, key: key} })
	fresh := !slices.Equal(a.sources, sources)
	a.sources = sources
	if fresh && a.err != nil && c.session != nil {
		c.session.kickLocked(a) // somebody else to ask
	}
	sc.read(a)
	return a.exports, a.known || a.err != nil, a.err
}

func (a *appMetadata) sync(ctx context.Context, s *session) error {
	c := a.client
	c.mu.Lock()
	known, sources := a.known, a.sources
	c.mu.Unlock()
	if known {
		return nil
	}
	exports, err := a.fetch(ctx, s, sources)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.exports, a.known, a.err = exports, err == nil, err
	a.notify()
	return err
}

func (a *appMetadata) leave(context.Context, *session) error { return nil }

// fetch looks in the configuration centre, then asks instances; three of them at most, others at the next try.
func (a *appMetadata) fetch(ctx context.Context, s *session, sources []dubbo.Source) ([]dubbo.Exported, error) {
	c := a.client
	if a.key.id != "" {
		content, _, exists, err := c.queryConfig(ctx, s, configKey{a.key.id, a.key.app})
		if err != nil && len(sources) == 0 {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		if exists {
			return dubbo.ParseMetadataInfo([]byte(content))
		}
	}
	if c.opts.Dubbo == nil || len(sources) == 0 {
		return nil, errNoMetadata
	}
	c.mu.Lock()
	first := a.fails * triedSources
	c.mu.Unlock()
	var errs []error
	for n := range min(triedSources, len(sources)) {
		src := sources[(first+n)%len(sources)]
		exports, err := c.ask(ctx, src, a.key)
		if err == nil {
			return exports, nil
		}
		errs = append(errs, fmt.Errorf("metadata: ask %s://%s: %w", src.Protocol, src.Address, err))
	}
	return nil, errors.Join(errs...)
}

const triedSources = 3

func (c *client) ask(ctx context.Context, src dubbo.Source, key revisionKey) ([]dubbo.Exported, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeouts.Request)
	defer cancel()
	document, err := c.opts.Dubbo.FetchMetadata(ctx, src.Protocol, src.Address, key.app, key.id)
	if err != nil {
		return nil, err
	}
	return dubbo.ParseMetadataInfo(document)
}
