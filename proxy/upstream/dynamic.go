package upstream

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/registry"
)

// Template is a service name with captures of the path in it: "{service}", "team-{team}-api".
type Template struct {
	parts []templatePart
}

type templatePart struct {
	text    string
	capture bool
}

// ParseTemplate splits s. The second result is false when s names no capture: it is a plain name then.
func ParseTemplate(s string) (Template, bool) {
	var t Template
	dynamic := false
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			break
		}
		if open > 0 {
			t.parts = append(t.parts, templatePart{text: s[:open]})
		}
		t.parts = append(t.parts, templatePart{text: s[open+1 : open+end], capture: true})
		dynamic = true
		s = s[open+end+1:]
	}
	if s != "" {
		t.parts = append(t.parts, templatePart{text: s})
	}
	return t, dynamic
}

// Expand fills the captures in. The result is valid until the exchange ends.
func (t *Template) Expand(req *protocol.Request) string {
	out := ""
	for _, p := range t.parts {
		text := p.text
		if p.capture {
			text, _ = req.Param(p.text)
		}
		if out == "" {
			out = text
		} else {
			out = req.Arena.Concat(out, text)
		}
	}
	return out
}

// Dynamic follows every service of a registry that a template can name, so that only names that the registry knows are
// ever subscribed to: what clients write in a path makes no work.
type Dynamic struct {
	store    *Store
	registry string
	group    string
	template Template
	settings func(registry.ServiceName) config.Service
	logger   *slog.Logger

	services atomic.Pointer[map[string]*Service]
	watch    *discovery.Subscription
	listed   chan struct{} // one token: a list is waiting
	answered chan struct{} // closed when the first list is followed
	list     atomic.Pointer[registry.ServiceSet]
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// AcquireDynamic begins to follow the services of a registry. settings says how each is treated. It needs a Close.
func (s *Store) AcquireDynamic(reg, group string, t Template, settings func(registry.ServiceName) config.Service) *Dynamic {
	d := &Dynamic{
		store: s, registry: reg, group: group, template: t, settings: settings,
		logger: s.logger.With("registry", reg), listed: make(chan struct{}, 1), answered: make(chan struct{}),
	}
	d.services.Store(&map[string]*Service{})
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.done.Go(func() { d.run(ctx) })
	// The callback must not call the catalogue, and acquiring a service does: run takes over.
	d.watch = s.catalogue.SubscribeServices(reg, func(set *registry.ServiceSet) {
		d.list.Store(set)
		select {
		case d.listed <- struct{}{}:
		default:
		}
	})
	return d
}

func (d *Dynamic) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.listed:
			d.follow(d.list.Load())
		}
	}
}

func (d *Dynamic) follow(set *registry.ServiceSet) {
	old := *d.services.Load()
	next := make(map[string]*Service, len(set.Services))
	for _, name := range set.Services {
		if name.Kind != registry.Plain || next[name.Name] != nil || (d.group != "" && name.Group != "" && name.Group != d.group) {
			continue
		}
		if svc := old[name.Name]; svc != nil {
			next[name.Name] = svc
			continue
		}
		name.Group = d.group
		svc, err := d.store.Acquire(discovery.Key{Registry: d.registry, Service: name}, d.settings(name))
		if err != nil {
			d.logger.Error("cannot use service", "service", name.String(), "error", err)
			continue
		}
		next[name.Name] = svc
	}
	d.services.Store(&next)
	select {
	case <-d.answered:
	default:
		close(d.answered)
	}
	for name, svc := range old {
		if next[name] == nil {
			d.store.Release(svc)
		}
	}
}

// Answered is closed when the registry has listed its services for the first time.
func (d *Dynamic) Answered() <-chan struct{} { return d.answered }

// Close releases every service.
func (d *Dynamic) Close() {
	d.watch.Close()
	d.cancel()
	d.done.Wait()
	for _, svc := range maps.All(*d.services.Load()) {
		d.store.Release(svc)
	}
}

// NewDynamicTarget is NewTarget for a name that each request completes.
func NewDynamicTarget(d *Dynamic, timeout int64, attempts int) *Target {
	return &Target{to: d, timeout: timeout, attempts: attempts}
}

// resolve implements resolver.
func (d *Dynamic) resolve(req *protocol.Request) (*state, error) {
	name := d.template.Expand(req)
	svc := (*d.services.Load())[name]
	if svc == nil {
		if d.list.Load() == nil {
			return nil, (&state{service: strings.Clone(name)}).noInstance()
		}
		return nil, protocol.NewError(404, protocol.CodeNoRoute, "the registry knows no service "+strings.Clone(name))
	}
	return svc.state.Load(), nil
}
