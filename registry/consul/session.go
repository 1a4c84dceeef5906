package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// How many plain reads go on at a time.
const (
	readers      = 16 // each over a connection of its own
	readersHTTP2 = 64
)

// spare connections over HTTP/1.1 are for the list of services, the guard, a registration.
const spare = 4

// pollsHTTP2 bounds blocking queries over HTTP/2: a hundred connections.
const pollsHTTP2 = 10_000

// session is the use of one server with one token.
type session struct {
	consul *consul
	at     endpoint
	wire   *wire
	api    *api.Client
	// guardAPI asks over a connection of its own.
	guardAPI *api.Client
	gate     *gate
	read     *slots          // of plain reads
	ctx      context.Context //nolint:containedctx // the life of the session: every question of it ends with it
	end      context.CancelFunc
	faults   chan error // newest trouble that concerns the server

	mu     sync.Mutex
	over   bool           // no question begins any more
	asking sync.WaitGroup // questions that have begun
}

// errNewToken ends a session whose token file holds another token now.
var errNewToken = errors.New("the token file has changed")

// open makes a session with a server that answers, has a leader and takes the token.
func (c *consul) open(ctx context.Context, at endpoint) (*session, error) {
	token, err := c.config.readToken()
	if err != nil {
		return nil, err
	}
	s, err := c.session(ctx, at, token)
	if err != nil {
		return nil, err
	}
	if _, err := s.probe(ctx); err != nil {
		s.close()
		return nil, err
	}
	http2 := s.wire.lanes.http2()
	seats, slots := c.config.MaxPolls, readers
	if http2 {
		seats, slots = pollsHTTP2, readersHTTP2
	}
	s.wire.lanes.settle(http2)
	s.gate, s.read = newGate(seats, s.crowded), newSlots(slots)
	return s, nil
}

// session is one that asks nothing yet.
func (c *consul) session(ctx context.Context, at endpoint, token string) (*session, error) {
	tls, err := c.config.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	s := &session{consul: c, at: at, faults: make(chan error, 1)}
	s.wire = &wire{config: c.config, token: token, lanes: newLanes(tls, c.config.Timeouts.Connect, c.config.MaxPolls+readers+spare)}
	if s.api, err = s.wire.client(at); err != nil {
		return nil, err
	}
	// The guard's questions have a connection of their own, which was there before the others: an agent that has enough of
	// our connections must not look like one that is gone.
	guard := &wire{config: c.config, token: token, lanes: s.wire.lanes, guard: true}
	if s.guardAPI, err = guard.client(at); err != nil {
		return nil, err
	}
	s.ctx, s.end = context.WithCancel(ctx)
	return s, nil
}

// close ends every question of the session and its connections.
func (s *session) close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.end()
	s.wire.lanes.close()
	s.asking.Wait()
}

// begin counts a question; ctx ends with the session. done must be called.
func (s *session) begin(ctx context.Context, limit time.Duration) (_ context.Context, done func()) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		cancel()
		return ctx, cancel
	}
	s.asking.Add(1)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel(); s.asking.Done() }
}

// options are those of a read. Near turns the agent's streaming off, which answers a bad token with "no instances", goes on
// with old data when the token was deleted, and hides the loss of the leader.
func (s *session) options(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Near: "_agent"}).WithContext(ctx)
}

// probe asks whether the server has a leader and takes the token.
func (s *session) probe(ctx context.Context) (reach, error) {
	ctx, done := s.begin(ctx, s.consul.config.Timeouts.Request)
	defer done()
	err := s.examine(ctx)
	if err == nil {
		return 0, nil
	}
	reach, err := s.consul.config.advise(err)
	return reach, fmt.Errorf("%s: %w", s.at, err)
}

func (s *session) examine(ctx context.Context) error {
	leader, err := s.guardAPI.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("the servers have no leader (is a majority of them up?)")
	}
	if s.wire.token == "" {
		return nil
	}
	_, _, err = s.guardAPI.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	var refused api.StatusError
	if errors.As(err, &refused) {
		switch refused.Code {
		case http.StatusUnauthorized, http.StatusNotFound: // no ACLs, or an old server: the answers will tell
			return nil
		}
	}
	return err
}

// guard looks after the server until the session has to end, and returns why; nil when ctx ended.
func (s *session) guard(ctx context.Context) error {
	tick := time.NewTicker(s.consul.config.Timeouts.KeepAlive)
	defer tick.Stop()
	for {
		var fault error
		select {
		case <-ctx.Done():
			return nil
		case fault = <-s.faults:
		case <-tick.C:
		}
		if token, err := s.consul.config.readToken(); err == nil && token != s.wire.token {
			return errNewToken
		}
		reach, err := s.probe(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && reach == ofLimit: // it lives, and has enough of us
			s.fewer()
			s.consul.complain(err)
		case err != nil:
			return err
		case fault != nil: // the server is well, the trouble stays
			s.consul.complain(fault)
		}
	}
}

// fewer makes do with less at a time, since the server said that it is too much.
func (s *session) fewer() {
	if s.gate.shrink() {
		s.read.shrink()
		s.wire.lanes.trim()
	}
}

// suspect has the server looked at.
func (s *session) suspect(err error) {
	select {
	case s.faults <- err:
	default:
	}
}

// crowded says, once a session, that some services have no blocking query.
func (s *session) crowded(watches int, every time.Duration) {
	s.consul.complain(fmt.Errorf("%s: more services are watched (%d so far) than blocking queries are allowed over HTTP/1.1 (maxPolls %d): "+
		"they take turns, and those without one are read every %v or so (use https, where HTTP/2 needs few connections, or raise maxPolls and the agent's limits.http_max_conns_per_client)",
		s.at, watches, s.consul.config.MaxPolls, every))
}
