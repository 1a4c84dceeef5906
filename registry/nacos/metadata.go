package nacos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// What an application's instances say of themselves.
const (
	metaRevision    = "dubbo.metadata.revision"
	metaOldRevision = "dubbo.exported-services.revision"
	metaStorage     = "dubbo.metadata.storage-type"
	metaEndpoints   = "dubbo.endpoints"
	metaParams      = "dubbo.metadata-service.url-params"
	metaURLs        = "dubbo.metadata-service.urls"
)

// noRevision is the revision of an application that exports nothing.
const noRevision = "0"

// revisionKey names what an application exports at one revision, which never changes.
type revisionKey struct {
	app, id string
	only    string // the one instance that this is about, where it tells no revision (Dubbo 2.7)
}

var errNoMetadata = errors.New("metadata: not in the configuration centre, and no instance says where to ask")

// metadataSource is where an instance's MetadataService answers.
type metadataSource struct{ protocol, address string }

// appNode is one instance of an application.
type appNode struct {
	host     *host
	revision revisionKey
	source   metadataSource
	ports    map[string]int
}

// readAppNode reads an instance's metadata.
func readAppNode(app string, h *host) (appNode, error) {
	m := h.Metadata
	n := appNode{host: h, ports: map[string]int{}}
	n.revision = revisionKey{app: app, id: cmp.Or(m[metaRevision], m[metaOldRevision])}
	if m[metaEndpoints] == "" && m[metaParams] == "" && m[metaURLs] == "" && n.revision.id == "" {
		return n, errors.New("it is no instance of a Dubbo application")
	}
	var endpoints []struct {
		Port     number `json:"port"`
		Protocol string `json:"protocol"`
	}
	if text := m[metaEndpoints]; text != "" {
		if err := json.Unmarshal([]byte(text), &endpoints); err != nil {
			return n, fmt.Errorf("%s: %w", metaEndpoints, err)
		}
	}
	for _, e := range endpoints {
		n.ports[e.Protocol] = int(e.Port)
	}
	if m[metaStorage] != "remote" {
		n.source = sourceOf(h)
	}
	if n.revision.id == "" {
		n.revision.only = n.source.address
	}
	return n, nil
}

// sourceOf reads the three ways in which applications say where their MetadataService is: parameters (3.x), parameters by
// protocol (2.7), URLs (Spring Cloud Alibaba).
func sourceOf(h *host) metadataSource {
	var flat struct {
		Protocol string `json:"protocol"`
		Port     number `json:"port"`
	}
	var nested map[string]struct {
		Port number `json:"port"`
	}
	var urls []string
	text := []byte(h.Metadata[metaParams])
	protocol, port := "", 0
	switch {
	case json.Unmarshal(text, &flat) == nil && flat.Port != 0:
		protocol, port = cmp.Or(flat.Protocol, "dubbo"), int(flat.Port)
	case json.Unmarshal(text, &nested) == nil:
		for _, p := range slices.Sorted(maps.Keys(nested)) {
			if nested[p].Port != 0 {
				protocol, port = p, int(nested[p].Port)
				break
			}
		}
	case json.Unmarshal([]byte(h.Metadata[metaURLs]), &urls) == nil && len(urls) > 0:
		scheme, rest, _ := strings.Cut(urls[0], "://")
		rest, _, _ = strings.Cut(rest, "/")
		rest, _, _ = strings.Cut(rest, "?")
		if _, p, err := net.SplitHostPort(rest); err == nil {
			protocol = scheme
			port, _ = strconv.Atoi(p)
		}
	}
	if port < 1 || port > 65535 || (protocol != "dubbo" && protocol != "tri") {
		return metadataSource{}
	}
	return metadataSource{protocol, net.JoinHostPort(strings.Trim(h.IP, "[]"), strconv.Itoa(port))}
}

// instance is where the node serves what its application exports: its own host, and the service's port.
func (n *appNode) instance(e *exported) registry.Instance {
	h := n.host
	i := h.plain()
	i.Protocol, i.Group, i.Version = e.protocol, e.group, e.version
	i.Port = cmp.Or(e.port, n.ports[e.protocol], h.Port)
	if e.path != e.iface {
		i.Path = e.path
	}
	i.Weight = dubboWeight(h, cmp.Or(h.Metadata["weight"], e.params["weight"]))
	i.Disabled = i.Disabled || disabled(h.Metadata) || disabled(e.params)
	i.Metadata = make(map[string]string, len(e.params)+len(h.Metadata)+1)
	maps.Copy(i.Metadata, e.params)
	for k, v := range h.Metadata {
		switch k {
		case metaEndpoints, metaParams, metaURLs: // read above, and long
		default:
			i.Metadata[k] = v
		}
	}
	i.Metadata["application"] = n.revision.app
	return i
}

// exported is one service of a revision: Dubbo's ServiceInfo.
type exported struct {
	iface, group, version string
	protocol, path        string
	port                  int // 0: the protocol's port of the instance
	params                map[string]string
}

// readMetadataInfo reads Dubbo's MetadataInfo. A service that cannot be read is left out.
func readMetadataInfo(document []byte) ([]exported, error) {
	var info struct {
		Services map[string]json.RawMessage `json:"services"`
	}
	if err := json.Unmarshal(document, &info); err != nil {
		return nil, fmt.Errorf("read MetadataInfo: %w", err)
	}
	all := make([]exported, 0, len(info.Services))
	for _, key := range slices.Sorted(maps.Keys(info.Services)) {
		var s struct {
			Name     string            `json:"name"`
			Group    string            `json:"group"`
			Version  string            `json:"version"`
			Protocol string            `json:"protocol"`
			Path     string            `json:"path"`
			Port     number            `json:"port"`
			Params   map[string]string `json:"params"`
		}
		if json.Unmarshal(info.Services[key], &s) != nil || s.Name == "" {
			continue
		}
		if s.Protocol == "" { // the key is [group/]interface[:version]:protocol
			s.Protocol = key[strings.LastIndexByte(key, ':')+1:]
		}
		all = append(all, exported{
			iface: s.Name, group: s.Group, version: s.Version, protocol: s.Protocol,
			path: strings.TrimPrefix(s.Path, "/"), port: int(s.Port), params: s.Params,
		})
	}
	return all, nil
}

// number is a JSON number, or a text that is one: Dubbo's versions differ. What is no number is 0.
type number int

func (n *number) UnmarshalJSON(b []byte) error {
	*n = 0
	if v, err := strconv.Atoi(strings.Trim(string(b), `"`)); err == nil {
		*n = number(v)
	}
	return nil
}

// appMetadata is the subject of what one revision exports. Once it is known it is never asked for again.
type appMetadata struct {
	subjectState
	client *client
	key    revisionKey

	// Guarded by the client's lock.
	sources []metadataSource
	known   bool
	exports []exported
	err     error // why there are none; it is tried again
}

func (a *appMetadata) String() string {
	return "metadata of " + a.key.app + " at revision " + clip(cmp.Or(a.key.id, a.key.only))
}

// metadata gives a reader what a revision exports, or why that cannot be known at present; false: not tried yet.
func (sc *scope) metadata(key revisionKey, sources []metadataSource) (exports []exported, known bool, err error) {
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
func (a *appMetadata) fetch(ctx context.Context, s *session, sources []metadataSource) ([]exported, error) {
	c := a.client
	if a.key.id != "" {
		content, _, exists, err := c.queryConfig(ctx, s, configKey{a.key.id, a.key.app})
		if err != nil && len(sources) == 0 {
			return nil, fmt.Errorf("metadata: %w", err)
		}
		if exists {
			return readMetadataInfo([]byte(content))
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
		errs = append(errs, fmt.Errorf("metadata: ask %s://%s: %w", src.protocol, src.address, err))
	}
	return nil, errors.Join(errs...)
}

const triedSources = 3

func (c *client) ask(ctx context.Context, src metadataSource, key revisionKey) ([]exported, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeouts.Request)
	defer cancel()
	document, err := c.opts.Dubbo.FetchMetadata(ctx, src.protocol, src.address, key.app, key.id)
	if err != nil {
		return nil, err
	}
	return readMetadataInfo(document)
}
