package grpc

import (
	"strconv"

	"github.com/sluice-gateway/sluice/protocol"
)

// Code is a gRPC status code (statuscodes.md of the gRPC documentation).
type Code uint32

// The codes.
const (
	OK Code = iota
	Canceled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
	numCodes
)

// codeTable is indexed by Code: the name of google.rpc.Code, Connect's name, and the HTTP status that google/rpc/code.proto
// gives for it.
var codeTable = [numCodes]struct {
	name, connect string
	http          int
}{
	OK:                 {"OK", "", 200},
	Canceled:           {"CANCELLED", "canceled", 499},
	Unknown:            {"UNKNOWN", "unknown", 500},
	InvalidArgument:    {"INVALID_ARGUMENT", "invalid_argument", 400},
	DeadlineExceeded:   {"DEADLINE_EXCEEDED", "deadline_exceeded", 504},
	NotFound:           {"NOT_FOUND", "not_found", 404},
	AlreadyExists:      {"ALREADY_EXISTS", "already_exists", 409},
	PermissionDenied:   {"PERMISSION_DENIED", "permission_denied", 403},
	ResourceExhausted:  {"RESOURCE_EXHAUSTED", "resource_exhausted", 429},
	FailedPrecondition: {"FAILED_PRECONDITION", "failed_precondition", 400},
	Aborted:            {"ABORTED", "aborted", 409},
	OutOfRange:         {"OUT_OF_RANGE", "out_of_range", 400},
	Unimplemented:      {"UNIMPLEMENTED", "unimplemented", 501},
	Internal:           {"INTERNAL", "internal", 500},
	Unavailable:        {"UNAVAILABLE", "unavailable", 503},
	DataLoss:           {"DATA_LOSS", "data_loss", 500},
	Unauthenticated:    {"UNAUTHENTICATED", "unauthenticated", 401},
}

// String is the name in google.rpc.Code, or the number of a code that has none.
func (c Code) String() string {
	if c < numCodes {
		return codeTable[c].name
	}
	return strconv.FormatUint(uint64(c), 10)
}

// HTTPStatus is the HTTP status that stands for c (google/rpc/code.proto). A code that nobody has defined is 500, as UNKNOWN.
func (c Code) HTTPStatus() int {
	if c < numCodes {
		return codeTable[c].http
	}
	return 500
}

// CodeOfHTTP is the code of an answer that is no gRPC (http-grpc-status-mapping.md): what a proxy or a web server said.
func CodeOfHTTP(status int) Code {
	switch status {
	case 400, 431:
		return Internal
	case 401:
		return Unauthenticated
	case 403:
		return PermissionDenied
	case 404:
		return Unimplemented
	case 429, 502, 503, 504:
		return Unavailable
	}
	return Unknown
}

// CodeOfError is the code that tells a gRPC client of an error of the gateway. Unlike CodeOfHTTP it knows what happened.
func CodeOfError(e *protocol.Error) Code {
	switch e.Code {
	case protocol.CodeBadRequest, protocol.CodeBadArgument:
		return InvalidArgument
	case protocol.CodeNoRoute, protocol.CodeMethodNotAllowed, protocol.CodeServiceMismatch, protocol.CodeUnsupported:
		return Unimplemented
	case protocol.CodeRequestTimeout, protocol.CodeUpstreamTimeout:
		return DeadlineExceeded
	case protocol.CodeBodyTooLarge, protocol.CodeURITooLong, protocol.CodeHeadersTooLarge, protocol.CodeFlowLimited:
		return ResourceExhausted
	case protocol.CodeClientGone:
		return Canceled
	case protocol.CodeNoInstance, protocol.CodeUpstreamConnect, protocol.CodeUpstreamReset, protocol.CodeUpstreamBusy,
		protocol.CodeOverloaded, protocol.CodeShuttingDown:
		return Unavailable
	case protocol.CodeUpstreamProtocol, protocol.CodeNoDefinition, protocol.CodeInternal:
		return Internal
	case protocol.CodeUpstreamException:
		return Unknown
	}
	// Codes that filters bring: their HTTP status is all that is known of them.
	switch e.Status {
	case 400, 405, 406, 411, 415, 416, 417, 422:
		return InvalidArgument
	case 401, 407:
		return Unauthenticated
	case 403:
		return PermissionDenied
	case 404:
		return Unimplemented
	case 409:
		return Aborted
	case 412, 428:
		return FailedPrecondition
	case 408, 504:
		return DeadlineExceeded
	case 413, 414, 429, 431:
		return ResourceExhausted
	case 499:
		return Canceled
	case 501:
		return Unimplemented
	case 502, 503:
		return Unavailable
	}
	return Internal
}
