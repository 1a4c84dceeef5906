package discovery

import (
	"net/netip"
	"sync"
	"time"
)

// guard watches over one registry: it adds up what its services lose, and says when that is a collapse.
type guard struct {
	c    *Catalogue
	name string

	mu       sync.Mutex
	policy   Policy
	total    int       // usable instances of subscribed services, those that are held not counted
	held     int       // instances that are held
	recent   []*change // of the last CollapseWindow, oldest first
	net      int       // lost less gained in recent
	losses   map[*holder]int
	losing   int   // holders with a net loss
	collapse *Hold // of the whole registry; nil when there is none
	report   report
	believed int // instances dropped at the end of their hold, to be logged
}

// change is what one push took away and brought.
type change struct {
	at   time.Time
	by   *holder
	net  int        // lost less gained
	gone []Endpoint // that were believed to be gone; guarded by the guard's lock
}

func newGuard(c *Catalogue, name string) *guard {
	return &guard{c: c, name: name, losses: map[*holder]int{}}
}

// setPolicy reports whether what has been published must be looked at again.
func (g *guard) setPolicy(p Policy) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed := !g.policy.sameDenied(&p)
	g.policy = p
	return changed
}

func (g *guard) deny() []netip.Prefix {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.policy.DenyAddresses
}

func (g *guard) rules() Policy {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.policy
}

// add counts instances that come or go without being gained or lost: a service that is subscribed to, or no more.
func (g *guard) add(usable, held int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total += usable
	g.countHeld(held)
}

func (g *guard) countHeld(n int) {
	g.held += n
	if n < 0 && g.held == 0 {
		g.collapse = nil // everybody is back, or has been let go
	}
}

// judge takes note of a change, and returns the hold under which its losses fall if this is, or belongs to, a collapse
// of the registry. suspects are losses of the same collapse that were believed before it was seen to be one.
func (g *guard) judge(ch *change, usable, least int) (hold *Hold, suspects []suspect) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total += usable
	g.forgetBefore(ch.at.Add(-CollapseWindow))
	if g.collapse != nil && !ch.at.Before(g.collapse.Until) {
		g.collapse = nil
	}
	if ch.net == 0 && len(ch.gone) == 0 {
		return nil, nil
	}
	g.remember(ch)
	if g.policy.RegistryCollapse <= 0 || len(ch.gone) == 0 {
		return nil, nil
	}
	if g.collapse != nil {
		if g.report.pending {
			g.note(ch.by, len(ch.gone), true)
		}
		ch.gone = nil
		return g.collapse, nil
	}
	if before := g.total + g.net; before < least || g.losing < 2 || float64(g.net) <= g.policy.RegistryCollapse*float64(before) {
		return nil, nil
	}
	g.collapse = &Hold{Since: ch.at, Until: ch.at.Add(g.policy.Hold), Reason: "most of the registry was gone at once"}
	g.note(ch.by, len(ch.gone), true)
	ch.gone = nil
	return g.collapse, g.suspects(g.recent)
}

// serviceCollapsed takes note of a collapse of one service, of which ch is the newest change and recent are all.
func (g *guard) serviceCollapsed(ch *change, recent []*change) []suspect {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(ch.by, len(ch.gone), false)
	ch.gone = nil
	return g.suspects(recent)
}

// joined takes note that what ch lost is held.
func (g *guard) joined(ch *change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ch.gone = nil
}

// suspects are what changes took away and nobody holds, as it is to be held from then on.
func (g *guard) suspects(changes []*change) []suspect {
	var out []suspect
	for _, ch := range changes {
		if len(ch.gone) == 0 {
			continue
		}
		hold := &Hold{Since: ch.at, Until: ch.at.Add(g.policy.Hold), Reason: "part of a collapse, and answers"}
		for _, ep := range ch.gone {
			ep.Held = hold
			out = append(out, suspect{ch.by, ep})
		}
	}
	return out
}

func (g *guard) remember(ch *change) {
	g.recent = append(g.recent, ch)
	g.net += ch.net
	g.lose(ch.by, ch.net)
}

func (g *guard) lose(h *holder, net int) {
	before := g.losses[h]
	after := before + net
	switch {
	case before <= 0 && after > 0:
		g.losing++
	case before > 0 && after <= 0:
		g.losing--
	}
	if after == 0 {
		delete(g.losses, h)
	} else {
		g.losses[h] = after
	}
}

func (g *guard) forgetBefore(t time.Time) {
	n := 0
	for n < len(g.recent) && g.recent[n].at.Before(t) {
		ch := g.recent[n]
		g.recent[n], ch.gone = nil, nil
		g.net -= ch.net
		g.lose(ch.by, -ch.net)
		n++
	}
	if g.recent = g.recent[n:]; len(g.recent) == 0 {
		g.recent = nil // the array is free to go
	}
}

// forget takes a holder out of the books: its service is not subscribed to any more.
func (g *guard) forget(h *holder, usable, held int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total -= usable
	g.countHeld(-held)
	g.net -= g.losses[h]
	g.lose(h, -g.losses[h])
	for _, ch := range g.recent {
		if ch.by == h {
			ch.net, ch.gone = 0, nil
		}
	}
}

// report is what is being said of a collapse: one line, when it is clear how large it is.
type report struct {
	pending        bool
	registry       bool
	services, lost int
	names          []string
}

const (
	// reportAfter is how long losses are gathered for one line of the log.
	reportAfter = time.Second
	// maxNames is how many services a line names.
	maxNames = 10
)

func (g *guard) note(h *holder, lost int, registry bool) {
	r := &g.report
	r.services++
	r.lost += lost
	r.registry = r.registry || registry
	if len(r.names) < maxNames {
		r.names = append(r.names, h.key.Service.String())
	}
	if !r.pending {
		r.pending = true
		g.c.clock.after(reportAfter, g.log)
	}
}

// expired takes note of instances that were held to the end; that is one line of the log, too.
func (g *guard) expired(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n > 0 && g.believed == 0 {
		g.c.clock.after(reportAfter, func() {
			g.mu.Lock()
			n, held := g.believed, g.held
			g.believed = 0
			g.mu.Unlock()
			g.c.logger.Warn("instances that accept connections, but have not been listed again, are dropped now",
				"registry", g.name, "dropped", n, "held", held)
		})
	}
	g.believed += n
}

func (g *guard) log() {
	g.mu.Lock()
	r, hold, held := g.report, g.policy.Hold, g.held
	g.report = report{}
	g.mu.Unlock()
	what := "services"
	if r.registry {
		what = "registry"
	}
	g.c.logger.Warn("most instances were gone at once: held while they accept connections", "registry", g.name,
		"collapse", what, "services", r.services, "lost", r.lost, "held", held, "names", r.names, "for", hold)
}
