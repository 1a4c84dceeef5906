package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/proxy/health"
	"github.com/sluice-gateway/sluice/proxy/outlier"
)

const (
	// sweepEvery is how often idle connections are looked at.
	sweepEvery = time.Second
	// remember is how long the load of an instance that left is kept, so that one that blinks is not taken for new.
	remember = 10 * time.Minute
)

// Store holds every service in use, with what must outlive plans: connections and loads.
type Store struct {
	logger    *slog.Logger
	catalogue *discovery.Catalogue
	dialers   map[string]*Dialer

	ctx     context.Context //nolint:containedctx // the life of the store: clients that are being closed must not outlive it
	cancel  context.CancelFunc
	closing sync.WaitGroup

	mu       sync.Mutex
	services map[discovery.Key][]*Service            // one a way of treatment; more than one only while plans change
	loads    map[discovery.Key]map[string]*loadEntry // by service and instance
	groups   map[discovery.Key]*outlier.Group        // of services whose instances were ever judged

	// left are the loads of instances that nobody has, and open the connectors that have a client. What is done now and then
	// is done for these alone: an instance that is only known costs nothing.
	left map[loadKey]time.Time
	open map[*connector]struct{}

	sweeper outlier.Sweeper
	checker *health.Checker

	// discovered is the time from the moment a registry told of an instance to its first request, by registry.
	discovered *prometheus.HistogramVec
}

type loadEntry struct {
	balance.Load
	refs    int
	outlier *outlier.Instance // nil until somebody judges it
	target  *health.Target    // nil until somebody checks it
	checks  int               // of refs, those that want it checked
}

type loadKey struct {
	service discovery.Key
	id      string
}

// NewStore returns an empty Store. dialers is keyed by an endpoint's protocol.
func NewStore(logger *slog.Logger, catalogue *discovery.Catalogue, dialers map[string]Dialer) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	byProtocol := make(map[string]*Dialer, len(dialers))
	for protocol, d := range dialers {
		byProtocol[protocol] = &d
	}
	return &Store{
		ctx: ctx, cancel: cancel, logger: logger, catalogue: catalogue, dialers: byProtocol,
		services: map[discovery.Key][]*Service{}, loads: map[discovery.Key]map[string]*loadEntry{},
		groups: map[discovery.Key]*outlier.Group{}, checker: health.NewChecker(logger),
		left: map[loadKey]time.Time{}, open: map[*connector]struct{}{},
		discovered: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_registry_event_to_first_pick_seconds",
			Help:    "Time from a registry's telling of a new instance of a known service to the first request sent to it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"registry"}),
	}
}

// Acquire returns the service of key, treated as settings say. Who asks twice with equal settings gets the same one. Each
// Acquire needs a Release.
func (s *Store) Acquire(key discovery.Key, settings config.Service) (*Service, error) {
	settings.Match = config.ServiceMatch{} // how it was found is no way of treatment
	tlsConfig, err := loadTLS(settings.TLS)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	treated := Settings{settings, tlsConfig}
	picking := treated.picking()
	if err := picking.Validate(); err != nil {
		return nil, err
	}
	by, err := newSelection(&settings.Balance)
	if err != nil {
		return nil, err
	}
	if _, err := s.dialer(settings.Protocol, &treated); err != nil {
		return nil, err
	}
	s.mu.Lock()
	for _, svc := range s.services[key] {
		if reflect.DeepEqual(svc.settings.Service, settings) {
			svc.refs++
			s.mu.Unlock()
			return svc, nil
		}
	}
	svc := &Service{
		key: key, name: key.Service.String(), settings: treated, store: s, refs: 1, answered: make(chan struct{}),
		discovered: s.discovered.WithLabelValues(key.Registry), limits: newLimits(settings.Limits), selection: by, reports: settings.Balance.Policy == "orca",
	}
	s.guard(svc)
	first := &state{service: svc.name}
	svc.finish(first)
	svc.state.Store(first)
	s.services[key] = append(s.services[key], svc)
	s.mu.Unlock()
	// Outside the lock: a known service is applied before Subscribe returns, and that asks the store for loads.
	svc.watch = s.catalogue.Subscribe(key, svc.apply)
	s.release(key)
	return svc, nil
}

// Release takes an Acquire back. The last one ends the service's watch and closes its connections when they are idle.
func (s *Store) Release(svc *Service) {
	s.mu.Lock()
	svc.refs--
	last := svc.refs == 0
	if last {
		rest := slices.DeleteFunc(slices.Clone(s.services[svc.key]), func(o *Service) bool { return o == svc })
		if len(rest) == 0 {
			delete(s.services, svc.key)
		} else {
			s.services[svc.key] = rest
		}
	}
	s.mu.Unlock()
	if last {
		svc.close()
	}
}

// Run looks after idle connections, health checks and ejected instances until ctx ends.
func (s *Store) Run(ctx context.Context) {
	var checks sync.WaitGroup
	checks.Go(func() { s.checker.Run(ctx) })
	defer checks.Wait()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.forget(now)
			s.sweeper.Sweep(protocol.Now())
			for _, c := range s.connected() {
				c.sweep(protocol.Now())
			}
		}
	}
}

func (s *Store) opened(c *connector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
}

func (s *Store) shut(c *connector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *Store) connected() []*connector {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

func (s *Store) list() []*Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Service
	for _, list := range s.services {
		all = append(all, list...)
	}
	return all
}

// Discovered is a metric: the time from a registry's telling of a new instance to the first request sent to it.
func (s *Store) Discovered() prometheus.Collector { return s.discovered }

// Checks counts the health checks made, and those of them that failed.
func (s *Store) Checks() (made, failed uint64) { return s.checker.Counts() }

// has reports whether somebody uses the service.
func (s *Store) has(key discovery.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.services[key]) > 0
}

// dialer finds the way to speak a protocol with services treated like this; "" is HTTP.
func (s *Store) dialer(proto string, settings *Settings) (*Dialer, error) {
	switch proto {
	case "", "http":
		proto = "http1"
	}
	if d := s.dialers[proto]; d != nil {
		if d.Check != nil {
			if err := d.Check(settings); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	known := slices.Sorted(maps.Keys(s.dialers))
	return nil, fmt.Errorf("protocol %q is not one of %s", proto, strings.Join(known, ", "))
}

// load returns the instance's load, new or remembered, and counts the user. appeared, if not zero, is when the registry
// told of an instance that the service did not have.
func (s *Store) load(key discovery.Key, id string, appeared time.Time) *balance.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.loads[key]
	if of == nil {
		of = map[string]*loadEntry{}
		s.loads[key] = of
	}
	e := of[id]
	if e == nil {
		e = &loadEntry{}
		of[id] = e
	}
	delete(s.left, loadKey{key, id})
	if e.refs++; e.refs == 1 && !appeared.IsZero() {
		e.Appear(protocol.Now() - int64(time.Since(appeared)))
	}
	return &e.Load
}

func (s *Store) releaseLoad(key discovery.Key, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.loads[key][id]; e != nil {
		if e.refs--; e.refs == 0 {
			s.left[loadKey{key, id}] = time.Now()
			e.SetDraining(false) // whoever comes back under this address is not the process that left
		}
	}
}

// leave is called for an instance that a service no longer has. It does not wait.
func (s *Store) leave(key discovery.Key, i *instance) {
	s.part(i)
	s.releaseLoad(key, i.endpoint.ID)
	s.closing.Go(func() {
		if err := i.connector.close(s.ctx); err != nil {
			s.logger.Debug("close client", "service", key.String(), "instance", i.endpoint.ID, "error", err)
		}
	})
}

// Close waits until the clients of all released services are closed, or ctx ends; then they are cut.
func (s *Store) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.cancel)
	s.closing.Wait()
	stop()
	s.cancel()
}

func (s *Store) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, since := range s.left {
		if now.Sub(since) <= remember {
			continue
		}
		delete(s.left, k)
		of := s.loads[k.service]
		if delete(of, k.id); len(of) == 0 {
			delete(s.loads, k.service)
			if len(s.services[k.service]) == 0 {
				delete(s.groups, k.service)
			}
		}
	}
}
