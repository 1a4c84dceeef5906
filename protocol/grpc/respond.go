package grpc

import (
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Speaks reports whether a client wants errors as a status of gRPC, gRPC-Web or Connect: Respond makes that.
func Speaks(req *protocol.Request) bool { return IsCall(req) || isWeb(req) || isConnect(req) }

// Respond turns an error of the gateway into the answer that a client of gRPC, gRPC-Web or Connect understands: a status in
// the head and nothing behind it ("Trailers-Only"), or Connect's error document. The exchange's response must be closed.
func Respond(req *protocol.Request, e *protocol.Error) *protocol.Response {
	s := Status{Code: CodeOfError(e), Message: e.Message}
	resp := req.NewResponse()
	if isConnect(req) {
		respondConnect(resp, s)
	} else {
		mediaType := req.Header.Value(protocol.NameContentType)
		if !IsCall(req) && !isWeb(req) {
			mediaType = contentType
		}
		resp.Status = 200
		resp.Header.AddKnown(protocol.NameContentType, "content-type", mediaType)
		s.Append(&resp.Header)
	}
	for _, f := range e.Fields {
		resp.Header.Add(f.Name, f.Value)
	}
	return resp
}

// retell makes a whole answer of a status, in place of one that is no gRPC. What the exchange has registered stays.
func retell(resp *protocol.Response, s Status, mediaType string) {
	resp.Status = 200
	resp.Header.Reset()
	resp.Header.AddKnown(protocol.NameContentType, "content-type", mediaType)
	s.Append(&resp.Header)
	resp.ContentLength = 0
	if resp.Body != nil {
		_ = resp.Body.Close() // a status in the head is one only if nothing follows
		resp.Body = nil
	}
}

// subtype is what follows a media type: "+proto", with parameters.
func subtype(mediaType, prefix string) (string, bool) {
	if len(mediaType) < len(prefix) || !protocol.EqualFold(mediaType[:len(prefix)], prefix) {
		return "", false
	}
	rest := mediaType[len(prefix):]
	return rest, rest == "" || rest[0] == '+' || rest[0] == ';' || strings.HasPrefix(rest, " ")
}
