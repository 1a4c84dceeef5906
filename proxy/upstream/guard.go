package upstream

import (
	"cmp"
	"slices"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/balance"
	"github.com/sluice-gateway/sluice/proxy/health"
	"github.com/sluice-gateway/sluice/proxy/outlier"
)

// guard begins to judge the instances of a new service, as far as its settings ask for it. store.mu is held.
func (s *Store) guard(svc *Service) {
	if check := svc.settings.HealthCheck; check != nil {
		svc.check = health.NewRule(*check, svc.settings.TLS, svc.settings.TLSConfig)
	}
	rule := svc.settings.Outlier
	if rule.Off() {
		return
	}
	g := s.groups[svc.key]
	if g == nil {
		g = &outlier.Group{}
		s.groups[svc.key] = g
	}
	logger := s.logger.With("service", svc.name, "registry", svc.key.Registry)
	svc.group = g
	svc.detector = s.sweeper.NewDetector(rule, g, logger, func() { s.weigh(svc.key) })
}

// unguard is called when a service has ended.
func (s *Store) unguard(svc *Service) {
	if svc.detector != nil {
		svc.detector.Close()
	}
	s.release(svc.key)
}

// release lets all instances of a service serve when nobody judges them any more, and forgets what nobody needs.
func (s *Store) release(key discovery.Key) {
	s.mu.Lock()
	g, users, judged := s.groups[key], len(s.services[key]), false
	for _, svc := range s.services[key] {
		judged = judged || svc.detector != nil
	}
	if users == 0 && len(s.loads[key]) == 0 {
		delete(s.groups, key)
	}
	s.mu.Unlock()
	if g != nil && users > 0 && !judged && g.Free() {
		s.weigh(key)
	}
}

// join gives an instance what is known of it by judging.
func (s *Store) join(i *instance) {
	svc := i.service
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.loads[svc.key][i.endpoint.ID]
	if svc.detector != nil {
		if e.outlier == nil {
			e.outlier = svc.group.New(i.endpoint.ID, &e.Load)
		}
		i.outlier = e.outlier
		svc.group.Join(i.outlier)
	}
	if svc.check == nil {
		if e.target != nil && e.checks == 0 {
			s.checker.Remove(e.target) // nobody checks it any more
			e.target = nil
		}
		return
	}
	e.checks++
	rule := cmp.Or(s.rule(svc.key), svc.check) // the service may be on its way out
	if e.target == nil {
		e.target = s.checker.Add(rule, subject(i), svc.name, &e.Load, func() { s.weigh(svc.key) })
	} else {
		s.checker.Resume(e.target, rule, subject(i))
	}
	i.checked = e.target
}

// part is join's end. It is called before the instance's load is released.
func (s *Store) part(i *instance) {
	svc := i.service
	if i.outlier != nil {
		svc.group.Leave(i.outlier)
	}
	if svc.check == nil {
		return
	}
	s.mu.Lock()
	e := s.loads[svc.key][i.endpoint.ID]
	removed := false
	if e.checks--; e.checks == 0 {
		if removed = e.refs > 1; removed { // somebody has it still, but not to check it
			s.checker.Remove(e.target)
			e.target = nil
		} else {
			s.checker.Pause(e.target)
		}
	} else if rule := s.rule(svc.key); rule != nil {
		s.checker.SetRule(e.target, rule)
	}
	s.mu.Unlock()
	if removed {
		s.weigh(svc.key)
	}
}

// rule is how the instances of a service are checked: as the newest of its treatments says. mu is held.
func (s *Store) rule(key discovery.Key) *health.Rule {
	for _, svc := range slices.Backward(s.services[key]) {
		if svc.check != nil {
			return svc.check
		}
	}
	return nil
}

// subject is an instance as checks see it.
func subject(i *instance) health.Subject {
	e := i.endpoint
	return health.Subject{
		Address: e.ID, Secure: e.Protocol == "https",
		Interface: i.service.key.Service.Name, Group: e.Group, Version: e.Version, Path: e.Path,
	}
}

// weigh decides anew, for whoever uses a service, whether so many instances have flags that the flags are to be doubted.
func (s *Store) weigh(key discovery.Key) {
	s.mu.Lock()
	services := s.services[key]
	s.mu.Unlock()
	for _, svc := range services {
		svc.weigh()
	}
}

func (s *Service) weigh() {
	s.weighing.Lock() // whoever comes last must have seen everything
	defer s.weighing.Unlock()
	s.pool.Update(targets(s.state.Load().instances), s.settings.Balance.PanicThreshold)
}

// outcome is what an answer says about the instance.
func outcome(status int) outlier.Outcome {
	if status >= 500 {
		return outlier.ServerError
	}
	return outlier.Good
}

// fault is what an error says about the instance: not what the gateway or the client did, nor that the instance was busy.
func fault(err error) outlier.Outcome {
	if !instancesFault(err) {
		if protocol.AsError(err).Code == protocol.CodeUpstreamException {
			return outlier.Good // it answered, by an exception
		}
		return outlier.Unknown
	}
	if protocol.AsError(err).Code == protocol.CodeUpstreamBusy {
		return outlier.Unknown
	}
	return outlier.Failed
}

// failed tells the detector of a request without an answer.
func (i *instance) failed(now int64, err error, trial bool) {
	i.service.detector.Lost(i.outlier, now, fault(err), trial)
}

// answered tells the detector of an answer's head.
func (i *instance) answered(now, latency int64, status int, trial bool) {
	i.service.detector.Answered(i.outlier, now, latency, outcome(status), trial)
}

// finished tells the detector of an exchange that had an answer, at its end.
func (i *instance) finished(status int, err error) {
	o := outcome(status)
	if err != nil {
		o = fault(err)
	}
	i.service.detector.End(i.outlier, o)
}

// distinct counts the instances by address: one may serve several groups of a Dubbo service. They are in the order of their
// addresses.
func distinct(instances []*instance) (n int) {
	for k, i := range instances {
		if k == 0 || i.endpoint.ID != instances[k-1].endpoint.ID {
			n++
		}
	}
	return n
}

// targets are the instances as the balancer sees them.
func targets(instances []*instance) []balance.Target {
	out := make([]balance.Target, len(instances))
	for n, i := range instances {
		out[n] = i.target()
	}
	return out
}
