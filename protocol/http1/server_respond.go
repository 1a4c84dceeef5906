package http1

import (
	"net/http"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
)

// tunnelLinger is how long the client's direction of an upgraded connection may live on after the other one has ended.
const tunnelLinger = 10 * time.Second

// respond writes resp and reports whether the connection can go on as far as the answer is concerned. The caller ends resp.
func (x *serverExchange) respond(resp *protocol.Response) (again bool) {
	x.mu.Lock()
	x.answering = true
	expects := x.expects
	x.mu.Unlock()
	if resp.Upgrade {
		x.tunnel(resp)
		return false
	}
	body, length := resp.Body, resp.ContentLength
	empty := protocol.NoBody(x.req.Method, resp.Status)
	switch {
	case empty:
		body = nil
	case body == nil:
		length = 0
	}
	old := x.req.Version == protocol.HTTP10
	chunked := body != nil && length < 0 && !old
	keep := x.persist && !x.fatal && !expects && !x.srv.draining.Load() && !x.unwelcome(body) && (body == nil || length >= 0 || chunked)

	o := &x.out
	o.statusLine(resp.Status)
	o.fields(&resp.Header)
	if _, ok := resp.Header.LookupKnown(protocol.NameDate); !ok {
		o.rawField("Date", x.srv.httpDate())
	}
	switch {
	case chunked:
		o.str("Transfer-Encoding: chunked\r\n")
	case length < 0 || empty && (resp.Status != http.StatusNotModified && x.req.Method != "HEAD"):
		// Unknown, or not allowed (RFC 9110 section 8.6).
	case empty && resp.Status == http.StatusNotModified && length == 0:
		// 0 would say that the resource has become empty.
	default:
		o.str("Content-Length: ")
		o.int(length)
		o.str("\r\n")
	}
	switch {
	case !keep:
		o.str("Connection: close\r\n")
	case old:
		o.str("Connection: keep-alive\r\n")
	}
	o.str("\r\n")
	if body == nil {
		if err := o.flush(); err != nil {
			x.lost(resp, err)
			return false
		}
		return keep
	}
	readErr, writeErr := o.body(body, length, chunked, &resp.Trailer)
	switch {
	case writeErr != nil:
		x.lost(resp, writeErr)
		return false
	case readErr == nil:
		return keep
	case !o.wire:
		// Nothing has left yet, so the client can still be told.
		o.discard()
		o.begin()
		resp.Fail(readErr)
		if resp = x.failed(readErr); resp == nil {
			return false
		}
		return x.respond(resp)
	}
	resp.Fail(readErr)
	o.discard()
	x.fatal = true
	x.req.Record.Err = readErr
	if length < 0 && old {
		x.conn.sock.Reset() // an orderly end would look like the end of the body
	}
	return false
}

// unwelcome reports whether the request's body, for which nobody has asked and nobody will, is too large to be thrown away.
func (x *serverExchange) unwelcome(answer protocol.Body) bool {
	return x.in.kind == bodyFixed && x.in.length > drainBytes && x.in.seen.Load() == 0 && answer != protocol.Body(&x.in)
}

// lost records that the client did not take the answer.
func (x *serverExchange) lost(resp *protocol.Response, err error) {
	e := clientGone(err)
	resp.Fail(e)
	x.req.Record.Err = e
	x.fatal, x.gone = true, true
}

// tunnel answers with 101 and carries the upstream's bytes to the client until they end. The client's bytes are read by
// whoever answered, through Request.Body.
func (x *serverExchange) tunnel(resp *protocol.Response) {
	o := &x.out
	o.statusLine(http.StatusSwitchingProtocols)
	o.str("Connection: Upgrade\r\n")
	o.rawField("Upgrade", x.req.Upgrade)
	o.fields(&resp.Header)
	o.str("\r\n")
	if resp.Body == nil {
		if err := o.flush(); err != nil {
			x.lost(resp, err)
			return
		}
	} else {
		readErr, writeErr := o.body(resp.Body, protocol.UnknownLength, false, nil)
		if writeErr != nil {
			x.lost(resp, writeErr)
			return
		}
		if readErr != nil {
			resp.Fail(readErr)
			return
		}
	}
	if x.conn.sock.CloseWrite() != nil {
		return
	}
	timer := time.NewTimer(tunnelLinger)
	defer timer.Stop()
	select {
	case <-x.in.ended.ch:
	case <-timer.C:
	case <-x.srv.stopping:
	}
}

// endSignal tells that an upgraded connection's client has ended its direction.
type endSignal struct {
	once sync.Once
	ch   chan struct{}
}

func newEndSignal() *endSignal { return &endSignal{ch: make(chan struct{})} }

func (e *endSignal) fire() {
	if e != nil {
		e.once.Do(func() { close(e.ch) })
	}
}

func (o *outbound) statusLine(status int) {
	if status == http.StatusOK {
		o.str("HTTP/1.1 200 OK\r\n")
		return
	}
	o.str("HTTP/1.1 ")
	o.int(int64(status))
	o.str(" ")
	o.str(protocol.StatusText(status))
	o.str("\r\n")
}

// dateText is a rendered Date that is right until the time of protocol.Now.
type dateText struct {
	text  string
	until int64
}

// httpDate renders the time once a second.
func (s *Server) httpDate() string {
	now := protocol.Now()
	if d := s.date.Load(); d != nil && now < d.until {
		return d.text
	}
	t := time.Now()
	d := &dateText{text: t.UTC().Format(http.TimeFormat), until: now + int64(time.Second) - int64(t.Nanosecond())}
	s.date.Store(d)
	return d.text
}
