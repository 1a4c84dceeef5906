package discovery

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// source is one running registry.
type source struct {
	name   string
	spec   Spec
	reg    registry.Registry
	ctx    context.Context //nolint:containedctx // the life of the source: watches that begin later must end with it
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	state    registry.State
	since    time.Time
	lastPush time.Time
	lastErr  error
	errAt    time.Time
	answered bool
}

// RegistryStatus is what the status page and metrics show of a registry.
type RegistryStatus struct {
	Name  string
	State registry.State
	// Since is when it got into this state.
	Since time.Time
	// LastPush is zero until it has answered once.
	LastPush time.Time
	// LastError is the newest trouble, and when; it stays after it has passed.
	LastError   string
	LastErrorAt time.Time
	// Answered is true once it has said anything at all.
	Answered bool
}

func (s *source) report(state registry.State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if state != s.state {
		s.state, s.since = state, now
	}
	if state == registry.Live {
		s.answered = true
	}
	if err != nil {
		s.lastErr, s.errAt = err, now
	}
}

func (s *source) pushed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastPush = time.Now()
	s.answered = true
}

// trouble notes an error that says nothing about the connection.
func (s *source) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr, s.errAt = err, time.Now()
}

func (s *source) status() RegistryStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := RegistryStatus{Name: s.name, State: s.state, Since: s.since, LastPush: s.lastPush, LastErrorAt: s.errAt, Answered: s.answered}
	if s.lastErr != nil {
		st.LastError = s.lastErr.Error()
	}
	return st
}

// stop ends the registry and everything that watches it, and waits.
func (s *source) stop() {
	s.cancel()
	s.tasks.Wait()
}
