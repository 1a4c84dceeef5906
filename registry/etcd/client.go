package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// How long to wait between attempts to connect: nothing while there are servers not tried yet, then the first delay,
// doubling up to the last one, each shortened by up to a half at random.
const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 2 * time.Second
	// refusedDelay is the last one when the server refuses us: a password is costly to check.
	refusedDelay = 15 * time.Second
)

var errRunning = errors.New("etcd registry runs already")

// client is the registry: what it knows, and the session with one server while there is one.
type client struct {
	config *Config
	opts   registry.Options
	roots  []root
	index  *index

	mu      sync.Mutex
	running bool
	state   registry.State
	logged  string        // the newest trouble, so that the log says it once
	session *session      // nil while there is no connection
	changed chan struct{} // closed and replaced when session changes
}

func newClient(config *Config, opts registry.Options) *client {
	return &client{config: config, opts: opts, roots: config.roots(), index: newIndex(), changed: make(chan struct{})}
}

// Run keeps a session with one of the servers until ctx ends.
func (c *client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errRunning
	}
	c.running = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running = false
	}()

	c.report(registry.Connecting, nil)
	next := rand.IntN(len(c.config.Addresses)) // gateways that start together spread over the servers
	delay := firstDelay
	for fails := 0; ctx.Err() == nil; next = (next + 1) % len(c.config.Addresses) {
		live, err := c.serve(ctx, c.config.Addresses[next])
		if ctx.Err() != nil {
			break
		}
		c.lost(err)
		if live {
			fails, delay = 0, firstDelay
		}
		// Each server gets its chance before there is a pause.
		if fails++; fails%len(c.config.Addresses) != 0 && !live {
			continue
		}
		pause(ctx, delay/2+rand.N(delay/2))
		last := lastDelay
		if r := (*refusal)(nil); errors.As(err, &r) {
			last = refusedDelay
		}
		delay = min(2*delay, last)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// serve makes one connection and uses it until it is lost. It always returns an error: why it ended. live tells whether it
// was of use.
func (c *client) serve(ctx context.Context, address string) (live bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e, err := c.config.endpoint(address)
	if err != nil {
		return false, err
	}
	var secure *tls.Config
	if e.tls { // files are read again each time: certificates are renewed while we run
		if secure, err = c.config.TLS.Config(); err != nil {
			return false, fmt.Errorf("tls: %w", err)
		}
	}
	conn, err := dial(ctx, e.address, c.config, secure)
	if err != nil {
		return false, err
	}
	defer conn.close()
	s := &session{client: c, conn: conn}
	err = s.run(ctx)
	return c.disconnected(s), err
}

// live makes s the session, and next what is known.
func (c *client) live(s *session, next *state) {
	c.index.install(next)
	c.mu.Lock()
	c.session = s
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.report(registry.Live, nil)
	for _, err := range next.refused {
		c.complain(err)
	}
}

// disconnected ends s as the session, if it was.
func (c *client) disconnected(s *session) bool {
	c.index.detach()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != s {
		return false
	}
	c.session = nil
	close(c.changed)
	c.changed = make(chan struct{})
	return true
}

// current waits for a session; nil when ctx ended. The channel is closed when there is another one, or none.
func (c *client) current(ctx context.Context) (*session, <-chan struct{}) {
	for {
		c.mu.Lock()
		s, changed := c.session, c.changed
		c.mu.Unlock()
		if s != nil {
			return s, changed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (c *client) lost(err error) {
	c.mu.Lock()
	state := c.state
	c.mu.Unlock()
	if state == registry.Live {
		state = registry.Stale
	}
	c.report(state, err)
}

// complain reports trouble that does not change the state.
func (c *client) complain(err error) {
	c.mu.Lock()
	state := c.state
	c.mu.Unlock()
	c.report(state, err)
}

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
		c.opts.Logger.Warn("trouble with etcd", "state", state.String(), "error", err)
	case changed && state == registry.Live:
		c.opts.Logger.Info("connected to etcd")
	}
	c.opts.Report(state, err)
}
