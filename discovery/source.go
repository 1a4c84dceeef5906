package discovery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// source is one running registry, or a merged one, which runs nothing.
type source struct {
	name      string
	identity  string // "" for a merged one
	spec      Spec
	reg       registry.Registry // nil for a merged one
	catalogue *Catalogue
	ctx       context.Context //nolint:containedctx // the life of the source: watches that begin later must end with it
	cancel    context.CancelFunc
	tasks     sync.WaitGroup
	// announcing are the announcements that run on it. They end before it does.
	announcing sync.WaitGroup

	dirty atomic.Bool // something has changed since it was written to disk

	mu          sync.Mutex
	state       registry.State
	since       time.Time
	reconnected time.Time // when it was last found again
	lastPush    time.Time
	lastErr     error
	errAt       time.Time
	answered    time.Time // when it spoke for the first time; zero: never
	disk        disk
}

func (s *source) merged() bool { return len(s.spec.Members) > 0 }

// report is registry.Options.Report.
func (s *source) report(state registry.State, err error) {
	s.mu.Lock()
	now := time.Now()
	if state != s.state {
		if state == registry.Live && s.state == registry.Stale {
			s.reconnected = now
		}
		s.state, s.since = state, now
	}
	if state == registry.Live && s.answered.IsZero() {
		s.answered = now
	}
	if err != nil {
		s.lastErr, s.errAt = err, now
	}
	down := s.downLocked()
	if down {
		s.disk.patient = false
	}
	s.mu.Unlock()
	if down {
		// Whoever waits for this one need not; not here, as a report returns quickly.
		s.catalogue.clock.after(0, s.fallBack)
	}
}

// fallBack lets others do without a registry that does not answer.
func (s *source) fallBack() {
	s.catalogue.serveKept(s)
	s.catalogue.waiting.refresh()
}

func (s *source) pushed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastPush = time.Now()
	if s.answered.IsZero() {
		s.answered = s.lastPush
	}
}

// changed notes that what is on disk is not the newest.
func (s *source) changed() { s.dirty.Store(true) }

// trouble notes an error that says nothing about the connection.
func (s *source) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr, s.errAt = err, time.Now()
}

// down reports whether it has never answered and has said why.
func (s *source) down() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.downLocked()
}

func (s *source) downLocked() bool {
	return s.answered.IsZero() && s.state != registry.Live && s.lastErr != nil
}

// justReconnected reports whether it was lost and has been found again just before at.
func (s *source) justReconnected(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.reconnected.IsZero() && at.Sub(s.reconnected) < afterReconnect
}
