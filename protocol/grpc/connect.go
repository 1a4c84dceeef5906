package grpc

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-gateway/sluice/protocol"
)

const (
	fieldConnect        = "connect-protocol-version"
	fieldConnectTimeout = "connect-timeout-ms"
	connectProto        = "application/proto"
)

// isConnect reports whether a request is a unary call of the Connect protocol. The version must be said: without it a
// request is JSON over HTTP like any other.
func isConnect(req *protocol.Request) bool {
	if v, ok := req.Header.Lookup(fieldConnect); !ok || v != "1" || req.Method != "POST" {
		return false
	}
	mediaType := req.Header.Value(protocol.NameContentType)
	return isJSON(mediaType) || protocol.EqualFold(mediaType, connectProto)
}

// applyConnectTimeout narrows the deadline to connect-timeout-ms.
func applyConnectTimeout(req *protocol.Request) error {
	text, ok := req.Header.Lookup(fieldConnectTimeout)
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || len(text) > 10 {
		return &protocol.Error{Status: 400, Code: protocol.CodeBadRequest, Message: fieldConnectTimeout + " is not valid", NotSent: true}
	}
	req.NarrowDeadline(max(int64(n)*int64(time.Millisecond), 1))
	req.Header.Del(fieldConnectTimeout)
	return nil
}

// Connect turns unary calls of the Connect protocol with protobuf bodies (https://connectrpc.com/docs/protocol) into gRPC.
// limit bounds a message in bytes; 0 is DefaultMessageLimit. Those with JSON need to know the messages and are the
// Transcoder's; everything else passes untouched.
func Connect(limit int) protocol.Filter {
	if limit <= 0 {
		limit = DefaultMessageLimit
	}
	return func(target protocol.Handler) protocol.Handler {
		return protocol.HandlerFunc(func(ctx context.Context, req *protocol.Request) (*protocol.Response, error) {
			if !isConnect(req) || isJSON(req.Header.Value(protocol.NameContentType)) {
				return target.Serve(ctx, req)
			}
			resp, err := sendConnect(ctx, req, target, limit)
			req.Header.Set("content-type", connectProto) // whoever renders an error asks for it
			if err == nil {
				resp, err = answerConnect(resp, limit)
			}
			if err != nil {
				return nil, late(err, req.Deadline)
			}
			return resp, nil
		})
	}
}

func sendConnect(ctx context.Context, req *protocol.Request, target protocol.Handler, limit int) (*protocol.Response, error) {
	if err := applyConnectTimeout(req); err != nil {
		return nil, err
	}
	if err := PassTimeout(req); err != nil {
		return nil, err
	}
	encoding := req.Header.Value(protocol.NameContentEncoding)
	if encoding != "" && encoding != identityEncoding && encoding != gzipEncoding {
		return nil, &protocol.Error{Status: 501, Code: protocol.CodeUnsupported, Message: "the content-encoding is not supported", NotSent: true}
	}
	frame, err := protocol.ReadAll(make([]byte, prefixLen, 512), req.Body, int64(limit))
	if err != nil {
		return nil, err
	}
	flags := byte(0)
	if encoding == gzipEncoding {
		flags = flagCompressed
	}
	putPrefix(frame, flags, len(frame)-prefixLen)
	h := &req.Header
	setCallHeader(h)
	h.Set(fieldAcceptEncoding, identityEncoding)
	if flags != 0 {
		h.Set(fieldEncoding, gzipEncoding)
	}
	h.DelKnown(protocol.NameAccept)
	h.DelKnown(protocol.NameAcceptEncoding)
	h.DelKnown(protocol.NameContentEncoding)
	h.DelKnown(protocol.NameExpect)
	was, length := req.Body, req.ContentLength
	req.Body, req.ContentLength = protocol.NewBytes(frame), protocol.UnknownLength
	defer func() { req.Body, req.ContentLength = was, length }()
	return target.Serve(ctx, req)
}

// answerConnect makes the answer one of Connect.
func answerConnect(resp *protocol.Response, limit int) (*protocol.Response, error) {
	if s, ok := ReadStatus(&resp.Header); ok && s.Code != OK {
		respondConnect(resp, s)
		return resp, nil
	}
	if resp.Status != 200 || !isGRPC(resp.Header.Value(protocol.NameContentType)) {
		respondConnect(resp, statusOfHTTP(resp))
		return resp, nil
	}
	m := messages{pool: new(inflaters)}
	m.reset(resp.Body, limit, resp.Header.Get(fieldEncoding))
	defer m.release()
	var content []byte
	message, err := m.next()
	if err == nil {
		content = append(content, message...)
		if _, err = m.next(); err == nil {
			err = errOneMessage
		}
	} else if errors.Is(err, io.EOF) && statusAtEnd(resp) == nil {
		err = errNoMessage
	}
	if errors.Is(err, io.EOF) {
		err = statusAtEnd(resp)
	}
	var failed *StatusError
	switch {
	case errors.As(err, &failed):
		trailersToHead(resp)
		respondConnect(resp, failed.Status)
		return resp, nil
	case err != nil:
		err = answerError(err)
		resp.Fail(err)
		_ = resp.Close()
		return nil, err
	}
	trailersToHead(resp)
	cleanHead(&resp.Header)
	resp.Header.AddKnown(protocol.NameContentType, "content-type", connectProto)
	replaceBody(resp, content)
	return resp, nil
}

// trailersToHead gives trailing metadata the names that Connect has for it.
func trailersToHead(resp *protocol.Response) {
	DelStatus(&resp.Trailer)
	for i := range resp.Trailer.Len() {
		f := resp.Trailer.At(i)
		resp.Header.Add("trailer-"+strings.Clone(f.Name), strings.Clone(f.Value))
	}
	resp.Trailer.Reset()
}

// cleanHead removes what belongs to gRPC's framing.
func cleanHead(h *protocol.Header) {
	h.Del(fieldEncoding)
	h.Del(fieldAcceptEncoding)
	DelStatus(h)
	h.DelKnown(protocol.NameContentType)
}

// replaceBody gives resp a body in memory; the one before is closed with the exchange.
func replaceBody(resp *protocol.Response, content []byte) {
	b := &replacedBody{inner: resp.Body}
	b.SetBytes(content)
	resp.Body, resp.ContentLength = b, int64(len(content))
}

type replacedBody struct {
	protocol.Bytes
	inner protocol.Body
}

// Close implements protocol.Body.
func (b *replacedBody) Close() error {
	_ = b.Bytes.Close()
	if b.inner == nil {
		return nil
	}
	return b.inner.Close()
}

// respondConnect makes resp the error document of a status.
func respondConnect(resp *protocol.Response, s Status) {
	cleanHead(&resp.Header)
	resp.Header.AddKnown(protocol.NameContentType, "content-type", "application/json")
	resp.Status = s.Code.HTTPStatus()
	replaceBody(resp, appendConnectError(nil, &s))
}

// appendConnectError appends Connect's error document.
func appendConnectError(dst []byte, s *Status) []byte {
	name := codeTable[Unknown].connect
	if s.Code > OK && s.Code < numCodes {
		name = codeTable[s.Code].connect
	}
	dst = append(dst, `{"code":"`...)
	dst = append(dst, name...)
	dst = append(dst, '"')
	if s.Message != "" {
		dst = append(dst, `,"message":`...)
		dst = protocol.AppendJSONString(dst, s.Message)
	}
	details := new(status.Status)
	if len(s.Details) > 0 && proto.Unmarshal(s.Details, details) == nil && len(details.GetDetails()) > 0 {
		dst = append(dst, `,"details":[`...)
		for i, d := range details.GetDetails() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"type":`...)
			dst = protocol.AppendJSONString(dst, string(nameOfURL(d.GetTypeUrl())))
			dst = append(dst, `,"value":"`...)
			dst = base64.RawStdEncoding.AppendEncode(dst, d.GetValue())
			dst = append(dst, `"}`...)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}
