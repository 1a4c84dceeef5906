package grpc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

const (
	contentType = "application/grpc"
	protoType   = "application/grpc+proto"
)

var (
	errDescriptorsClosed = errors.New("the descriptors are given up")
	errNotYetRead        = errors.New("the descriptors have not been read yet")
	errNoStatus          = errors.New("the answer ended without a status")
)

// IsCall reports whether a request is a gRPC call as it stands: not gRPC-Web, nor another protocol's.
func IsCall(req *protocol.Request) bool { return isGRPC(req.Header.Value(protocol.NameContentType)) }

func isGRPC(mediaType string) bool {
	rest, ok := strings.CutPrefix(mediaType, contentType)
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// setCallHeader gives a request the fields of a call.
func setCallHeader(h *protocol.Header) {
	h.DelKnown(protocol.NameContentType)
	h.AddKnown(protocol.NameContentType, "content-type", protoType)
	h.DelKnown(protocol.NameTE)
	h.AddKnown(protocol.NameTE, "te", "trailers")
	h.Set(fieldAcceptEncoding, "identity,gzip")
	h.Del(fieldEncoding)
}

// StatusError is a call that ended with another status than OK.
type StatusError struct{ Status Status }

func (e *StatusError) Error() string { return e.Status.Code.String() + ": " + e.Status.Message }

// callFailure looks at the head of an answer and returns what it says of a failure: an answer that is no gRPC, or one that
// is over already.
func callFailure(resp *protocol.Response) error {
	if s, ok := ReadStatus(&resp.Header); ok && (s.Code != OK || resp.Body == nil) {
		if s.Code == OK {
			return nil
		}
		return &StatusError{s}
	}
	if resp.Status != 200 || !isGRPC(resp.Header.Value(protocol.NameContentType)) {
		return &StatusError{statusOfHTTP(resp)}
	}
	return nil
}

// statusOfHTTP is the status of an answer that is no gRPC.
func statusOfHTTP(resp *protocol.Response) Status {
	if resp.Status == 200 {
		return Status{Code: Unknown, Message: fmt.Sprintf("the answer is %q, not gRPC", resp.Header.Value(protocol.NameContentType))}
	}
	return Status{Code: CodeOfHTTP(resp.Status), Message: fmt.Sprintf("the answer is HTTP status %d, not gRPC", resp.Status)}
}
