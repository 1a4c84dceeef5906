package discovery

import (
	"cmp"
	"maps"
	"slices"
)

// ServiceStatus is what is known of one subscribed service.
type ServiceStatus struct {
	Key Key
	// Endpoints is nil until the registry has answered.
	Endpoints *Endpoints
	// Err is why it cannot be watched at all.
	Err error
}

// Registries lists the running registries by name.
func (c *Catalogue) Registries() []RegistryStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]RegistryStatus, 0, len(c.sources))
	for _, name := range slices.Sorted(maps.Keys(c.sources)) {
		out = append(out, c.sources[name].status())
	}
	return out
}

// Services lists the subscribed services by name.
func (c *Catalogue) Services() []ServiceStatus {
	c.mu.Lock()
	feeds := maps.Clone(c.services)
	c.mu.Unlock()
	out := make([]ServiceStatus, 0, len(feeds))
	for key, f := range feeds {
		v, err := f.load()
		out = append(out, ServiceStatus{Key: key, Endpoints: v, Err: err})
	}
	slices.SortFunc(out, func(a, b ServiceStatus) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return out
}

// Waiting names what has not answered yet: registries, and services of registries that have.
func (c *Catalogue) Waiting() []string {
	var waiting []string
	silent := map[string]bool{}
	for _, r := range c.Registries() {
		if !r.Answered {
			silent[r.Name] = true
			line := "registry " + r.Name + " has not answered (" + r.State.String() + ")"
			if r.LastError != "" {
				line += ": " + r.LastError
			}
			waiting = append(waiting, line)
		}
	}
	for _, s := range c.Services() {
		if s.Endpoints == nil && s.Err == nil && !silent[s.Key.Registry] {
			waiting = append(waiting, "registry "+s.Key.Registry+" has not told the instances of "+s.Key.Service.String())
		}
	}
	return waiting
}
