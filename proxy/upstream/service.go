package upstream

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/proxy/health"
	"github.com/sluice-gateway/sluice/proxy/outlier"
	"github.com/sluice-gateway/sluice/registry"
)

// Service is one service of one registry, treated in one way.
type Service struct {
	key        discovery.Key
	name       string // for records
	settings   Settings
	discovered prometheus.Observer
	store      *Store
	pool       balance.Pool
	budget     budget
	reports    bool         // the policy goes by what instances report of their load
	usual      usual        // how long its answers take, where requests are hedged
	limits     *limits      // nil without limits
	selection  *selection   // nil when nothing of a request decides
	check      *health.Rule // nil when nobody checks the instances
	group      *outlier.Group
	detector   *outlier.Detector // nil when nobody judges the instances; then group is nil, too
	state      atomic.Pointer[state]
	watch      *discovery.Subscription
	answered   chan struct{} // closed when the registry has spoken for the first time

	refs int // guarded by store.mu

	weighing sync.Mutex

	mu     sync.Mutex // serialises apply and close
	closed bool
}

// identity is what makes two endpoints reachable by the same client.
type identity struct {
	address, protocol, group, version, path string
}

func identityOf(e *discovery.Endpoint) identity {
	return identity{e.ID, e.Protocol, e.Group, e.Version, e.Path}
}

// Key says which service it is.
func (s *Service) Key() discovery.Key { return s.key }

// Answered is closed when the registry has told the service's instances for the first time.
func (s *Service) Answered() <-chan struct{} { return s.answered }

// mayRetry takes one retry out of the service's budget.
func (s *Service) mayRetry(now int64) bool {
	return s.budget.take(now, s.requests(), s.settings.RetryBudget)
}

// requests is how many were sent to the instances that the service has now.
func (s *Service) requests() (n uint64) {
	for _, i := range s.state.Load().instances {
		n += i.load.Requests()
	}
	return n
}

// resolve implements resolver.
func (s *Service) resolve(context.Context, *protocol.Request) (*state, error) {
	return s.state.Load(), nil
}

// apply makes e the service's state. It runs in a goroutine of the catalogue's that tells others, too, so it must not block.
func (s *Service) apply(e *discovery.Endpoints) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	next := &state{service: s.name, endpoints: e}
	before := s.state.Load()
	var appeared time.Time
	if before.endpoints != nil {
		appeared = e.At // what was there before we came is no event
	}
	left := make(map[identity]*instance, len(before.instances))
	for _, i := range before.instances {
		left[identityOf(i.endpoint)] = i
	}
	next.instances = make([]*instance, 0, len(e.Usable))
	for n := range e.Usable {
		endpoint := &e.Usable[n]
		id := identityOf(endpoint)
		i, err := s.instance(endpoint, left[id], appeared)
		if err != nil {
			next.unusable = append(next.unusable, discovery.Excluded{Endpoint: *endpoint, Reason: err.Error()})
			continue
		}
		delete(left, id)
		next.instances = append(next.instances, i)
	}
	s.finish(next)
	if s.detector != nil {
		s.detector.Resize(distinct(next.instances))
	}
	first := s.state.Swap(next)
	s.weigh()
	if first.endpoints == nil {
		close(s.answered)
	}
	for _, i := range left {
		s.store.leave(s.key, i)
	}
}

// finish adds what is derived from the instances: the picker, and the parts of a Dubbo service.
func (s *Service) finish(st *state) {
	st.picker = s.picker(st.instances)
	name := s.key.Service
	if name.Kind != registry.Dubbo || (name.Group != "*" && name.Version != "*") {
		return
	}
	st.parts = map[part]*state{}
	for _, i := range st.instances {
		p := part{i.endpoint.Group, i.endpoint.Version}
		if st.parts[p] == nil {
			exact := registry.DubboService(name.Name, p.group, p.version)
			st.parts[p] = &state{service: exact.String(), endpoints: st.endpoints}
		}
		st.parts[p].instances = append(st.parts[p].instances, i)
	}
	for _, p := range st.parts {
		p.picker = s.picker(p.instances)
	}
}

// instance is old, if not nil, with its new description, or a new one. appeared is when the registry told of it, or zero.
func (s *Service) instance(endpoint *discovery.Endpoint, old *instance, appeared time.Time) (*instance, error) {
	if old != nil {
		return &instance{endpoint: endpoint, service: s, connector: old.connector, load: old.load, joined: old.joined, outlier: old.outlier, checked: old.checked}, nil
	}
	dialer, err := s.store.dialer(cmp.Or(endpoint.Protocol, s.settings.Protocol), &s.settings)
	if err != nil {
		return nil, err
	}
	i := &instance{
		endpoint: endpoint, service: s, connector: &connector{dialer: dialer, settings: &s.settings, store: s.store},
		load: s.store.load(s.key, endpoint.ID, appeared),
	}
	if !appeared.IsZero() {
		i.joined = protocol.Now() - int64(time.Since(appeared))
	}
	s.store.join(i)
	return i, nil
}

func (s *Service) picker(instances []*instance) balance.Picker {
	p, err := balance.New(s.settings.picking(), targets(instances), &s.pool)
	if err != nil {
		// Acquire has checked the policy.
		panic(err)
	}
	return p
}

// close gives everything up. Requests that still hold the state get errors that say nothing was sent.
func (s *Service) close() {
	s.watch.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, i := range s.state.Load().instances {
		s.store.leave(s.key, i)
	}
	s.store.unguard(s)
}
