package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/sluice-gateway/sluice/registry"
)

// rounds is how often each server is asked before a question has failed.
const rounds = 2

// target is what a service's name asks for.
type target struct {
	name string // with the final dot
	port int    // of addresses; 0 for SRV
	srv  bool
}

// parseTarget reads name:port, name, or _service._protocol.name.
func (c *Config) parseTarget(service string) (target, error) {
	t := target{port: c.Port}
	name, port, given := strings.Cut(service, ":")
	if given {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return t, fmt.Errorf("port %q is not in 1-65535", clip(port))
		}
		t.port = n
	}
	if _, ok := dns.IsDomainName(name); !ok || name == "" || name == "." || len(name) > 253 || strings.ContainsAny(name, "\\ /@") {
		return t, fmt.Errorf("%q is not a DNS name", clip(name))
	}
	for i := 0; i < len(name); i++ {
		if name[i] <= ' ' || name[i] >= 0x7f {
			return t, fmt.Errorf("%q is not a DNS name", clip(name))
		}
	}
	t.name, t.srv = dns.Fqdn(name), strings.HasPrefix(name, "_")
	switch {
	case t.srv && given:
		return t, errors.New("an SRV record says its port itself: leave it out of the name")
	case !t.srv && t.port == 0:
		return t, errors.New("it says no port: write name:port, or set port in the registry's section")
	}
	return t, nil
}

// query asks the servers in turn until one answers, and follows aliases that lead out of the answer.
func (r *resolver) query(ctx context.Context, name string, kind uint16) (answer, error) {
	good := time.Duration(-1)
	for at, hops := name, 0; ; hops++ {
		a, err := r.queryOnce(ctx, at, kind)
		if err != nil {
			return answer{}, fmt.Errorf("ask for %s %s: %w", dns.TypeToString[kind], at, err)
		}
		if a.ttl >= 0 && (good < 0 || a.ttl < good) {
			good = a.ttl
		}
		a.ttl = good
		if a.alias == "" {
			return a, nil
		}
		if hops == maxAliases {
			return answer{}, fmt.Errorf("ask for %s %s: its aliases (CNAME) run in circles", dns.TypeToString[kind], name)
		}
		at = a.alias
	}
}

func (r *resolver) queryOnce(ctx context.Context, name string, kind uint16) (answer, error) {
	servers, err := r.servers()
	if err != nil {
		return answer{}, err
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	var failed []error
	for round := range rounds {
		for _, s := range servers {
			m, err := exchange(ctx, s, name, kind, r.config.Timeout)
			var a answer
			if err == nil {
				if a, err = read(m, name, kind); err == nil {
					return a, nil
				}
			}
			if ctx.Err() != nil {
				return answer{}, ctx.Err()
			}
			if round == rounds-1 {
				failed = append(failed, fmt.Errorf("%s: %w", s, err))
			}
		}
	}
	return answer{}, errors.Join(failed...)
}

// lookup is the state of a service, and how long it is good; negative if nothing says.
func (r *resolver) lookup(ctx context.Context, service registry.ServiceName, t target) (registry.Snapshot, time.Duration, error) {
	s := registry.Snapshot{Service: service}
	if t.srv {
		return r.lookupSRV(ctx, s, t)
	}
	hosts, ttl, err := r.addresses(ctx, t.name)
	for _, h := range hosts {
		s.Add(h, registry.Instance{Host: h, Port: t.port, Weight: 1})
	}
	return s, ttl, err
}

// addresses are those of a name, in order. Half of them is no answer.
func (r *resolver) addresses(ctx context.Context, name string) (hosts []string, ttl time.Duration, err error) {
	ttl = -1
	for n, kind := range r.kinds() {
		a, err := r.query(ctx, name, kind)
		if err != nil {
			if n > 0 { // A was answered
				err = fmt.Errorf("%w (family: ipv4 does not ask for it)", err)
			}
			return nil, 0, err
		}
		ttl = shorter(ttl, a.ttl)
		for _, rr := range a.records {
			if h := host(rr); h != "" {
				hosts = append(hosts, h)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), ttl, nil
}

func (r *resolver) kinds() []uint16 {
	switch r.config.Family {
	case "ipv4":
		return []uint16{dns.TypeA}
	case "ipv6":
		return []uint16{dns.TypeAAAA}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

func host(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		if rr.A != nil {
			return rr.A.String()
		}
	case *dns.AAAA:
		if rr.AAAA != nil {
			return rr.AAAA.String()
		}
	}
	return ""
}

// lookupSRV reads RFC 2782. Those of the lowest priority are used; the others are in the snapshot, disabled.
func (r *resolver) lookupSRV(ctx context.Context, s registry.Snapshot, t target) (registry.Snapshot, time.Duration, error) {
	a, err := r.query(ctx, t.name, dns.TypeSRV)
	if err != nil {
		return s, 0, err
	}
	ttl := a.ttl
	var records []*dns.SRV
	best, weighed := uint16(0), map[uint16]bool{}
	for _, rr := range a.records {
		srv, ok := rr.(*dns.SRV)
		if !ok || srv.Target == "." { // "decidedly not available"
			continue
		}
		if len(records) == 0 || srv.Priority < best {
			best = srv.Priority
		}
		weighed[srv.Priority] = weighed[srv.Priority] || srv.Weight > 0
		records = append(records, srv)
	}
	slices.SortFunc(records, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Port, b.Port))
	})
	known := map[string][]string{} // one target may serve several ports
	for _, srv := range records {
		name := dns.CanonicalName(srv.Target)
		hosts, again := known[name]
		if !again {
			var good time.Duration
			if hosts, good = r.carried(a.extra, name); len(hosts) == 0 {
				if hosts, good, err = r.addresses(ctx, name); err != nil {
					return s, 0, err
				}
			}
			known[name] = hosts
			ttl = shorter(ttl, good)
		}
		entry := srv.Target + ":" + strconv.Itoa(int(srv.Port))
		if len(hosts) == 0 {
			s.Skip(entry, "the target has no address")
		}
		for _, h := range hosts {
			s.Add(entry, registry.Instance{
				Host: h, Port: int(srv.Port), Protocol: protocolOf(t.name), Disabled: srv.Priority != best,
				Weight:   weight(srv, weighed[srv.Priority]) / float64(len(hosts)),
				Metadata: map[string]string{"dns.target": strings.TrimSuffix(name, "."), "dns.priority": strconv.Itoa(int(srv.Priority))},
			})
		}
	}
	return s, ttl, nil
}

// weight is the record's; 0 means "hardly ever" beside others, and nothing if all have it.
func weight(srv *dns.SRV, weighed bool) float64 {
	switch {
	case srv.Weight > 0:
		return float64(srv.Weight)
	case weighed:
		return 0.1
	}
	return 1
}

// carried are a target's addresses that came with the answer; only if they are all that are asked for: servers leave out
// what does not fit.
func (r *resolver) carried(extra []dns.RR, name string) (hosts []string, ttl time.Duration) {
	ttl = -1
	found := map[uint16]bool{}
	for _, rr := range extra {
		h := rr.Header()
		if h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != name || !slices.Contains(r.kinds(), h.Rrtype) {
			continue
		}
		if text := host(rr); text != "" {
			found[h.Rrtype] = true
			hosts = append(hosts, text)
			ttl = shorter(ttl, time.Duration(h.Ttl)*time.Second)
		}
	}
	if len(found) < len(r.kinds()) {
		return nil, -1
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), ttl
}

// shorter is the shorter of two times to live, of which a negative one is none.
func shorter(a, b time.Duration) time.Duration {
	switch {
	case a < 0:
		return b
	case b < 0:
		return a
	}
	return min(a, b)
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
