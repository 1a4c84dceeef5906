package consul

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// laneStreams is how many requests share a connection of HTTP/2. Consul allows 250, but net/http takes it for 100 until it
// has read the server's settings, and dials again for the request beyond.
const laneStreams = 100

// lanes are the connections to one server.
//
// Over HTTP/2 each lane is one connection for laneStreams requests. A transport of net/http that is given many requests at
// once dials for each of them before it learns that they could have shared: so a new lane takes one request, and the others
// wait until it has its connection. Over HTTP/1.1 there is one lane, which makes a connection a request.
type lanes struct {
	tls     *tls.Config
	connect time.Duration
	most    int // connections over HTTP/1.1

	multiplexed atomic.Bool // the newest answer came over HTTP/2

	mu     sync.Mutex
	cond   sync.Cond
	all    []*lane
	single bool  // HTTP/1.1: everything goes over one lane
	first  *lane // then the connection that came first is kept for the guard
	conns  map[net.Conn]struct{}
	ended  chan struct{}
	over   bool
}

type lane struct {
	transport *http.Transport
	inFlight  int
	warm      bool // it has, or had, a connection
}

func newLanes(config *tls.Config, connect time.Duration, most int) *lanes {
	l := &lanes{tls: config, connect: connect, most: most, conns: map[net.Conn]struct{}{}, ended: make(chan struct{})}
	l.cond.L = &l.mu
	return l
}

var errClosed = errors.New("the session has ended")

// do sends a request over a lane. The body of the answer must be read before ctx ends.
func (l *lanes) do(req *http.Request, guard bool) (*http.Response, error) {
	lane, err := l.take(req.Context(), guard)
	if err != nil {
		return nil, err
	}
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { l.warmed(lane) }})
	answer, err := lane.transport.RoundTrip(req.WithContext(ctx))
	if err == nil {
		l.multiplexed.Store(answer.ProtoMajor == 2)
	}
	l.give(lane, err == nil)
	return answer, err
}

// take finds a lane with room.
func (l *lanes) take(ctx context.Context, guard bool) (*lane, error) {
	stop := context.AfterFunc(ctx, func() { l.mu.Lock(); defer l.mu.Unlock(); l.cond.Broadcast() })
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.over {
			return nil, errClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if guard && l.first != nil {
			l.first.inFlight++
			return l.first, nil
		}
		warming := false
		for _, lane := range l.all {
			if lane.warm && (l.single || lane.inFlight < laneStreams) {
				lane.inFlight++
				return lane, nil
			}
			if !lane.warm && lane.inFlight == 0 { // its connection failed: try again
				lane.inFlight++
				return lane, nil
			}
			warming = warming || !lane.warm
		}
		if !warming {
			lane := &lane{transport: l.transport(), inFlight: 1}
			l.all = append(l.all, lane)
			return lane, nil
		}
		l.cond.Wait()
	}
}

func (l *lanes) warmed(lane *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !lane.warm {
		lane.warm = true
		l.cond.Broadcast()
	}
}

func (l *lanes) give(lane *lane, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lane.inFlight--
	// A connection that broke has to be made anew, by one request alone.
	if !ok && lane.inFlight == 0 && !l.single {
		lane.warm = false
	}
	l.cond.Broadcast()
}

// http2 reports whether the server speaks HTTP/2; it must have answered.
func (l *lanes) http2() bool { return l.multiplexed.Load() }

// settle says, after the first answer and before the next request, how to go on.
func (l *lanes) settle(http2 bool) {
	if http2 {
		return
	}
	// net/http dials for a request even while one of its connections becomes free, so they have to be bounded here. For
	// HTTP/2 that bound does not mean what it says.
	bounded := l.transport()
	bounded.MaxConnsPerHost = l.most
	l.mu.Lock()
	defer l.mu.Unlock()
	l.single, l.first, l.all = true, l.all[0], []*lane{{transport: bounded, warm: true}}
}

func (l *lanes) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // no environment variable sends a gateway's control traffic elsewhere
		DialContext:            l.dial,
		TLSClientConfig:        l.tls.Clone(),
		TLSHandshakeTimeout:    l.connect,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    l.most,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// dial notes each connection, so that close can end it.
func (l *lanes) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.connect)
	defer cancel()
	go func() { // net/http goes on dialling for a request that was given up
		select {
		case <-l.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	conn, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		_ = conn.Close()
		return nil, errClosed
	}
	t := &trackedConn{Conn: conn, lanes: l}
	l.conns[t] = struct{}{}
	return t, nil
}

// trim ends the connections over HTTP/1.1 that carry nothing now.
func (l *lanes) trim() {
	l.mu.Lock()
	single, all := l.single, slices.Clone(l.all)
	l.mu.Unlock()
	for _, lane := range all {
		if single {
			lane.transport.CloseIdleConnections()
		}
	}
}

// open is the number of connections.
func (l *lanes) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// close ends every connection and every request.
func (l *lanes) close() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	l.over = true
	close(l.ended)
	all, conns := slices.Clone(l.all), make([]net.Conn, 0, len(l.conns))
	if l.first != nil {
		all = append(all, l.first)
	}
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.cond.Broadcast()
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	for _, lane := range all {
		lane.transport.CloseIdleConnections()
	}
}

type trackedConn struct {
	net.Conn
	lanes *lanes
	once  sync.Once
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.once.Do(func() {
		c.lanes.mu.Lock()
		defer c.lanes.mu.Unlock()
		delete(c.lanes.conns, c)
	})
	return c.Conn.Close()
}
