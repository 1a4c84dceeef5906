package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// lastConnectDelay bounds the pause between attempts to find a server.
const lastConnectDelay = time.Second

// consul implements registry.Registry and registry.Registrar.
type consul struct {
	config *Config
	opts   registry.Options

	mu      sync.Mutex
	current *session      // nil while there is none
	changed chan struct{} // closed when current changes
	state   registry.State
	logged  string // the newest trouble, so that the log says it once
}

func newConsul(c *Config, opts registry.Options) *consul {
	return &consul{config: c, opts: opts, changed: make(chan struct{})}
}

// Run keeps a session until ctx ends.
func (c *consul) Run(ctx context.Context) error {
	c.report(registry.Connecting, nil)
	lost := registry.Connecting // what it is called while there is no session
	at := 0
	for {
		s, n := c.connect(ctx, at, lost)
		if s == nil {
			return nil
		}
		at, lost = n, registry.Stale
		c.enter(s)
		c.report(registry.Live, nil)
		err := s.guard(ctx)
		c.enter(nil)
		s.close()
		if err != nil && !errors.Is(err, errNewToken) {
			c.report(registry.Stale, fmt.Errorf("lost the server: %w", err))
		}
	}
}

// connect tries one address after the other, the one at first, until there is a session; nil when ctx ended.
func (c *consul) connect(ctx context.Context, at int, state registry.State) (*session, int) {
	all := c.config.endpoints()
	for delay := firstDelay; ctx.Err() == nil; delay = min(2*delay, lastConnectDelay) {
		for n := range all {
			n = (at + n) % len(all)
			s, err := c.open(ctx, all[n])
			if err == nil {
				return s, n
			}
			if ctx.Err() != nil {
				return nil, 0
			}
			c.report(state, err)
		}
		sleep(ctx, delay/2+rand.N(delay/2))
	}
	return nil, 0
}

// enter makes s the session that everybody asks in.
func (c *consul) enter(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = s
	close(c.changed)
	c.changed = make(chan struct{})
}

// await returns the session, as soon as there is one; nil when ctx ended.
func (c *consul) await(ctx context.Context) *session {
	for ctx.Err() == nil {
		c.mu.Lock()
		s, changed := c.current, c.changed
		c.mu.Unlock()
		if s != nil && s.ctx.Err() == nil {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

func (c *consul) report(state registry.State, err error) {
	line := ""
	if err != nil {
		line = err.Error()
	}
	c.mu.Lock()
	changed := state != c.state || line != c.logged
	c.state, c.logged = state, line
	c.mu.Unlock()
	switch {
	case err != nil && changed:
		c.opts.Logger.Warn("trouble with Consul", "state", state.String(), "error", err)
	case changed && state == registry.Live:
		c.opts.Logger.Info("connected to Consul")
	}
	c.opts.Report(state, err)
}

// complain reports trouble that does not change the state.
func (c *consul) complain(err error) {
	c.mu.Lock()
	state := c.state
	c.mu.Unlock()
	c.report(state, err)
}
