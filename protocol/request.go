package protocol

import (
	"crypto/tls"
	"net/netip"
)

// Version is an HTTP version as major*10+minor: 10, 11, 20.
type Version uint8

// The versions a listener can speak.
const (
	HTTP10 Version = 10
	HTTP11 Version = 11
	HTTP2  Version = 20
)

// String is the form used in logs and in Via.
func (v Version) String() string {
	switch v {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2.0"
	}
	return "HTTP/?"
}

// Param is one capture of a route's path pattern.
type Param struct {
	Name string
	// Value is the captured text, still percent-encoded as in Path.
	Value string
}

// Informer receives interim (1xx) answers while the exchange is open. Listeners that can pass them on set it.
type Informer interface {
	Inform(status int, header *Header)
}

// Record is what the exchange leaves for logs and metrics. The rooms it passes fill it in; strings in it must outlive
// the exchange's arena only as long as finishers run.
type Record struct {
	// Path is the one that the client asked for, before filters rewrote it.
	Path string
	// Route is the name of the matched route.
	Route string
	// Service and Instance are what the balancer chose last.
	Service, Instance string
	// Attempts counts tries sent upstream.
	Attempts int
	// Earlier are tries before the last one, the first ones of them if there were many. Nil unless something was tried again;
	// whoever keeps it may, since the exchange that comes next has its own.
	Earlier []Try
	// UpstreamNanos is the time from handing the request to an instance's client until its answer's head.
	UpstreamNanos int64
	// RequestBytes and ResponseBytes are the body bytes that the listener saw pass.
	RequestBytes, ResponseBytes int64
	// Code is the error code that was answered, if the gateway answered itself.
	Code Code
	// Err is the error behind the answer, if there was one.
	Err error
}

// Request is one request, whatever wire it came by. Everything in it is valid until the exchange's Response is closed.
//
// A Request belongs to the listener that made it, which reuses it; the Handler that runs may change any field.
type Request struct {
	// Method as received; case matters (RFC 9110 section 9.1).
	Method string
	// Scheme is "http" or "https", as the client sees it: what a trusted proxy said, or the listener's own.
	Scheme string
	// Authority is host[:port] that the client asked for.
	Authority string
	// Path begins with "/" (or is "*" for OPTIONS), without query, percent-encoded, in normal form: dot segments are
	// resolved, escapes of unreserved characters are decoded, hex digits are upper case, an encoded slash stays encoded.
	// The same text is matched and forwarded.
	Path string
	// RawQuery is what followed "?", without it, as received.
	RawQuery string
	// HasQuery tells "/a?" from "/a".
	HasQuery bool
	// Version of the message.
	Version Version

	// Header holds all fields but hop-by-hop ones, Host and Content-Length, which the fields here replace.
	Header Header
	// Trailer is set when the body's last piece was handed over.
	Trailer Header
	// Body is nil when there is none.
	Body Body
	// ContentLength in bytes, or UnknownLength. 0 with a nil Body.
	ContentLength int64
	// Upgrade names the protocol that the client wants to switch to ("websocket"), or is empty. Then Body carries the
	// client's bytes after the head, and a Response that accepts carries the other direction.
	Upgrade string

	// Peer is the other end of the socket.
	Peer netip.AddrPort
	// Client is the caller's address: Peer's, or what a trusted proxy said.
	Client netip.Addr
	// TLS is nil on a plain connection.
	TLS *tls.ConnectionState

	// ID is the request id that is logged and sent upstream; empty unless something set it.
	ID string
	// Start and Deadline are times of Now. Deadline 0 means none. Clients of upstreams obey it.
	Start, Deadline int64
	// Informer, if set, takes 1xx answers.
	Informer Informer

	// Params are the captures of the matched route.
	Params []Param
	// Call is what a transcoder above the balancer made of the request, for the client of its protocol: a Dubbo invocation,
	// say. The request is then no longer to be read as HTTP. Nil for everything that is forwarded as it came.
	Call any
	// Record is for logs and metrics.
	Record Record
	// Arena holds strings that filters make.
	Arena Arena

	resp Response
}

// Param returns a capture by name.
func (r *Request) Param(name string) (string, bool) {
	for i := range r.Params {
		if r.Params[i].Name == name {
			return r.Params[i].Value, true
		}
	}
	return "", false
}

// NarrowDeadline makes the request expire timeout nanoseconds from now unless it does so earlier already.
func (r *Request) NarrowDeadline(timeout int64) {
	if timeout <= 0 {
		return
	}
	if d := Now() + timeout; r.Deadline == 0 || d < r.Deadline {
		r.Deadline = d
	}
}

// Replayable reports whether the request could be sent a second time now. It has no side effect when there is no body;
// otherwise it rewinds the body.
func (r *Request) Replayable() bool {
	return r.Upgrade == "" && (r.Body == nil || r.Body.Rewind())
}

// NewResponse returns the exchange's response, emptied. There is one at a time: the one before must be closed.
func (r *Request) NewResponse() *Response {
	resp := &r.resp
	resp.reset()
	resp.req, resp.open = r, true
	return resp
}

// OpenResponse returns the exchange's response while it is not closed, and nil otherwise. Listeners use it to end an exchange
// whose Handler panicked.
func (r *Request) OpenResponse() *Response {
	if !r.resp.open {
		return nil
	}
	return &r.resp
}

// Reset makes r ready for the next exchange. Only its owner calls it, after the response is closed.
func (r *Request) Reset() {
	header, trailer, params, arena := r.Header, r.Trailer, r.Params, r.Arena
	header.Reset()
	trailer.Reset()
	arena.Reset()
	r.resp.reset()
	resp := r.resp
	*r = Request{Header: header, Trailer: trailer, Params: params[:0], Arena: arena}
	r.resp = resp
}
