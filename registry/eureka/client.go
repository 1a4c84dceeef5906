package eureka

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// client implements registry.Registry and registry.Registrar.
type client struct {
	config  *Config
	opts    registry.Options
	servers []*server

	mu      sync.Mutex
	store   *store // nil until a server has answered
	live    bool
	watches map[string]map[*watch]struct{} // by service, in lower case
	lists   map[*watch]struct{}            // of the list of services
	state   registry.State
	logged  string // the newest trouble, so that the log says it once
}

var (
	_ registry.Registry  = (*client)(nil)
	_ registry.Registrar = (*client)(nil)
)

func newClient(c *Config, opts registry.Options) (*client, error) {
	out := &client{
		config:  c,
		opts:    opts,
		watches: map[string]map[*watch]struct{}{},
		lists:   map[*watch]struct{}{},
	}
	for _, u := range c.URLs {
		s, err := c.server(u)
		if err != nil {
			return nil, err
		}
		out.servers = append(out.servers, s)
	}
	if _, err := newTransport(c); err != nil { // a certificate that cannot be read is told at once
		return nil, err
	}
	return out, nil
}

// Run polls until ctx ends.
func (c *client) Run(ctx context.Context) error {
	t, err := newTransport(c.config)
	if err != nil {
		return err
	}
	defer t.close()
	c.report(registry.Connecting, nil)
	p := &poller{client: c, transport: t}
	for ctx.Err() == nil {
		began := time.Now()
		err := p.poll(ctx)
		if ctx.Err() != nil {
			break
		}
		pause := p.pause(err)
		if err == nil {
			pause -= time.Since(began) // an interval is from beginning to beginning
		} else {
			c.failed(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return nil
}

// failed notes that no server has answered.
func (c *client) failed(err error) {
	c.mu.Lock()
	c.live = false
	state := registry.Stale
	if c.store == nil {
		state = registry.Connecting
	}
	c.mu.Unlock()
	c.report(state, err)
}

// answered makes an update the truth, and wakes who must hear of it: everybody, when nothing was known or the connection had
// been lost.
func (c *client) answered(s *store, u update) {
	c.mu.Lock()
	all := !c.live
	c.store = s
	names, listed := s.names(u)
	s.apply(u)
	c.live = true
	if all {
		for _, group := range c.watches {
			wake(group)
		}
	} else {
		for n := range names {
			wake(c.watches[n])
		}
	}
	if all || listed {
		wake(c.lists)
	}
	c.mu.Unlock()
	if all {
		c.report(registry.Live, nil)
	}
}

// report tells the state, and logs what is new about it.
func (c *client) report(state registry.State, err error) {
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
		c.opts.Logger.Warn("trouble with Eureka", "state", state.String(), "error", err)
	case changed && state == registry.Live:
		c.opts.Logger.Info("connected to Eureka")
	}
	c.opts.Report(state, err)
}
