package http1

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/socket"
)

// ServerConfig says how a Server treats its connections. The zero value of each field stands for the default named there.
type ServerConfig struct {
	// Name of the listener, for logs.
	Name string
	// Limits bound what one request may take.
	Limits Limits
	// Timeouts bound how long a client may take.
	Timeouts Timeouts
	// TrustedProxies are the peers whose X-Forwarded-* and Forwarded fields are believed. From all others these fields are
	// dropped.
	TrustedProxies []netip.Prefix
	// HTTP2, if set, takes the connections whose clients speak HTTP/2, by ALPN or by prior knowledge, with what was read of
	// them; they are not the Server's any more. It returns when it is done with the goroutine.
	HTTP2 func(nc net.Conn, alreadyRead []byte)
	// OnRefused, if set, is told of each request that was answered without the Handler because it is malformed or over a
	// limit, for metrics and logs. req holds what could be read of it, with Peer always set, until the call returns.
	OnRefused func(req *protocol.Request, e *protocol.Error)
	// Logger gets what an operator must know. The default drops it.
	Logger *slog.Logger
}

// Limits bound what one request may take. Zero stands for the default.
type Limits struct {
	// HeaderBytes is the whole head but the request line, 64 KiB by default: over it 431.
	HeaderBytes int
	// HeaderCount is the number of header fields, 128 by default: over it 431.
	HeaderCount int
	// URIBytes is the request target, 16 KiB by default: over it 414.
	URIBytes int
	// BodyBytes is the largest body, 0 for no limit: over it 413.
	BodyBytes int64
	// Connections is the number of open connections, 0 for no limit: further ones wait in the kernel's queue.
	Connections int
}

// Timeouts bound how long a client may take. Zero stands for the default, negative for no limit.
type Timeouts struct {
	// Header is the time from the first byte of a request to the end of its head, 10 s by default: over it 408. A new
	// connection that sends nothing is closed after it.
	Header time.Duration
	// Body is the longest silence within a request's body, 30 s by default: over it 408.
	Body time.Duration
	// Idle is how long a connection may wait for its next request, 2 minutes by default.
	Idle time.Duration
	// Write is the longest time in which a client takes nothing of its answer, 30 s by default.
	Write time.Duration
}

func (c *ServerConfig) withDefaults() ServerConfig {
	d := *c
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&d.Limits.HeaderBytes, 64<<10)
	setDefault(&d.Limits.HeaderCount, 128)
	setDefault(&d.Limits.URIBytes, 16<<10)
	setDefault(&d.Timeouts.Header, 10*time.Second)
	setDefault(&d.Timeouts.Body, 30*time.Second)
	setDefault(&d.Timeouts.Idle, 2*time.Minute)
	setDefault(&d.Timeouts.Write, 30*time.Second)
	return d
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Stats are the counts of a Server at one moment.
type Stats struct {
	// Open counts all connections, Parked those of them that wait without a goroutine, Idle all that wait for a request,
	// parked or not.
	Open, Idle, Parked int
	// InFlight counts the requests that are being answered.
	InFlight int
	// Rejected counts the requests that were refused before the Handler saw them, since the start.
	Rejected uint64
}

// Server decodes HTTP/1.1 requests from connections and answers them with a Handler.
type Server struct {
	handler  protocol.Handler
	settings atomic.Pointer[ServerConfig]
	date     atomic.Pointer[dateText]

	buffers   socket.Pool
	exchanges sync.Pool
	splicer   socket.Splicer
	parker    *socket.Parker // nil where there is none
	watch     watcher

	draining atomic.Bool
	open     atomic.Int64
	inFlight atomic.Int64
	rejected atomic.Uint64

	mu        sync.Mutex
	first     *conn // all connections, linked
	listeners map[net.Listener]struct{}
	stopping  chan struct{} // closed when Shutdown or Close begins
	empty     chan struct{} // made by who waits for the last connection to go
	room      chan struct{} // holds a token when there may be room for a connection
	serving   sync.WaitGroup
}

// ErrServerClosed is returned by Serve on a Server that was shut down before.
var ErrServerClosed = errors.New("http1: the server is closed")

// NewServer makes a Server. It holds one goroutine for parked connections until Shutdown or Close.
func NewServer(h protocol.Handler, cfg ServerConfig) *Server {
	s := &Server{handler: h, listeners: map[net.Listener]struct{}{}, stopping: make(chan struct{}), room: make(chan struct{}, 1)}
	s.Configure(cfg)
	parker, err := socket.NewParker()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.settings.Load().Logger.Warn("idle connections will keep their goroutines", "listener", cfg.Name, "error", err)
	}
	if err == nil {
		s.parker = parker
	}
	return s
}

// Configure changes limits, timeouts and trusted proxies for all requests that begin from now on.
func (s *Server) Configure(cfg ServerConfig) {
	d := cfg.withDefaults()
	s.settings.Store(&d)
	s.roomChanged() // the limit may have been raised
}

// Stats counts.
func (s *Server) Stats() Stats {
	st := Stats{
		InFlight: int(s.inFlight.Load()),
		Open:     int(s.open.Load()),
		Rejected: s.rejected.Load(),
	}
	if s.parker != nil {
		st.Parked = s.parker.Len()
	}
	st.Idle = max(0, st.Open-st.InFlight)
	return st
}

// Serve accepts connections from ln, which it owns, until Shutdown or Close; then it returns nil. An error of ln that does
// not pass is returned. A *tls.Conn is recognised and its handshake done here.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		_ = ln.Close()
		return ErrServerClosed
	}
	s.listeners[ln] = struct{}{}
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, ln)
		s.mu.Unlock()
		_ = ln.Close()
	}()
	return s.accept(ln)
}

func (s *Server) accept(ln net.Listener) error {
	const firstPause, maxPause = 5 * time.Millisecond, time.Second
	pause := firstPause
	for {
		s.awaitRoom()
		nc, err := ln.Accept()
		if err == nil {
			pause = firstPause
			s.admit(nc)
			continue
		}
		if s.draining.Load() {
			return nil
		}
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Temporary() { //nolint:staticcheck // out of descriptors, aborted connections: no other way to tell
			return err
		}
		s.settings.Load().Logger.Warn("accept failed, trying again", "listener", s.settings.Load().Name, "error", err, "pause", pause)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.stopping:
			timer.Stop()
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

// awaitRoom waits while there are as many connections as the limit allows.
func (s *Server) awaitRoom() {
	for {
		limit := s.settings.Load().Limits.Connections
		if limit <= 0 || s.open.Load() < int64(limit) {
			return
		}
		select {
		case <-s.room:
		case <-s.stopping:
			return
		}
	}
}

func (s *Server) admit(nc net.Conn) {
	c := &conn{srv: s, fresh: true}
	c.sock.Init(nc)
	c.in.sock, c.in.pool = &c.sock, &s.buffers
	if !s.add(c) {
		_ = c.sock.Close()
		return
	}
	go c.serve()
}

// add lists a connection, so that Shutdown finds it.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	c.next = s.first
	if c.next != nil {
		c.next.prev = c
	}
	s.first = c
	s.open.Add(1)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		s.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	if s.open.Add(-1) == 0 && s.empty != nil { // nothing is added any more once empty was made
		close(s.empty)
	}
	s.roomChanged() // after the count has gone down: who takes the token looks at it, and waits again if it finds no room
}

// roomChanged lets who waits for room look again.
func (s *Server) roomChanged() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}
