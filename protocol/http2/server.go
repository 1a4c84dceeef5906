package http2

import (
	"errors"
	"log/slog"
	"math/rand/v2"
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
	// Limits bound what one connection and one request may take.
	Limits Limits
	// Timeouts bound how long a client may take.
	Timeouts Timeouts
	// TrustedProxies are the peers whose X-Forwarded-* and Forwarded fields are believed. From all others these fields are
	// dropped.
	TrustedProxies []netip.Prefix
	// OnRefused, if set, is told of each request that did not reach the Handler because it is malformed or over a limit, for
	// metrics and logs. req holds what could be read of it, with Peer always set, until the call returns.
	OnRefused func(req *protocol.Request, e *protocol.Error)
	// Logger gets what an operator must know. The default drops it.
	Logger *slog.Logger
}

// Limits bound what one connection and one request may take. Zero stands for the default.
type Limits struct {
	// HeaderBytes is the header list without the path, counted as RFC 9113 section 6.5.2 has it, 64 KiB by default: over it
	// 431. A header block that is larger still ends the connection.
	HeaderBytes int
	// HeaderCount is the number of header fields, 128 by default: over it 431.
	HeaderCount int
	// URIBytes is path and query, 16 KiB by default: over it 414.
	URIBytes int
	// BodyBytes is the largest body, 0 for no limit: over it 413.
	BodyBytes int64
	// Connections is the number of open connections that Serve accepts, 0 for no limit.
	Connections int
	// Streams is how many requests a connection may have open at a time, 250 by default: further ones get REFUSED_STREAM.
	Streams int
	// StreamWindow is how many octets of a request's body are held for a Handler that does not read them, 256 KiB by
	// default; ConnWindow is that for all requests of a connection together, 4 MiB by default.
	StreamWindow, ConnWindow int
}

// Timeouts bound how long a client may take. Zero stands for the default, negative for no limit.
type Timeouts struct {
	// Header is the time from the first octet of a frame or of a header block to its end, 10 s by default. A new connection
	// that does not begin within it is closed.
	Header time.Duration
	// Body is the longest silence within a request's body, 30 s by default: over it 408. gRPC's streams and upgraded
	// connections may be silent for as long as they like.
	Body time.Duration
	// Idle is how long a connection may be without a request, 2 minutes by default.
	Idle time.Duration
	// Write is the longest time in which a client takes nothing of an answer, 30 s by default.
	Write time.Duration
	// Ping is the silence on a connection with open requests after which the client is asked whether it is still there,
	// 1 minute by default. It has PingReply, 20 s by default, to answer.
	Ping, PingReply time.Duration
	// MaxAge is the age at which a connection is told to go away, with up to a tenth more by chance; its requests may end.
	// No limit by default.
	MaxAge time.Duration
}

func (c *ServerConfig) withDefaults() ServerConfig {
	d := *c
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&d.Limits.HeaderBytes, 64<<10)
	setDefault(&d.Limits.HeaderCount, 128)
	setDefault(&d.Limits.URIBytes, 16<<10)
	setDefault(&d.Limits.Streams, 250)
	setDefault(&d.Limits.StreamWindow, 256<<10)
	setDefault(&d.Limits.ConnWindow, 4<<20)
	setDefault(&d.Timeouts.Header, 10*time.Second)
	setDefault(&d.Timeouts.Body, 30*time.Second)
	setDefault(&d.Timeouts.Idle, 2*time.Minute)
	setDefault(&d.Timeouts.Write, 30*time.Second)
	setDefault(&d.Timeouts.Ping, time.Minute)
	setDefault(&d.Timeouts.PingReply, 20*time.Second)
	return d
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// windows turns the limits into what a connection announces. What may be under way is a quarter of what may be held.
func (l *Limits) windows() windows {
	held := int64(max(l.ConnWindow, defaultWindow))
	return windows{
		stream: min(int64(max(l.StreamWindow, 1)), maxWindow),
		conn:   min(max(held/4, min(int64(l.StreamWindow), held), defaultWindow), maxWindow),
		held:   held,
	}
}

// Stats are the counts of a Server at one moment.
type Stats struct {
	// Open counts all connections, Parked those of them that wait without a goroutine, Idle all that have no request.
	Open, Idle, Parked int
	// InFlight counts the requests that are being answered.
	InFlight int
	// Rejected counts the requests that were refused before the Handler saw them, since the start.
	Rejected uint64
	// Abused counts the connections that were closed for what the client did there, since the start.
	Abused uint64
}

// Server decodes HTTP/2 requests from connections and answers them with a Handler.
type Server struct {
	handler  protocol.Handler
	settings atomic.Pointer[ServerConfig]
	date     atomic.Pointer[dateText]

	buffers socket.Pool
	bigs    sync.Pool      // of *bigBuffer
	spare   sync.Pool      // of *serverStream, without goroutines
	parker  *socket.Parker // nil where there is none

	draining atomic.Bool
	open     atomic.Int64
	busy     atomic.Int64 // connections with requests
	inFlight atomic.Int64
	rejected atomic.Uint64
	abused   atomic.Uint64

	mu        sync.Mutex
	first     *serverConn // all connections, linked
	listeners map[net.Listener]struct{}
	stopping  chan struct{} // closed when Shutdown or Close begins
	empty     chan struct{} // made by who waits for the last connection to go
	room      chan struct{} // holds a token when there may be room for a connection
	serving   sync.WaitGroup
	work      sync.WaitGroup // goroutines of connections and streams
}

// ErrServerClosed is returned by Serve on a Server that was shut down before.
var ErrServerClosed = errors.New("http2: the server is closed")

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

// Configure changes timeouts and trusted proxies for all requests that begin from now on, and what is announced to clients
// for all connections that begin from now on.
func (s *Server) Configure(cfg ServerConfig) {
	d := cfg.withDefaults()
	s.settings.Store(&d)
	s.roomChanged()
}

// Stats counts.
func (s *Server) Stats() Stats {
	st := Stats{
		Open:     int(s.open.Load()),
		InFlight: int(s.inFlight.Load()),
		Rejected: s.rejected.Load(),
		Abused:   s.abused.Load(),
	}
	if s.parker != nil {
		st.Parked = s.parker.Len()
	}
	st.Idle = max(0, st.Open-int(s.busy.Load()))
	return st
}

// ServeConn takes a connection over from a listener that has seen HTTP/2 there: by ALPN, or by the preface on a cleartext
// port (RFC 9113 section 3.3). alreadyRead is what was read of it. ServeConn returns when the connection has ended, or has
// nothing to do and needs no goroutine for the time being.
func (s *Server) ServeConn(nc net.Conn, alreadyRead []byte) {
	c := newServerConn(s, nc, alreadyRead)
	if !s.add(c) {
		_ = nc.Close()
		return
	}
	c.serve()
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
			c := newServerConn(s, nc, nil)
			if s.add(c) {
				go c.serve()
			} else {
				_ = nc.Close()
			}
			continue
		}
		if s.draining.Load() {
			return nil
		}
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Temporary() { //nolint:staticcheck // out of descriptors, aborted connections: no other way to tell
			return err
		}
		cfg := s.settings.Load()
		cfg.Logger.Warn("accept failed, trying again", "listener", cfg.Name, "error", err, "pause", pause)
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

// roomChanged lets who waits for room look again.
func (s *Server) roomChanged() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// add lists a connection, so that Shutdown finds it, and counts its goroutine.
func (s *Server) add(c *serverConn) bool {
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
	s.work.Add(1)
	return true
}

func (s *Server) remove(c *serverConn) {
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
	s.roomChanged()
}

// age is a connection's age at which it has to go, 0 for never.
func (t *Timeouts) age() int64 {
	if t.MaxAge <= 0 {
		return 0
	}
	return int64(t.MaxAge) + rand.Int64N(int64(t.MaxAge)/10+1)
}
