package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

// pipeline bounds the requests that a session has under way. More than this gives no more speed.
const pipeline = 64

// errLost says that the session ended before it had answered.
var errLost = errors.New("connection lost")

// session is one connection with its ZooKeeper session, from handshake to loss.
type session struct {
	conn   *zk.Conn
	raw    net.Conn
	events <-chan zk.Event // closed when the library's own goroutines have ended
	slots  chan struct{}

	ready, lost         chan struct{}
	readyOnce, lostOnce sync.Once
	log                 *libraryLog

	mu     sync.Mutex
	closed bool
	tasks  sync.WaitGroup
}

// settings are what every session of a registry shares.
type settings struct {
	sessionTimeout, connectTimeout time.Duration
	credentials                    []byte // user:password, or nil
	logger                         *slog.Logger
}

// open connects to one server and returns a session that is ready for requests. onNode hears of the nodes watched in
// it, on the library's own goroutine; it must not block.
func open(ctx context.Context, address string, set settings, onNode func(*session, zk.Event)) (*session, error) {
	dialer := net.Dialer{Timeout: set.connectTimeout}
	tcp, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{
		raw:   &guard{Conn: tcp},
		slots: make(chan struct{}, pipeline),
		ready: make(chan struct{}),
		lost:  make(chan struct{}),
		log:   &libraryLog{logger: set.logger},
	}
	s.conn, s.events, err = zk.Connect([]string{address}, set.sessionTimeout,
		zk.WithDialer(s.once()), zk.WithHostProvider(&oneHost{address: address}), zk.WithLogger(s.log), zk.WithLogInfo(false),
		zk.WithMaxBufferSize(maxFrame), zk.WithMaxConnBufferSize(64<<10),
		zk.WithEventCallback(func(e zk.Event) { s.event(e, onNode) }))
	if err != nil {
		_ = tcp.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := s.greet(ctx, set); err != nil {
		s.close()
		return nil, fmt.Errorf("handshake with %s: %w", address, err)
	}
	return s, nil
}

// greet waits for the handshake and authenticates.
func (s *session) greet(ctx context.Context, set settings) error {
	timer := time.NewTimer(set.connectTimeout)
	defer timer.Stop()
	select {
	case <-s.ready:
	case <-s.lost:
		return s.reason()
	case <-timer.C:
		_ = s.raw.Close()
		return fmt.Errorf("no answer within %v", set.connectTimeout)
	case <-ctx.Done():
		_ = s.raw.Close()
		return ctx.Err()
	}
	if set.credentials == nil {
		return nil
	}
	result := make(chan error, 1)
	s.run(func() { result <- s.conn.AddAuth("digest", set.credentials) })
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
		return nil
	case <-timer.C:
		err := fmt.Errorf("authenticate: no answer within %v", set.connectTimeout)
		_ = s.raw.Close()
		return err
	case <-ctx.Done():
		_ = s.raw.Close()
		return ctx.Err()
	}
}

// once is a dialer that hands out the connection made already, and never another one.
func (s *session) once() zk.Dialer {
	var used atomic.Bool
	return func(string, string, time.Duration) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errLost
		}
		return s.raw, nil
	}
}

func (s *session) event(e zk.Event, onNode func(*session, zk.Event)) {
	if e.Type != zk.EventSession {
		onNode(s, e)
		return
	}
	switch e.State {
	case zk.StateHasSession: // StateConnected is only TCP
		s.readyOnce.Do(func() { close(s.ready) })
	case zk.StateDisconnected, zk.StateExpired, zk.StateAuthFailed:
		s.lostOnce.Do(func() { close(s.lost) })
	}
}

// reason is why the session was lost, as far as the library told its log.
func (s *session) reason() error {
	if last := s.log.last.Load(); last != nil {
		return errors.New(*last)
	}
	return errLost
}

func (s *session) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// run starts a task that close waits for. The library's requests know no context: they end when the session does.
// It reports whether the task was started, which it is not once the session closes.
func (s *session) run(task func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.tasks.Go(task)
	return true
}

// close ends the session and waits for everything that it started. A server that is there hears of it; at most a second
// is spent on that.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.lostOnce.Do(func() { close(s.lost) })
	s.conn.Close()
	_ = s.raw.Close()
	for range s.events {
		// Nothing to do but to wait: the library's last goroutine closes the channel.
	}
	s.tasks.Wait()
}

// oneHost is a host list of one address. From the second time on it says that all were tried, at which the library waits
// instead of dialling in a circle, until it is closed.
type oneHost struct {
	address string
	tried   bool
}

func (*oneHost) Init([]string) error { return nil }
func (*oneHost) Len() int            { return 1 }
func (*oneHost) Connected()          {}

func (h *oneHost) Next() (server string, retryStart bool) {
	retryStart, h.tried = h.tried, true
	return h.address, retryStart
}

// libraryLog takes what the library would print to the standard error, and remembers the newest line.
type libraryLog struct {
	logger *slog.Logger
	last   atomic.Pointer[string]
}

// Printf implements zk.Logger.
func (l *libraryLog) Printf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	l.last.Store(&line)
	l.logger.Debug("zookeeper client", "message", line)
}
