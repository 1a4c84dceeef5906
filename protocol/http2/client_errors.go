package http2

import (
	"errors"

	"github.com/sluice-gateway/sluice/protocol"
)

// attemptError is the Cause of the errors that Client.Serve returns about an instance: what logs want to know and clients
// must not, its address and the step that failed.
type attemptError struct {
	address string
	step    string
	err     error
}

func (e *attemptError) Error() string { return e.address + ": " + e.step + ": " + e.err.Error() }

func (e *attemptError) Unwrap() error { return e.err }

// messageError is an answer that breaks the rules.
type messageError struct{ text string }

func (e *messageError) Error() string { return e.text }

// bodyError is a request that could not be sent whole for a reason that lies in its body.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "send body: " + e.err.Error() }

func (e *bodyError) Unwrap() error { return e.err }

// idempotent reports whether executing a request of this method twice equals executing it once (RFC 9110 section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// The causes that the client itself finds.
var (
	errClientClosed = errors.New("client is closed")
	errBusy         = errors.New("too many requests wait for a connection")
	errBadTarget    = errors.New("the request target is not valid")
	errAnswerLate   = errors.New("no answer in time")
	errNoConnection = errors.New("no connection in time")
	errBodyStalled  = errors.New("no progress in time")
	errNoALPN       = errors.New("the instance does not speak HTTP/2: ALPN did not choose h2")
	errNoConnect    = errors.New("the instance does not support extended CONNECT (RFC 8441)")
	errGone         = errors.New("the client is gone")
)

// failure makes the errors of this file. notSent must be false as soon as the instance may have looked at the request.
func (c *Client) failure(status int, code protocol.Code, message, step string, notSent bool, err error) *protocol.Error {
	return &protocol.Error{
		Status: status, Code: code, Message: message, NotSent: notSent,
		Cause: &attemptError{address: c.cfg.Address, step: step, err: err},
	}
}

func (c *Client) connectFailure(err error) *protocol.Error {
	return c.failure(502, protocol.CodeUpstreamConnect, "the service could not be reached", "connect", true, err)
}

func (c *Client) busyFailure() *protocol.Error {
	return c.failure(503, protocol.CodeUpstreamBusy, "the service has no capacity left", "wait for a connection", true, errBusy)
}

func (c *Client) timeout(step string, notSent bool, err error) *protocol.Error {
	return c.failure(504, protocol.CodeUpstreamTimeout, "the service did not answer in time", step, notSent, err)
}

func (c *Client) clientGone(step string, notSent bool) *protocol.Error {
	return c.failure(499, protocol.CodeClientGone, "the client left before the answer", step, notSent, errGone)
}

// unsendable refuses a request that a filter of ours spoiled.
func (c *Client) unsendable(err error) *protocol.Error {
	return c.failure(500, protocol.CodeInternal, "the gateway failed to handle the request", "write head", true, err)
}

// judge refuses a request that must not be put on the wire.
func (c *Client) judge(req *protocol.Request) error {
	switch {
	case !validToken(req.Method) || req.Path == "" || req.Path[0] != '/' && req.Path != "*" ||
		!validTarget(req.Path) || req.RawQuery != "" && !validTarget(req.RawQuery):
		return c.unsendable(errBadTarget)
	case req.Authority != "" && !validTarget(req.Authority):
		return c.unsendable(errBadTarget)
	case !sendable(&req.Header):
		return c.unsendable(errBadField)
	}
	return nil
}

// explain turns what ended a stream into what the caller is told. step says what it was doing.
func (c *Client) explain(step string, err error) error {
	var reset *resetError
	var away *goAwayError
	var message *messageError
	var body *bodyError
	var timeout *protocol.Error
	switch {
	case errors.As(err, &body):
		return c.bodyFailure(body.err)
	case errors.As(err, &timeout):
		return timeout
	case errors.As(err, &message):
		return c.failure(502, protocol.CodeUpstreamProtocol, "the answer of the service is not valid HTTP", step, false, err)
	case errors.As(err, &away):
		return c.failure(502, protocol.CodeUpstreamReset, "the service ended the connection", step, true, err)
	case errors.Is(err, errGone):
		return c.clientGone(step, false)
	case errors.As(err, &reset) && !reset.ours && reset.code == RefusedStream:
		return c.failure(503, protocol.CodeUpstreamBusy, "the service has no capacity left", step, true, err)
	case errors.As(err, &reset) && reset.ours:
		return c.failure(502, protocol.CodeUpstreamProtocol, "the answer of the service is not valid HTTP", step, false, err)
	case errors.As(err, &reset):
		return c.failure(502, protocol.CodeUpstreamReset, "the service gave the request up", step, false, err)
	}
	return c.failure(502, protocol.CodeUpstreamReset, "the connection to the service broke", step, false, err)
}

// bodyFailure makes an error of what ended a request's body: the listener's own error, or a body that is not what it
// announced.
func (c *Client) bodyFailure(err error) error {
	var e *protocol.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, protocol.ErrBodyClosed):
		return c.clientGone("send body", false)
	case errors.Is(err, errWriteStalled):
		return c.timeout("send body", false, errBodyStalled)
	}
	return c.failure(500, protocol.CodeInternal, "the gateway failed to handle the request", "send body", false, err)
}
