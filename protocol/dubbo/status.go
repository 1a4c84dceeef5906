package dubbo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
)

// Parts of the texts that come with a status, where the status alone says too little.
const (
	textTooLarge         = "Data length too large: "
	textNoSuchMethod     = "No such method"
	textNoSuchMethodJava = "NoSuchMethodException"
	textNotExported      = "Not found exported service"
	textNotUnique        = "Not unique method"
	textCannotDecode     = "Fail to decode request"
)

// statusError says what an answer with a status other than 20 means to the HTTP client. text is the provider's own
// message; it holds Java stack traces and class names, so it is only ever a cause, for logs. size is the length of the
// request's body.
func statusError(status byte, text string, size int) *protocol.Error {
	e := &protocol.Error{Status: 502, Code: protocol.CodeUpstreamProtocol, Message: "the provider could not handle the call"}
	switch status {
	case frame.StatusSerialization, frame.StatusBadResponse:
		// 3.3 answers 25 and 2.7 answers 50 when a result exceeds the provider's limit or cannot be encoded. A request over
		// its limit is answered the same way; only the length in the text tells them apart.
		_, after, tooLarge := strings.Cut(text, textTooLarge)
		switch {
		case tooLarge && leadingNumber(after) == size:
			e.Status, e.Code, e.Message = 413, protocol.CodeBodyTooLarge, "the call is larger than the provider accepts"
		case tooLarge:
			e.Message = "the result is larger than the provider allows"
		default:
			e.Message = "the provider could not encode its result"
		}
	case frame.StatusClientTimeout, frame.StatusServerTimeout:
		e.Status, e.Code, e.Message = 504, protocol.CodeUpstreamTimeout, "the provider did not finish in time"
	case frame.StatusChannelInactive:
		e.Code, e.Message = protocol.CodeUpstreamReset, "the provider is closing the connection"
	case frame.StatusServiceNotFound:
		e.Code, e.Message = protocol.CodeServiceMismatch, "the provider does not export the service"
	case frame.StatusBadRequest:
		// A service or a version that is not exported is answered with 40 by Dubbo 3: it cannot find the types to decode with.
		if strings.Contains(text, textCannotDecode) {
			e.Code, e.Message = protocol.CodeServiceMismatch, "the provider does not export the service in this version"
		} else {
			e.Message = "the provider could not read the call"
		}
	case frame.StatusServiceError:
		switch {
		case strings.Contains(text, textNotExported):
			e.Code, e.Message = protocol.CodeServiceMismatch, "the provider does not export the service in this group and version"
		case strings.Contains(text, textNoSuchMethod), strings.Contains(text, textNoSuchMethodJava):
			e.Code, e.Message = protocol.CodeServiceMismatch, "the provider does not know a method with these parameter types"
		case strings.Contains(text, textNotUnique):
			e.Code, e.Message = protocol.CodeNoDefinition, "the method is overloaded: name its parameter types in the route"
		default:
			// Conversions that this side did not foresee. Nothing tells them from a failure inside Dubbo itself.
			e.Message = "the provider could not convert the arguments of the call"
		}
	case frame.StatusThreadPoolExhausted:
		// Refused before it ran, so that another instance may be asked.
		e.Status, e.Code, e.Message, e.NotSent = 503, protocol.CodeUpstreamBusy, "the provider has no thread free", true
	case frame.StatusServerError, frame.StatusClientError:
		e.Message = "the provider failed while handling the call"
	}
	e.Cause = fmt.Errorf("dubbo status %d: %s", status, firstLines(text))
	return e
}

// leadingNumber reads the decimal number that s begins with.
func leadingNumber(s string) int {
	n := 0
	for i := 0; i < len(s) && i < 10 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// firstLines keeps the useful head of a message that goes on with a stack trace.
func firstLines(text string) string {
	const most = 2000
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// Why a connection is not to be used.
var (
	errClosed        = errors.New("connection is closed")
	errClientClosed  = errors.New("client is closed")
	errNoAnswer      = errors.New("provider has not answered three heartbeats")
	errBacklog       = errors.New("provider does not take what is sent")
	errTooManyCalls  = errors.New("too many calls wait for the instance")
	errAnswerTooLong = errors.New("answer is longer than the limit")
	errSilent        = errors.New("provider did not answer before the deadline")
)

func connectError(cause error) *protocol.Error {
	return &protocol.Error{Status: 502, Code: protocol.CodeUpstreamConnect, Message: "no connection to the provider could be made", Cause: cause, NotSent: true}
}

// resetError is the answer of a call whose connection broke. Unless notSent it may have run.
func resetError(cause error, notSent bool) *protocol.Error {
	return &protocol.Error{Status: 502, Code: protocol.CodeUpstreamReset, Message: "the connection to the provider broke", Cause: cause, NotSent: notSent}
}

func timeoutError(cause error) *protocol.Error {
	return &protocol.Error{Status: 504, Code: protocol.CodeUpstreamTimeout, Message: "the provider did not answer in time", Cause: cause}
}

// goneError is for a context that ended first. Exchanges end theirs when the client leaves; other callers may have put a
// deadline into it.
func goneError(cause error) *protocol.Error {
	if errors.Is(cause, context.DeadlineExceeded) {
		return timeoutError(cause)
	}
	return &protocol.Error{Status: 499, Code: protocol.CodeClientGone, Message: "the client left", Cause: cause}
}

func overloadedError(cause error) *protocol.Error {
	return &protocol.Error{Status: 503, Code: protocol.CodeOverloaded, Message: "too many calls wait for this instance", Cause: cause, NotSent: true}
}

func tooLargeError(size, limit int) *protocol.Error {
	return &protocol.Error{
		Status: 413, Code: protocol.CodeBodyTooLarge, Message: "the call is larger than providers accept",
		Cause: fmt.Errorf("encoded call of %d bytes exceeds %d", size, limit), NotSent: true,
	}
}

func invalidAnswer(cause error) *protocol.Error {
	return &protocol.Error{Status: 502, Code: protocol.CodeUpstreamProtocol, Message: "the provider's answer cannot be read", Cause: cause}
}
