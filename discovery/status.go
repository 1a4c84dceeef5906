package discovery

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// RegistryStatus is what the status page and metrics show of a registry. That of a merged one is made of its members':
// the best state, the newest push and error; its counts are of its own services.
type RegistryStatus struct {
	Name string
	// Members are those of a merged registry.
	Members []string
	State   registry.State
	// Down is true when it has never answered and has reported why.
	Down bool
	// Since is when it got into this state.
	Since time.Time
	// LastPush is zero until it has answered once.
	LastPush time.Time
	// LastError is the newest trouble, and when; it stays after it has passed.
	LastError   string
	LastErrorAt time.Time
	// Answered is true once it has said anything at all.
	Answered bool
	Counts   Counts
	// Kept is what is on disk of it.
	Kept KeptStatus
}

// Word is the state in a word: connecting, live, stale or down.
func (r *RegistryStatus) Word() string {
	if r.Down {
		return "down"
	}
	return r.State.String()
}

// Counts adds up what a registry's subscribed services have.
type Counts struct {
	// Services are subscribed to, by users of the registry or through a merged one; of these Stale are served by what was
	// kept on disk, and Failed cannot be watched.
	Services, Stale, Failed int
	// Usable instances may be picked; Held are those of them that the registry has dropped. Excluded may not be picked,
	// Skipped make no sense.
	Usable, Held, Excluded, Skipped int
}

func (n *Counts) add(e *Endpoints, err error) {
	n.Services++
	if err != nil {
		n.Failed++
	}
	if e == nil {
		return
	}
	if e.Stale {
		n.Stale++
	}
	n.Usable += len(e.Usable)
	n.Held += e.Held
	n.Excluded += len(e.Excluded)
	n.Skipped += e.SkippedCount
}

// ServiceStatus is what is known of one subscribed service. Each instance tells where it is from (Source), why it is not
// used (Excluded), and that it is doubted (Held).
type ServiceStatus struct {
	Key Key
	// Endpoints is nil until the registry has answered.
	Endpoints *Endpoints
	// Err is why it cannot be watched at all; of a merged registry, why a member cannot watch it.
	Err error
}

// Registries lists the running registries by name.
func (c *Catalogue) Registries() []RegistryStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]*RegistryStatus, len(c.sources))
	for name, src := range c.sources {
		all[name] = src.status()
	}
	for key, f := range c.services.feeds {
		if r := all[key.Registry]; r != nil {
			e, _, err := f.load()
			r.Counts.add(e, err)
		}
	}
	out := make([]RegistryStatus, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r := all[name]
		r.derive(all)
		out = append(out, *r)
	}
	return out
}

func (s *source) status() *RegistryStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &RegistryStatus{
		Name: s.name, Members: s.spec.Members, State: s.state, Down: s.downLocked(), Since: s.since,
		LastPush: s.lastPush, LastErrorAt: s.errAt, Answered: !s.answered.IsZero(), Kept: s.disk.status,
	}
	st.Kept.Serving = s.disk.serving && s.answered.IsZero()
	if s.lastErr != nil {
		st.LastError = s.lastErr.Error()
	}
	return st
}

// derive makes the status of a merged registry of that of its members.
func (r *RegistryStatus) derive(all map[string]*RegistryStatus) {
	for i, name := range r.Members {
		m := all[name]
		if i == 0 {
			r.State, r.Since, r.Down = m.State, m.Since, m.Down
		} else {
			r.Down = r.Down && m.Down
			if better(m.State) > better(r.State) {
				r.State, r.Since = m.State, m.Since
			}
		}
		if m.LastPush.After(r.LastPush) {
			r.LastPush = m.LastPush
		}
		if m.LastErrorAt.After(r.LastErrorAt) {
			r.LastError, r.LastErrorAt = name+": "+m.LastError, m.LastErrorAt
		}
		r.Answered = r.Answered || m.Answered
		r.Kept.Serving = r.Kept.Serving || m.Kept.Serving
	}
}

func better(s registry.State) int {
	switch s {
	case registry.Live:
		return 2
	case registry.Stale:
		return 1
	case registry.Connecting:
	}
	return 0
}

// Services lists the subscribed services by name. Those that only merged registries subscribe to are not listed.
func (c *Catalogue) Services() []ServiceStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]ServiceStatus, 0, len(c.services.feeds))
	for key, f := range c.services.feeds {
		if f.refs == f.members {
			continue
		}
		e, src, err := f.load()
		if err == nil && src != nil {
			err = c.memberErrLocked(key, src)
		}
		out = append(out, ServiceStatus{Key: key, Endpoints: e, Err: err})
	}
	slices.SortFunc(out, func(a, b ServiceStatus) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return out
}

// memberErrLocked is the first trouble that members of a merged registry have with a service.
func (c *Catalogue) memberErrLocked(key Key, src *source) error {
	for _, member := range src.spec.Members {
		if f := c.services.feeds[Key{member, key.Service}]; f != nil {
			if _, _, err := f.load(); err != nil {
				return &memberError{member, err}
			}
		}
	}
	return nil
}

// memberError says which member of a merged registry is in trouble.
type memberError struct {
	member string
	err    error
}

func (e *memberError) Error() string { return e.member + ": " + e.err.Error() }
func (e *memberError) Unwrap() error { return e.err }

// Waiting names what has not answered yet: registries, and services of registries that have. What is served from disk is
// not waited for, nor is a registry that others of the same merged registry stand in for: traffic can be served.
func (c *Catalogue) Waiting() []string {
	all := c.Registries()
	excused := map[string]bool{}
	for i := range all {
		if r := &all[i]; r.Answered || r.Kept.Serving {
			for _, m := range r.Members {
				excused[m] = true
			}
		}
	}
	for _, s := range c.Services() {
		delete(excused, s.Key.Registry) // somebody wants this one and no other
	}
	var waiting []string
	silent := map[string]bool{}
	for i := range all {
		r := &all[i]
		if r.Kept.Serving {
			silent[r.Name] = true
		}
		if r.Answered || r.Kept.Serving || excused[r.Name] {
			continue
		}
		silent[r.Name] = true
		if len(r.Members) > 0 {
			continue // its members are named
		}
		line := "registry " + r.Name + " has not answered (" + r.State.String() + ")"
		if r.LastError != "" {
			line += ": " + strings.TrimSpace(r.LastError)
		}
		waiting = append(waiting, line)
	}
	for _, s := range c.Services() {
		if s.Endpoints == nil && s.Err == nil && !silent[s.Key.Registry] {
			waiting = append(waiting, "registry "+s.Key.Registry+" has not told the instances of "+s.Key.Service.String())
		}
	}
	return waiting
}
