package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry/zookeeper/wire"
)

// errLost says that the session ended before it had answered.
var errLost = wire.ErrLost

// session is one connection with its ZooKeeper session, from handshake to loss.
type session struct {
	conn *wire.Conn
	lost <-chan struct{}
	// old is true of servers before 3.6, which have neither watches on a subtree nor several reads in a request: then
	// every reading leaves a watch of its own.
	old   bool
	batch int // reads in one request, at most
	shelf *shelf
	lanes int // requests under way, at most

	mu    sync.Mutex
	queue []order
	busy  int // lanes that run
	// watched are the lists that have a watch of their own besides the one on the tree.
	watched map[string]struct{}
	closed  bool
	tasks   sync.WaitGroup
}

// settings are what every session of a registry shares.
type settings struct {
	sessionTimeout, connectTimeout time.Duration
	digest                         []byte // user:password, or nil
	roots                          []string
	tls                            *tls.Config // nil for none
	batch                          int
	shelf                          *shelf
}

// target is one server to try: an address that a host's name stands for.
type target struct {
	host    string // as configured, which a certificate must name
	address string // to dial
	old     bool   // it has said that it is older than 3.6
}

// String names it in errors: by the configured name, and the address if that is another.
func (t target) String() string {
	if strings.HasPrefix(t.address, t.host+":") || strings.HasPrefix(t.address, "["+t.host+"]:") {
		return t.address
	}
	return t.host + " (" + t.address + ")"
}

// open connects to one server and returns a session that is ready for requests, with every node watched. onNode hears of
// those that change, on the connection's own goroutine; it must not block.
func open(ctx context.Context, at target, set settings, zxid int64, onNode func(*session, wire.Event)) (*session, error) {
	dialer := net.Dialer{Timeout: set.connectTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", at.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", at, err)
	}
	if set.tls != nil {
		if raw, err = encrypt(ctx, raw, at, set); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, set.connectTimeout, fmt.Errorf("no answer within %v", set.connectTimeout))
	defer cancel()
	s := &session{old: at.old, batch: set.batch, shelf: set.shelf, lanes: fewLanes, watched: make(map[string]struct{})}
	if s.old {
		s.batch, s.lanes = 1, manyLanes
	}
	began := make(chan struct{}) // events wait until s is whole
	s.conn, err = wire.Open(ctx, raw, wire.Options{
		SessionTimeout: set.sessionTimeout, LastZxid: zxid, Digest: set.digest,
		OnEvent: func(e wire.Event) { <-began; onNode(s, e) },
	})
	if err != nil {
		return nil, fmt.Errorf("handshake with %s: %w", at, explainTLS(err))
	}
	s.lost = s.conn.Done()
	close(began)
	for _, root := range set.roots {
		if s.old {
			break
		}
		if err := s.conn.WatchTree(ctx, root); err != nil {
			s.conn.Abort()
			return nil, fmt.Errorf("watch %s at %s: %w", root, at, err)
		}
	}
	return s, nil
}

// encrypt makes the TLS handshake.
func encrypt(ctx context.Context, raw net.Conn, at target, set settings) (net.Conn, error) {
	config := set.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = at.host
	}
	ctx, cancel := context.WithTimeoutCause(ctx, set.connectTimeout, fmt.Errorf("no answer within %v", set.connectTimeout))
	defer cancel()
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("TLS handshake with %s: %w", at, explainTLS(err))
	}
	return secure, nil
}

// explainTLS says what to do about what TLS says in few words. A server may refuse the client's certificate after its own
// handshake is over.
func explainTLS(err error) error {
	var remote *net.OpError // around an alert, whose type has no name
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Error(), "certificate"):
		return fmt.Errorf("%w: the server wants tls.cert and tls.key, signed by an authority that it knows", err)
	case errors.As(err, &record), errors.Is(err, io.EOF):
		return fmt.Errorf("%w: no TLS is spoken there; servers have another port for it (secureClientPort)", err)
	}
	return err
}

// lookup resolves a name; (*net.Resolver).LookupNetIP is one.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// resolve returns every address that the configured hosts stand for at this moment, and what went wrong with those that
// could not be found.
func resolve(ctx context.Context, addresses []string, find lookup) (targets []target, errs []error) {
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := netip.ParseAddr(host); err == nil {
			targets = append(targets, target{host: host, address: a})
			continue
		}
		found, err := find(ctx, "ip", host)
		if err != nil {
			errs = append(errs, fmt.Errorf("connect to %s: %w", a, err))
			continue
		}
		for _, ip := range found {
			t := target{host: host, address: net.JoinHostPort(ip.Unmap().String(), port)}
			if !slices.Contains(targets, t) {
				targets = append(targets, t)
			}
		}
	}
	return targets, errs
}

// reason is why the session was lost.
func (s *session) reason() error {
	if err := s.conn.Err(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return errLost
}

// close ends the session and waits for everything that it started. A server that is there hears of it; at most a second
// is spent on that.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.conn.Close()
	s.tasks.Wait()
}
