package grpc

import (
	"context"
	"encoding/base64"

	"github.com/sluice-gateway/sluice/protocol"
)

const (
	webType     = "application/grpc-web"
	webTextType = "application/grpc-web-text"
)

func isWeb(req *protocol.Request) bool {
	_, _, ok := webOf(req.Header.Value(protocol.NameContentType))
	return ok
}

// webOf tells gRPC-Web's media types: what follows the type, and whether its bodies are text.
func webOf(mediaType string) (rest string, text, ok bool) {
	if rest, ok = subtype(mediaType, webTextType); ok {
		return rest, true, true
	}
	rest, ok = subtype(mediaType, webType)
	return rest, false, ok
}

// Web turns gRPC-Web (PROTOCOL-WEB.md) into gRPC: browsers cannot read trailers, so these become the last message of the body.
// Other requests pass untouched. Cross-origin rules are another filter's.
func Web(target protocol.Handler) protocol.Handler {
	return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
		mediaType := req.Header.Value(protocol.NameContentType)
		rest, text, ok := webOf(mediaType)
		if !ok {
			return target.Serve(ctx, req)
		}
		resp, err := sendWeb(ctx, req, target, rest, text)
		req.Header.Set("content-type", mediaType) // whoever renders an error asks for it
		if err != nil {
			return nil, late(err, req.Deadline)
		}
		answerWeb(req, resp, mediaType, text)
		return resp, nil
	})
}

func sendWeb(ctx context.Context, req *protocol.Request, target protocol.Handler, rest string, text bool) (*protocol.Response, error) {
	if err := ApplyTimeout(req); err != nil {
		return nil, err
	}
	if err := PassTimeout(req); err != nil {
		return nil, err
	}
	h := &req.Header
	h.Set("content-type", req.Arena.Concat(contentType, rest))
	h.Set("te", "trailers")
	h.DelKnown(protocol.NameAccept)
	h.Del("x-grpc-web")
	if text && req.Body != nil {
		was, length := req.Body, req.ContentLength
		req.Body, req.ContentLength = &textBody{body: was}, protocol.UnknownLength
		defer func() { req.Body, req.ContentLength = was, length }()
	}
	return target.Serve(ctx, req)
}

// answerWeb makes the answer one of gRPC-Web.
func answerWeb(req *protocol.Request, resp *protocol.Response, mediaType string, text bool) {
	if resp.Status != 200 || !isGRPC(resp.Header.Value(protocol.NameContentType)) {
		retell(resp, statusOfHTTP(resp), mediaType)
		return
	}
	resp.Header.Set("content-type", mediaType)
	if resp.Body == nil {
		return // the status is in the head, where clients look too
	}
	resp.Body, resp.ContentLength = &webAnswer{Body: resp.Body, resp: resp, deadline: req.Deadline, text: text}, protocol.UnknownLength
}

// webAnswer puts the trailers behind the messages, as one more.
type webAnswer struct {
	protocol.Body
	resp     *protocol.Response
	deadline int64
	text     bool
	over     bool
	out      []byte
}

// Next implements protocol.Body.
func (w *webAnswer) Next() ([]byte, bool, error) {
	if w.over {
		return nil, false, nil
	}
	piece, more, err := w.Body.Next()
	if err != nil {
		s := statusOf(err, w.deadline)
		w.resp.Fail(err)
		w.resp.Trailer.Reset()
		s.Append(&w.resp.Trailer)
		piece, more = nil, false
	}
	if more && !w.text {
		return piece, true, nil
	}
	out := w.out[:0]
	if w.text {
		out = base64.StdEncoding.AppendEncode(out, piece)
	} else {
		out = append(out, piece...)
	}
	if !more {
		w.over = true
		trailers := w.trailers()
		if w.text {
			out = base64.StdEncoding.AppendEncode(out, trailers)
		} else {
			out = append(out, trailers...)
		}
	}
	w.out = out
	return out, more, nil
}

// trailers is the message of the trailers.
func (w *webAnswer) trailers() []byte {
	h := &w.resp.Trailer
	if _, ok := h.Lookup(fieldStatus); !ok {
		s := Status{Code: Internal, Message: errNoStatus.Error()}
		s.Append(h)
	}
	out := make([]byte, prefixLen, 128)
	for i := range h.Len() {
		f := h.At(i)
		out = appendLower(out, f.Name)
		out = append(out, ": "...)
		out = append(out, f.Value...)
		out = append(out, "\r\n"...)
	}
	h.Reset()
	putPrefix(out, flagTrailers, len(out)-prefixLen)
	return out
}

func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// Buffered implements protocol.Body.
func (w *webAnswer) Buffered() int {
	if w.over {
		return 0
	}
	if n := w.Body.Buffered(); n > 0 || !w.Body.Done() {
		return n
	}
	return 1 // the trailers
}

// Done implements protocol.Body.
func (w *webAnswer) Done() bool { return w.over }

// Rewind implements protocol.Body.
func (w *webAnswer) Rewind() bool { return false }
