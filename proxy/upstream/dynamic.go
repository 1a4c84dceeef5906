package upstream

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/registry"
)

const (
	// tend is how often a Dynamic looks for services that nobody uses any more.
	tend = 5 * time.Second
	// unused is how long a service is watched after its last request.
	unused = 10 * time.Minute
	// introduction is how long the first request of a service waits for the registry to tell its instances.
	introduction = 5 * time.Second
)

// Dynamic finds the service whose name each request completes, among those that the registry lists. Names that the
// registry does not know are never subscribed to: what clients write in a path makes no work. Of those that it knows only
// the ones that requests ask for are watched, since a catch-all route before thousands of services mostly uses a few.
type Dynamic struct {
	store    *Store
	registry string
	group    string
	template Template
	discover config.Discover
	settings func(registry.ServiceName) config.Service
	logger   *slog.Logger

	services atomic.Pointer[map[string]*slot]
	watch    *discovery.Subscription
	listed   chan struct{} // one token: a list is waiting
	answered chan struct{} // closed when the first list is followed
	list     atomic.Pointer[registry.ServiceSet]
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

// slot is one service that a request may name.
type slot struct {
	name registry.ServiceName
	// listed is false for one that has left the list but still has instances: a list may be wrong for a moment, instances
	// speak for themselves. Only the Dynamic's own goroutine uses it.
	listed bool
	// used is when the last request asked for it, in steps of a second.
	used atomic.Int64
	svc  atomic.Pointer[Service]
	mu   sync.Mutex // one opens, or closes for good
	gone bool
}

// AcquireDynamic begins to follow the list of a registry's services. discover says which of them count, settings how each
// is treated. It needs a Close.
func (s *Store) AcquireDynamic(reg, group string, t Template, discover config.Discover, settings func(registry.ServiceName) config.Service) *Dynamic {
	d := &Dynamic{
		store: s, registry: reg, group: group, template: t, discover: discover, settings: settings,
		logger: s.logger.With("registry", reg), listed: make(chan struct{}, 1), answered: make(chan struct{}),
	}
	d.services.Store(&map[string]*slot{})
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
	tick := time.NewTicker(tend)
	defer tick.Stop()
	retired := []*Service{}
	for {
		select {
		case <-ctx.Done():
			d.release(retired)
			return
		case <-d.listed:
			d.follow(d.list.Load())
		case <-tick.C:
			// A request that found a service just before it was retired has begun by the next tick.
			d.release(retired)
			retired = d.retire(protocol.Now())
		}
	}
}

func (d *Dynamic) release(services []*Service) {
	for _, svc := range services {
		d.store.Release(svc)
	}
}

// spelling is how requests write the name.
func (d *Dynamic) spelling(name string) string {
	if d.discover.LowerCase {
		return strings.ToLower(name)
	}
	return name
}

// follow makes the slots those of the list.
func (d *Dynamic) follow(set *registry.ServiceSet) {
	old := *d.services.Load()
	next := make(map[string]*slot, len(set.Services))
	for _, name := range set.Services {
		if name.Kind != registry.Plain || (d.group != "" && name.Group != "" && name.Group != d.group) || !d.discover.Allows(name.Name) {
			continue
		}
		spelling := d.spelling(name.Name)
		if taken := next[spelling]; taken != nil && (taken.name.Name == spelling || name.Name != spelling) {
			continue // of several spellings the one that requests write wins, then the first
		}
		name.Group = d.group
		if known := old[spelling]; known != nil && known.name == name {
			known.listed = true
			next[spelling] = known
			continue
		}
		next[spelling] = &slot{name: name, listed: true}
	}
	for spelling, s := range old {
		if next[spelling] == nil && s.alive() {
			s.listed = false
			next[spelling] = s
		}
	}
	for spelling, s := range next {
		// What is in use already, by the plan before or another route, stays in use.
		if old[spelling] != s && d.store.has(discovery.Key{Registry: d.registry, Service: s.name}) {
			d.open(s)
		}
	}
	d.services.Store(&next)
	for spelling, s := range old {
		if next[spelling] != s {
			d.shut(s)
		}
	}
	select {
	case <-d.answered:
	default:
		close(d.answered)
	}
}

// alive reports whether the service is watched and has instances.
func (s *slot) alive() bool {
	svc := s.svc.Load()
	return svc != nil && len(svc.state.Load().instances) > 0
}

// retire gives up the watch of services without requests, and forgets those that have left the list and have no instance
// any more. It returns what has to be released a while later.
func (d *Dynamic) retire(now int64) (retired []*Service) {
	old := *d.services.Load()
	var next map[string]*slot
	for spelling, s := range old {
		switch {
		case !s.listed && !s.alive():
			if next == nil {
				next = make(map[string]*slot, len(old))
				for k, v := range old {
					next[k] = v
				}
			}
			delete(next, spelling)
		case now-s.used.Load() < int64(unused):
			continue
		}
		s.mu.Lock()
		if svc := s.svc.Swap(nil); svc != nil {
			retired = append(retired, svc)
		}
		s.gone = s.gone || !s.listed
		s.mu.Unlock()
	}
	if next != nil {
		d.services.Store(&next)
	}
	return retired
}

// shut is for a slot that is not found any more.
func (d *Dynamic) shut(s *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if svc := s.svc.Swap(nil); svc != nil {
		d.store.Release(svc)
	}
}

// open begins to watch the slot's service. It returns nil when the slot is gone, or its service cannot be used.
func (d *Dynamic) open(s *slot) *Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if svc := s.svc.Load(); svc != nil || s.gone {
		return svc
	}
	svc, err := d.store.Acquire(discovery.Key{Registry: d.registry, Service: s.name}, d.settings(s.name))
	if err != nil {
		d.logger.Error("cannot use service", "service", s.name.String(), "error", err)
		return nil
	}
	s.used.Store(protocol.Now())
	s.svc.Store(svc)
	return svc
}

// Answered is closed when the registry has listed its services for the first time.
func (d *Dynamic) Answered() <-chan struct{} { return d.answered }

// Close releases every service.
func (d *Dynamic) Close() {
	d.watch.Close()
	d.cancel()
	d.done.Wait()
	for _, s := range *d.services.Load() {
		d.shut(s)
	}
}

// NewDynamicTarget is NewTarget for a name that each request completes.
func NewDynamicTarget(d *Dynamic, tries Tries) *Target { return &Target{to: d, tries: tries} }

// resolve implements resolver.
func (d *Dynamic) resolve(ctx context.Context, req *protocol.Request) (*state, error) {
	name := d.template.Expand(req)
	s := (*d.services.Load())[name]
	if s == nil {
		if d.list.Load() == nil {
			return nil, (&state{service: strings.Clone(name)}).noInstance()
		}
		return nil, protocol.NewError(404, protocol.CodeNoRoute, "the registry knows no service "+strings.Clone(name))
	}
	now := protocol.Now()
	if now-s.used.Load() > int64(time.Second) {
		s.used.Store(now)
	}
	svc := s.svc.Load()
	if svc == nil {
		if svc = d.open(s); svc == nil {
			return nil, (&state{service: s.name.String()}).noInstance()
		}
	}
	if st := svc.state.Load(); st.endpoints != nil {
		return st, nil
	}
	return svc.introduced(ctx, req, now), nil
}

// introduced is the service's state when the registry has told its instances, or as it is when that takes too long.
func (s *Service) introduced(ctx context.Context, req *protocol.Request, now int64) *state {
	patience := introduction
	if req.Deadline != 0 {
		patience = min(patience, time.Duration(req.Deadline-now))
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.answered:
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.state.Load()
}
