package upstream

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/proxy/health"
	"github.com/sluice-gateway/sluice/proxy/outlier"
)

// ServiceStatus is what the status page shows of one service.
type ServiceStatus struct {
	Key discovery.Key
	// Policy that balances it.
	Policy string
	// Answered is false until the registry has spoken.
	Answered bool
	// At is when the registry told something new of it.
	At time.Time
	// Stale is true while it is served by what was kept on disk.
	Stale     bool
	Instances []InstanceStatus
	// Excluded are instances that are known and not picked.
	Excluded []discovery.Excluded
	// Skipped are entries of the registry that make no sense.
	Skipped int
	// SkippedEntries name some of them.
	SkippedEntries []string
	// Panic is true while so many instances are unhealthy or ejected that this is ignored.
	Panic bool
	// Ejections counts them by reason; nil when nobody judges.
	Ejections map[outlier.Reason]uint64
}

// InstanceStatus is one instance that may be picked.
type InstanceStatus struct {
	Endpoint discovery.Endpoint
	InFlight int64
	Requests uint64
	Failures uint64
	// Latency is the peak EWMA as it stands now; 0 when nothing was observed.
	Latency  time.Duration
	Draining bool
	// Health is what checks found; nil when nobody checks.
	Health *health.Status
	// Outlier is what requests have shown; nil when nobody judges.
	Outlier *outlier.Status
}

// Status lists the services in use by name.
func (s *Store) Status() []ServiceStatus {
	var out []ServiceStatus
	for _, svc := range s.list() {
		out = append(out, svc.status())
	}
	slices.SortStableFunc(out, func(a, b ServiceStatus) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return out
}

func (s *Service) status() ServiceStatus {
	st := s.state.Load()
	out := ServiceStatus{Key: s.key, Policy: s.settings.Balance.Policy, Answered: st.endpoints != nil}
	if st.endpoints != nil {
		out.At, out.Stale = st.endpoints.At, st.endpoints.Stale
		out.Excluded = slices.Concat(st.endpoints.Excluded, st.unusable)
		out.Skipped = st.endpoints.SkippedCount
		for _, skipped := range st.endpoints.Skipped {
			out.SkippedEntries = append(out.SkippedEntries, skipped.Entry+": "+skipped.Reason)
		}
	}
	out.Panic = s.pool.Ignored() != 0
	if s.group != nil {
		out.Ejections = s.group.Ejections()
	}
	now := protocol.Now()
	for _, i := range st.instances {
		out.Instances = append(out.Instances, i.status(now))
	}
	return out
}

func (i *instance) status(now int64) InstanceStatus {
	out := InstanceStatus{
		Endpoint: *i.endpoint, InFlight: i.load.InFlight(), Requests: i.load.Requests(), Failures: i.load.Failures(),
		Latency: i.load.Latency(now), Draining: i.load.Draining(),
	}
	if i.checked != nil {
		found := i.service.store.checker.Status(i.checked)
		out.Health = &found
	}
	if i.outlier != nil {
		shown := i.outlier.Status(now)
		out.Outlier = &shown
	}
	return out
}
