package http1

import (
	"context"
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
	errEarlyEnd     = errors.New("connection ended")
	errBadField     = errors.New("a header field set by a filter is not valid")
	errBadTarget    = errors.New("the request target is not valid")
	errAnswerLate   = errors.New("no answer in time")
	errNoConnection = errors.New("no connection in time")
	errBodyStalled  = errors.New("no progress in time")
	errManyInterims = errors.New("too many interim answers")
	errUnasked      = errors.New("upgrade that was not asked for")
)

// failure makes the errors of this file. notSent must be false as soon as a byte of the request may have reached the
// instance.
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

func (c *Client) reset(step string, err error) *protocol.Error {
	return c.failure(502, protocol.CodeUpstreamReset, "the connection to the service broke", step, false, err)
}

func (c *Client) malformed(step string, err error) *protocol.Error {
	return c.failure(502, protocol.CodeUpstreamProtocol, "the answer of the service is not valid HTTP", step, false, err)
}

// clientGone is the end of an exchange whose client left: ctx says so.
func (c *Client) clientGone(ctx context.Context, step string, notSent bool) *protocol.Error {
	return c.failure(499, protocol.CodeClientGone, "the client left before the answer", step, notSent, context.Cause(ctx))
}

// unsendable refuses a request that a filter of ours spoiled.
func (c *Client) unsendable(err error) *protocol.Error {
	return c.failure(500, protocol.CodeInternal, "the gateway failed to handle the request", "write head", true, err)
}
