package http2

import (
	"errors"
	"fmt"
)

// ErrCode says why a stream or a connection ended (RFC 9113 section 7).
type ErrCode uint32

// The error codes.
const (
	NoError            ErrCode = 0x0
	ProtocolError      ErrCode = 0x1
	InternalError      ErrCode = 0x2
	FlowControlError   ErrCode = 0x3
	SettingsTimeout    ErrCode = 0x4
	StreamClosed       ErrCode = 0x5
	FrameSizeError     ErrCode = 0x6
	RefusedStream      ErrCode = 0x7
	Cancel             ErrCode = 0x8
	CompressionError   ErrCode = 0x9
	ConnectError       ErrCode = 0xa
	EnhanceYourCalm    ErrCode = 0xb
	InadequateSecurity ErrCode = 0xc
	HTTP11Required     ErrCode = 0xd
)

var errCodeNames = [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
	"HTTP_1_1_REQUIRED"}

// String is the name in the RFC.
func (c ErrCode) String() string {
	if int(c) < len(errCodeNames) {
		return errCodeNames[c]
	}
	return fmt.Sprintf("error code %#x", uint32(c))
}

// connError ends a connection: GOAWAY with code and reason, and then the end.
type connError struct {
	code   ErrCode
	reason string
}

func (e *connError) Error() string { return e.code.String() + ": " + e.reason }

func violation(code ErrCode, reason string) *connError { return &connError{code, reason} }

// resetError is a stream that the peer ended with RST_STREAM, or that we did.
type resetError struct {
	code ErrCode
	ours bool
}

func (e *resetError) Error() string {
	if e.ours {
		return "stream was reset: " + e.code.String()
	}
	return "peer reset the stream: " + e.code.String()
}

// goAwayError is a stream that the peer will not look at, or a connection that it ended.
type goAwayError struct {
	code   ErrCode
	reason string
}

func (e *goAwayError) Error() string {
	if e.reason == "" {
		return "peer is going away: " + e.code.String()
	}
	return fmt.Sprintf("peer is going away: %s: %q", e.code, e.reason)
}

var (
	errWriteStalled = errors.New("peer takes nothing")
	errNotWanted    = errors.New("peer wants no more of the body")
	errPingTimeout  = errors.New("peer does not answer a ping")
	errHeadTimeout  = errors.New("a frame or a head did not arrive in time")
)
