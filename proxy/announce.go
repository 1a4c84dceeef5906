package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/discovery"
	"github.com/sluice-gateway/sluice/registry"
)

// announcer registers the gateway where the document in force says, from the moment it is ready until it is told to stop.
type announcer struct {
	mu      sync.Mutex
	cancel  context.CancelFunc // of the wait for readiness; nil when nobody waits
	waiting sync.WaitGroup
	current []announced
	stopped bool
}

// announced is one registration that is kept up.
type announced struct {
	what announcement
	live *discovery.Announcement
}

// announcement is one registration that a document asks for.
type announcement struct {
	registry     string
	registration registry.Registration
}

// readyEvery is how often a gateway that has registrations to make looks whether it is ready.
const readyEvery = 100 * time.Millisecond

// announce makes the registrations those of wanted, once the gateway is ready. What is wanted as before is not touched.
func (g *Gateway) announce(wanted []announcement) {
	a := &g.announcer
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return
	}
	if a.cancel != nil {
		a.cancel()
	}
	a.waiting.Wait() // it takes no lock while it may still have to wait
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	if len(wanted) == 0 && len(a.current) == 0 {
		return
	}
	a.waiting.Go(func() {
		tick := time.NewTicker(readyEvery)
		defer tick.Stop()
		for {
			if ready, _ := g.Ready(); ready {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		a.replace(ctx, g.catalogue, wanted)
	})
}

// replace withdraws what is not wanted any more and announces what is new. Only one runs at a time.
func (a *announcer) replace(ctx context.Context, catalogue *discovery.Catalogue, wanted []announcement) {
	var next []announced
	old := a.current
	for _, w := range wanted {
		found := false
		for i := range old {
			if old[i].live != nil && reflect.DeepEqual(old[i].what, w) {
				next, found = append(next, old[i]), true
				old[i].live = nil
				break
			}
		}
		if !found && ctx.Err() == nil {
			next = append(next, announced{w, catalogue.Announce(w.registry, w.registration)})
		}
	}
	withdraw(context.Background(), old)
	a.current = next
}

// withdraw ends registrations side by side; each has registry.WithdrawTimeout, and none longer than ctx.
func withdraw(ctx context.Context, list []announced) {
	var tasks sync.WaitGroup
	for _, one := range list {
		if one.live != nil {
			tasks.Go(func() { one.live.Close(ctx) })
		}
	}
	tasks.Wait()
}

// withdrawAll is the first thing a stop does: who finds the gateway through a registry must stop coming before it stops
// answering.
func (g *Gateway) withdrawAll(ctx context.Context) {
	a := &g.announcer
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.cancel != nil {
		a.cancel()
	}
	a.waiting.Wait()
	withdraw(ctx, a.current)
	a.current = nil
}

// announcements are the registrations of a document, with addresses that others can reach.
func (g *Gateway) announcements(doc *config.Document) ([]announcement, error) {
	out := make([]announcement, 0, len(doc.Registrations))
	for i := range doc.Registrations {
		r := &doc.Registrations[i]
		host, port, err := g.reachable(doc, r)
		if err != nil {
			return nil, fmt.Errorf("registrations[%d]: %w", i, err)
		}
		out = append(out, announcement{r.Registry, registry.Registration{
			Service: registry.ServiceName{Name: r.Service, Group: r.Group},
			Instance: registry.Instance{
				Host: host, Port: port, Protocol: "http", Weight: r.Weight, Zone: r.Zone, Metadata: r.Metadata,
			},
			ID: r.Service + "-" + host + "-" + strconv.Itoa(port), HealthURL: r.HealthURL,
		}})
	}
	return out, nil
}

// reachable is the address that a registration names, completed by its listener's.
func (g *Gateway) reachable(doc *config.Document, r *config.Registration) (host string, port int, err error) {
	host = r.Address
	if h, p, err := net.SplitHostPort(r.Address); err == nil {
		if port, err = strconv.Atoi(p); err == nil {
			return h, port, nil
		}
	}
	var at string
	for _, l := range doc.Listeners {
		if l.Name == r.Listener {
			at = l.Address
		}
	}
	g.statusMu.Lock()
	l := g.listeners[at]
	g.statusMu.Unlock()
	if l == nil {
		return "", 0, fmt.Errorf("listener %q is not open", r.Listener)
	}
	bound, err := netip.ParseAddrPort(l.socket.Addr().String())
	if err != nil {
		return "", 0, fmt.Errorf("listener %q: %w", r.Listener, err)
	}
	switch {
	case host != "":
	case bound.Addr().IsUnspecified():
		if host, err = ownAddress(); err != nil {
			return "", 0, err
		}
	default:
		host = bound.Addr().Unmap().String()
	}
	return host, int(bound.Port()), nil
}

// ownAddress is this machine's first address that others may reach: IPv4 before IPv6.
func ownAddress() (string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("find this machine's address: %w", err)
	}
	var six string
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr().String(), nil
		}
		if six == "" {
			six = prefix.Addr().String()
		}
	}
	if six == "" {
		return "", errors.New("this machine has no address but loopback; give address")
	}
	return six, nil
}
