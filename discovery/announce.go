package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Announcement is the gateway's own entry in a registry.
type Announcement struct {
	c            *Catalogue
	registry     string
	registration registry.Registration

	mu        sync.Mutex
	src       *source
	cancel    context.CancelFunc // of the newest run
	done      chan struct{}      // closed when the newest run has ended; nil when there was none
	announced bool
	since     time.Time // of announced, or of not being so
	err       error
	errAt     time.Time
}

// AnnouncementStatus is what the status page shows of an announcement.
type AnnouncementStatus struct {
	Registry string
	Service  registry.ServiceName
	// Address and ID are what is announced.
	Address, ID string
	// Announced is true while the registry has it, as far as is known, and Since is when that began or ended.
	Announced bool
	Since     time.Time
	// LastError is the newest trouble, and when; it stays after it has passed.
	LastError   string
	LastErrorAt time.Time
}

// Announce announces r in the registry of that name, whichever it is after the next Apply, until Close. Trouble is to be
// read in Announcements.
func (c *Catalogue) Announce(registryName string, r registry.Registration) *Announcement {
	a := &Announcement{c: c, registry: registryName, registration: r, since: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return a
	}
	c.announcements = append(c.announcements, a)
	a.follow(c.sources[registryName])
	return a
}

// Close withdraws the announcement and waits until the registry has taken note, its attempts have ended
// (registry.WithdrawTimeout), or ctx ends.
func (a *Announcement) Close(ctx context.Context) {
	a.c.mu.Lock()
	a.c.announcements = slices.DeleteFunc(a.c.announcements, func(o *Announcement) bool { return o == a })
	a.follow(nil)
	a.c.mu.Unlock()
	a.mu.Lock()
	done := a.done
	a.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// follow ends the run on the source before, and begins one on src when that has ended: the withdrawal of the old must
// not take away what the new has announced.
func (a *Announcement) follow(src *source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.src == src {
		if src == nil && a.err == nil {
			a.failLocked(fmt.Errorf("there is no registry %q", a.registry))
		}
		return
	}
	if a.cancel != nil {
		a.cancel()
		a.cancel = nil
	}
	a.src = src
	if src == nil {
		a.failLocked(fmt.Errorf("there is no registry %q", a.registry))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	before, done := a.done, make(chan struct{})
	a.cancel, a.done = cancel, done
	src.announcing.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		a.run(ctx, src)
	})
}

func (a *Announcement) run(ctx context.Context, src *source) {
	registrar, ok := src.reg.(registry.Registrar)
	switch {
	case ctx.Err() != nil:
		return
	case src.merged():
		a.report(src, errors.New("a merged registry cannot be registered in; name one of its members"))
		return
	case !ok:
		a.report(src, errors.New("a registry of this type cannot be registered in"))
		return
	}
	err := registrar.Register(ctx, a.registration, func(err error) { a.report(src, err) })
	if err != nil && ctx.Err() == nil {
		a.report(src, err)
	}
}

// report takes what the run on src says; a run that was left has no say.
func (a *Announcement) report(src *source, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.src != src {
		return
	}
	if err != nil {
		a.failLocked(err)
		return
	}
	a.setLocked(true)
}

func (a *Announcement) failLocked(err error) {
	a.err, a.errAt = err, time.Now()
	a.setLocked(false)
}

func (a *Announcement) setLocked(announced bool) {
	if a.announced != announced {
		a.announced, a.since = announced, time.Now()
	}
}

// Announcements lists what is announced, in the order in which it began.
func (c *Catalogue) Announcements() []AnnouncementStatus {
	c.mu.Lock()
	all := slices.Clone(c.announcements)
	c.mu.Unlock()
	out := make([]AnnouncementStatus, 0, len(all))
	for _, a := range all {
		a.mu.Lock()
		st := AnnouncementStatus{
			Registry: a.registry, Service: a.registration.Service, Address: a.registration.Instance.Address(), ID: a.registration.ID,
			Announced: a.announced, Since: a.since, LastErrorAt: a.errAt,
		}
		if a.err != nil {
			st.LastError = a.err.Error()
		}
		a.mu.Unlock()
		out = append(out, st)
	}
	return out
}
