package discovery

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// holder is the policy of one service of one registry. Its state is guarded by the feed's lock.
type holder struct {
	c     *Catalogue
	key   Key
	feed  *feed[Endpoints]
	guard *guard

	identity string    // of the registry that the value is from
	counted  int       // usable instances that are not held, as the guard counts them
	held     int       // as the guard counts them
	recent   []*change // of the last CollapseWindow, oldest first
	hold     *Hold     // of a collapse of this service that goes on
	expiry   *alarm    // the end of the earliest hold
	gone     bool      // nobody subscribes any more
}

// kept is what was kept on disk of the service.
func (h *holder) kept(src *source) *Endpoints {
	s, at, ok := src.keptService(h.key.Service)
	if !ok {
		return nil
	}
	e := fromSnapshot(h.key, s, at, h.guard.deny())
	e.Stale = true
	return e
}

// newHolder is called with the Catalogue's lock held.
func newHolder(c *Catalogue, key Key, f *feed[Endpoints]) *holder {
	return &holder{c: c, key: key, feed: f, guard: c.guardLocked(key.Registry)}
}

// read applies what needs no memory.
func (h *holder) read(s registry.Snapshot) *Endpoints {
	return fromSnapshot(h.key, s, time.Now(), h.guard.deny())
}

// admit says what is believed of new when old was believed until now.
//
// A first state is believed, and so is that of another registry under the same name, and the first after one that was
// kept on disk: what that one knew may be hours old, and its addresses may be somebody else's by now.
func (h *holder) admit(src *source, old, new *Endpoints) *Endpoints {
	if src.merged() {
		h.uncount()
		return new // the members' holders have judged
	}
	policy := h.guard.rules()
	if old == nil || old.Stale || h.identity != src.identity || !policy.holds() {
		h.identity, h.hold = src.identity, nil
		h.restart(len(new.Usable))
		return new
	}
	d := compareStates(old, new)
	ch := &change{at: new.At, by: h, net: len(d.gone) - d.gained, gone: d.gone}
	least := policy.CollapseMin
	if src.justReconnected(new.At) {
		least = 1
	}
	hold, suspects := h.guard.judge(ch, len(new.Usable)-h.counted, least)
	h.counted = len(new.Usable)
	if mine, more := h.judge(&policy, ch, d.gone, least); hold == nil {
		hold, suspects = mine, more
	}
	h.c.prober.resurrect(suspects)
	if hold != nil {
		for _, ep := range d.gone {
			ep.Held = hold
			d.held = append(d.held, ep)
			h.c.prober.watch(h, ep.ID)
		}
	}
	return h.withHeld(new, d.held)
}

// judge is the guard's judge for what this service alone has lost. gone are the losses of the change.
func (h *holder) judge(p *Policy, ch *change, gone []Endpoint, least int) (*Hold, []suspect) {
	n := 0
	for n < len(h.recent) && h.recent[n].at.Before(ch.at.Add(-CollapseWindow)) {
		n++
	}
	h.recent = h.recent[n:]
	if ch.net == 0 && len(gone) == 0 {
		return nil, nil
	}
	h.recent = append(h.recent, ch)
	if p.ServiceCollapse <= 0 || len(gone) == 0 {
		return nil, nil
	}
	if h.hold != nil && h.held > 0 && ch.at.Before(h.hold.Until) {
		h.guard.joined(ch)
		return h.hold, nil // what follows a collapse is part of it
	}
	net := 0
	for _, c := range h.recent {
		net += c.net
	}
	if before := h.counted + net; before < least || float64(net) <= p.ServiceCollapse*float64(before) {
		return nil, nil
	}
	h.hold = &Hold{Since: ch.at, Until: ch.at.Add(p.Hold), Reason: "most of the service was gone at once"}
	return h.hold, h.guard.serviceCollapsed(ch, h.recent)
}

// difference is what became of the instances that were usable.
type difference struct {
	gone   []Endpoint // ordinary ones that are gone, or unhealthy
	held   []Endpoint // held ones that are still not listed
	gained int        // ordinary ones that were not ordinary before
}

// compareStates walks two sorted lists.
func compareStates(old, new *Endpoints) difference {
	var d difference
	n := 0
	for i := range old.Usable {
		o := &old.Usable[i]
		for n < len(new.Usable) && compare(&new.Usable[n], o) < 0 {
			n++
			d.gained++
		}
		listed := n < len(new.Usable) && compare(&new.Usable[n], o) == 0
		if listed {
			n++
			if o.Held != nil {
				d.gained++
			}
			continue
		}
		if onPurpose(new, o) {
			continue
		}
		if o.Held == nil {
			d.gone = append(d.gone, *o)
		} else if new.At.Before(o.Held.Until) {
			d.held = append(d.held, *o)
		}
	}
	d.gained += len(new.Usable) - n
	return d
}

// onPurpose reports whether e lists the instance as one that is not to be used, by somebody's wish.
func onPurpose(e *Endpoints, o *Endpoint) bool {
	i, found := slices.BinarySearchFunc(e.Excluded, o, func(x Excluded, o *Endpoint) int { return compare(&x.Endpoint, o) })
	if !found {
		return false
	}
	for ; i < len(e.Excluded) && compare(&e.Excluded[i].Endpoint, o) == 0; i++ {
		if e.Excluded[i].Reason != reasonUnhealthy {
			return true
		}
	}
	return false
}

// withHeld is e with instances that are held, of which none is usable in e.
func (h *holder) withHeld(e *Endpoints, held []Endpoint) *Endpoints {
	if len(held) > 0 {
		e.Usable = append(e.Usable, held...)
		slices.SortFunc(e.Usable, func(a, b Endpoint) int { return compare(&a, &b) })
		e.Excluded = slices.DeleteFunc(e.Excluded, func(x Excluded) bool {
			return slices.ContainsFunc(held, func(o Endpoint) bool { return compare(&x.Endpoint, &o) == 0 })
		})
	}
	e.Held = len(held)
	h.settle(e)
	return e
}

// settle brings the books and the alarm in line with e, which becomes the value.
func (h *holder) settle(e *Endpoints) {
	h.guard.add(0, e.Held-h.held)
	h.held = e.Held
	if h.held == 0 {
		h.c.clock.stop(h.expiry)
		h.expiry, h.hold = nil, nil
		return
	}
	var first time.Time
	for i := range e.Usable {
		if held := e.Usable[i].Held; held != nil && (first.IsZero() || held.Until.Before(first)) {
			first = held.Until
		}
	}
	if h.expiry != nil && !first.Before(h.expiry.at) {
		return // what was brought back may have to go before the others
	}
	h.c.clock.stop(h.expiry)
	h.expiry = h.c.clock.after(time.Until(first), h.expire)
}

// restart begins the books anew with a state that is believed whatever was before.
func (h *holder) restart(usable int) {
	h.guard.forget(h, h.counted, h.held)
	h.guard.add(usable, 0)
	h.counted, h.held, h.recent = usable, 0, nil
	h.c.clock.stop(h.expiry)
	h.expiry = nil
}

func (h *holder) uncount() {
	if h.counted != 0 || h.held != 0 || h.identity != "" {
		h.identity = ""
		h.restart(0)
	}
}

// expire believes the registry after all.
func (h *holder) expire() {
	now := time.Now()
	h.feed.update(func(old *Endpoints) *Endpoints {
		h.expiry = nil
		next := h.without(old, func(e *Endpoint) bool { return !now.Before(e.Held.Until) })
		if next != nil {
			h.guard.expired(old.Held - next.Held)
		}
		return next
	})
}

// without is e less the held ones that drop names.
func (h *holder) without(e *Endpoints, drop func(*Endpoint) bool) *Endpoints {
	if h.gone || e.Held == 0 {
		return nil
	}
	out := *e
	out.Usable = make([]Endpoint, 0, len(e.Usable))
	out.Held = 0
	for i := range e.Usable {
		u := &e.Usable[i]
		if u.Held != nil && drop(u) {
			continue
		}
		if u.Held != nil {
			out.Held++
		}
		out.Usable = append(out.Usable, *u)
	}
	h.settle(&out)
	return &out
}

// letGo drops the held instances of an address that does not answer.
func (h *holder) letGo(address string) {
	h.feed.update(func(old *Endpoints) *Endpoints {
		return h.without(old, func(e *Endpoint) bool { return e.ID == address })
	})
}

// holds reports whether an instance of this address is held.
func (h *holder) holds(address string) bool {
	h.feed.mu.Lock()
	e, gone := h.feed.value, h.gone
	h.feed.mu.Unlock()
	if e == nil || e.Held == 0 || gone {
		return false
	}
	i, _ := slices.BinarySearchFunc(e.Usable, address, func(u Endpoint, a string) int {
		if u.ID < a {
			return -1
		}
		return 1
	})
	for ; i < len(e.Usable) && e.Usable[i].ID == address; i++ {
		if e.Usable[i].Held != nil {
			return true
		}
	}
	return false
}

// bringBack holds an instance that was believed to be gone, in a collapse that was not seen to be one at that time, and
// that was found to be alive.
func (h *holder) bringBack(ep Endpoint) {
	h.feed.update(func(old *Endpoints) *Endpoints {
		if h.gone || old.Stale || !time.Now().Before(ep.Held.Until) || onPurpose(old, &ep) {
			return nil
		}
		i, found := slices.BinarySearchFunc(old.Usable, &ep, func(u Endpoint, o *Endpoint) int { return compare(&u, o) })
		if found {
			return nil
		}
		out := *old
		out.Usable = slices.Insert(slices.Clone(old.Usable), i, ep)
		out.Excluded = slices.DeleteFunc(slices.Clone(old.Excluded), func(x Excluded) bool { return compare(&x.Endpoint, &ep) == 0 })
		out.Held++
		h.settle(&out)
		return &out
	})
}

// deny takes another list of denied addresses into force for what has been published.
func (h *holder) deny(list []netip.Prefix) {
	h.feed.update(func(old *Endpoints) *Endpoints {
		if src := h.feed.current; h.gone || (src != nil && src.merged()) {
			return nil // the members of a merged registry have policies
		}
		out := old.denying(list)
		h.guard.add(len(out.Usable)-out.Held-h.counted, 0)
		h.counted = len(out.Usable) - out.Held
		h.settle(out)
		return out
	})
}

// forget is called when nobody subscribes any more.
func (h *holder) forget() {
	h.feed.mu.Lock()
	defer h.feed.mu.Unlock()
	h.gone = true
	h.restart(0)
}
