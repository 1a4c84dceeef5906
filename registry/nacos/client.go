package nacos

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

// client is the registry: its subjects, and the session with one server while there is one.
type client struct {
	config *Config
	opts   registry.Options
	auth   *auth

	comparePause time.Duration // see compareConfigs

	mu       sync.Mutex
	running  bool
	state    registry.State
	session  *session // nil while there is no connection
	services map[serviceKey]*service
	configs  map[configKey]*configEntry
	lists    map[string]*serviceNames
	apps     map[revisionKey]*appMetadata
	ours     map[serviceKey]*registration
}

func newClient(config *Config, opts registry.Options) *client {
	return &client{
		config: config, opts: opts, auth: newAuth(config), comparePause: 30 * time.Second,
		services: map[serviceKey]*service{},
		configs:  map[configKey]*configEntry{},
		lists:    map[string]*serviceNames{},
		apps:     map[revisionKey]*appMetadata{},
		ours:     map[serviceKey]*registration{},
	}
}

var (
	errRunning = errors.New("nacos registry runs already")
	errReset   = errors.New("the server asked for another connection")
)

// Run keeps a connection to one of the servers until ctx ends.
func (c *client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errRunning
	}
	c.running = true
	c.mu.Unlock()

	next := rand.IntN(len(c.config.Addresses)) // gateways that start together spread over the servers
	for fails := 0; ctx.Err() == nil; {
		began := time.Now()
		live, err := c.serve(ctx, c.config.Addresses[next])
		if ctx.Err() != nil {
			break
		}
		c.lost(err)
		if live && time.Since(began) > c.config.Timeouts.KeepAlive {
			fails = 0
		}
		if i := c.preferred(err); i >= 0 && i != next {
			next = i
		} else {
			next = (next + 1) % len(c.config.Addresses)
		}
		fails++
		// Each server gets its chance before there is a pause.
		pause := backoff(fails/len(c.config.Addresses), dialPause)
		c.opts.Logger.Warn("no connection to Nacos", "error", err, "next", c.config.Addresses[next], "pause", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	c.mu.Lock()
	c.forgetUnreadLocked()
	c.mu.Unlock()
	return nil //nolint:nilerr // that ctx has ended is the caller's wish
}

// serve makes one connection and uses it until it is lost. It always returns an error: why it ended.
func (c *client) serve(ctx context.Context, address string) (live bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := c.connect(ctx, address)
	if err != nil {
		return false, c.config.adviseConnect(err)
	}
	s := &session{
		client: c, conn: conn, ctx: ctx, end: cancel, since: time.Now(),
		pool: pool{limit: maxInFlight}, askers: pool{limit: maxAskers},
	}
	s.run()
	return true, fmt.Errorf("connection to %s lost: %w", conn.address, context.Cause(ctx))
}

// connect logs in and dials. Files are read again each time: certificates and secrets are renewed while we run.
func (c *client) connect(ctx context.Context, address string) (*conn, error) {
	_, grpc, err := c.config.endpoints(address)
	if err != nil {
		return nil, err
	}
	base, err := c.config.loginBase(address)
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	loginTLS, grpcTLS := c.config.secure(address)
	if loginTLS || grpcTLS {
		if secure, err = c.config.TLS.Config(); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	login, stop := context.WithTimeout(ctx, c.config.Timeouts.Connect)
	defer stop()
	if err := c.auth.use(login, base, secure); err != nil {
		return nil, err
	}
	if !grpcTLS {
		secure = nil
	}
	return dial(ctx, grpc, c.auth, c.config.Timeouts, c.config.tenant(), secure)
}

// connected makes s the session, asks it for everything and says that we are live.
func (c *client) connected(s *session) {
	c.mu.Lock()
	c.session = s
	c.state = registry.Live
	for _, sub := range c.subjectsLocked() {
		sub.state().fails = 0
		s.kickLocked(sub)
	}
	c.mu.Unlock()
	c.opts.Logger.Info("connected to Nacos", "address", s.conn.address)
	c.opts.Report(registry.Live, nil)
}

// disconnected ends s as the session: no subject gets a worker of it any more.
func (c *client) disconnected(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.closed = true
	c.session = nil
}

func (c *client) lost(err error) {
	c.mu.Lock()
	if c.state == registry.Live {
		c.state = registry.Stale
	}
	state := c.state
	c.forgetUnreadLocked()
	c.mu.Unlock()
	c.opts.Report(state, err)
}

// forgetUnreadLocked drops what nobody reads: it had to wait for its goodbye to the server, which has forgotten us by
// itself.
func (c *client) forgetUnreadLocked() {
	for _, sub := range c.subjectsLocked() {
		if len(sub.state().readers) == 0 {
			sub.state().forget()
		}
	}
}

// troubled reports a failure with one subject, which does not change the state of the registry. Only the first in a row is
// logged.
func (c *client) troubled(sub subject, err error, first bool) {
	c.mu.Lock()
	state := c.state
	c.mu.Unlock()
	err = c.config.adviseRefusal(fmt.Errorf("%s: %w", sub, err), "read")
	if first {
		c.opts.Logger.Warn("Nacos gives no answer", "error", err)
	}
	c.opts.Report(state, err)
}

func (c *client) subjectsLocked() []subject {
	all := make([]subject, 0, len(c.services)+len(c.configs)+len(c.lists)+len(c.apps)+len(c.ours))
	for _, s := range c.ours {
		all = append(all, s)
	}
	for _, s := range c.lists {
		all = append(all, s)
	}
	for _, s := range c.services {
		all = append(all, s)
	}
	for _, s := range c.configs {
		all = append(all, s)
	}
	for _, s := range c.apps {
		all = append(all, s)
	}
	return all
}

// resetTo is the end of a session whose server named another one.
type resetTo struct{ address string }

func (r *resetTo) Error() string { return fmt.Sprintf("%v, to %s", errReset, r.address) }

// preferred is the index of the address that the server sent us to, if it is one of ours: it may name an address that
// only works inside its own network, and our password goes to no address that was not configured.
func (c *client) preferred(err error) int {
	var r *resetTo
	if !errors.As(err, &r) {
		return -1
	}
	for i, a := range c.config.Addresses {
		if http, _, err := c.config.endpoints(a); err == nil && http == r.address {
			return i
		}
	}
	return -1
}

// How long to wait at most between two attempts to connect, and to ask for one subject again: what is refused for good
// must not become a load.
const (
	backoffBase = 100 * time.Millisecond
	dialPause   = 3 * time.Second
	askPause    = 30 * time.Second
)

// backoff is the pause after so many failures in a row: doubled each time, and somewhere in its upper half at random.
func backoff(fails int, most time.Duration) time.Duration {
	d := min(most, backoffBase<<min(max(fails-1, 0), 10))
	return d/2 + rand.N(d/2)
}

func (c *client) stateNow() registry.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}
