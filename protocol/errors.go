package protocol

import (
	"errors"
	"strconv"
	"time"
)

// Code names what went wrong and who is at fault. Codes are stable: clients and alerts may rely on them.
// docs/guide/errors.md lists them all and a test keeps the two in step.
type Code string

// The client's fault.
const (
	CodeBadRequest       Code = "bad_request"        // 400: the message is not valid HTTP
	CodeBadArgument      Code = "bad_argument"       // 400: an argument has the wrong shape; the detail names its path
	CodeNoRoute          Code = "no_route"           // 404: no route matches
	CodeMethodNotAllowed Code = "method_not_allowed" // 405: the path matches with another method
	CodeRequestTimeout   Code = "request_timeout"    // 408: the client was too slow to send its request
	CodeBodyTooLarge     Code = "body_too_large"     // 413
	CodeURITooLong       Code = "uri_too_long"       // 414
	CodeHeadersTooLarge  Code = "headers_too_large"  // 431
	CodeClientGone       Code = "client_gone"        // 499: the client left; nobody reads this answer, logs do
)

// A limit's doing.
const (
	CodeFlowLimited Code = "flow_limited" // 429: a flow control rule said no
	CodeOverloaded  Code = "overloaded"   // 503: the gateway's own limits are reached
)

// The upstream's fault, or the way to it.
const (
	CodeNoInstance        Code = "no_instance"          // 503: the registry knows no usable instance
	CodeUpstreamConnect   Code = "upstream_connect"     // 502: no connection could be made
	CodeUpstreamReset     Code = "upstream_reset"       // 502: the connection broke before the answer was whole
	CodeUpstreamProtocol  Code = "upstream_protocol"    // 502: the answer is not valid
	CodeUpstreamTimeout   Code = "upstream_timeout"     // 504: no answer in time
	CodeUpstreamBusy      Code = "upstream_busy"        // 503: the instance refused for lack of capacity
	CodeUpstreamException Code = "upstream_exception"   // 500: the service threw an application exception
	CodeServiceMismatch   Code = "upstream_no_service"  // 502: the instance does not know the service or method
	CodeNoDefinition      Code = "no_method_definition" // 502: parameter types of a Dubbo method are unknown
)

// The gateway's own fault.
const (
	CodeInternal     Code = "internal"      // 500
	CodeShuttingDown Code = "shutting_down" // 503
	CodeUnsupported  Code = "unsupported"   // 501: the request needs what this gateway does not do
)

// Error is the only error a client can see. It is rendered once, at the edge. Message is for the client and holds no
// secret; Cause is for logs.
type Error struct {
	// Status is the HTTP status, 400 to 599.
	Status int
	// Code names the kind of error.
	Code Code
	// Message is one sentence for the client.
	Message string
	// Details are further members of the rendered document, such as the path of a bad argument.
	Details []Detail
	// RetryAfter, if positive, is sent as Retry-After, rounded up to whole seconds.
	RetryAfter time.Duration
	// Allow lists the methods that would have matched, for 405.
	Allow string
	// Fields are further header fields of the answer, such as those that let a browser's script read it.
	Fields []Field
	// CloseConnection tells the listener that the framing of the connection is in doubt.
	CloseConnection bool
	// NotSent is true when nothing of the request had been handed to an instance: it did not run anywhere, so it is safe
	// to try elsewhere, whatever the method. False means maybe.
	NotSent bool
	// Cause is the inner error, for logs only.
	Cause error
}

// Detail is one extension member of a problem document (RFC 9457 section 3.2).
type Detail struct {
	Name, Value string
}

// Error implements error with everything a log wants.
func (e *Error) Error() string {
	s := string(e.Code) + " (" + strconv.Itoa(e.Status) + "): " + e.Message
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// With returns a copy of e with a cause.
func (e *Error) With(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// WithDetail returns a copy of e with one more detail.
func (e *Error) WithDetail(name, value string) *Error {
	c := *e
	c.Details = append(append([]Detail(nil), e.Details...), Detail{name, value})
	return &c
}

// NewError makes an Error.
func NewError(status int, code Code, message string) *Error {
	return &Error{Status: status, Code: code, Message: message}
}

// AsError finds the Error in err, or wraps err as an internal error that tells the client nothing.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Status: 500, Code: CodeInternal, Message: "the gateway failed to handle the request", Cause: err}
}
