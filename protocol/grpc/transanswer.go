package grpc

import (
	"errors"
	"io"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluice-gateway/sluice/protocol"
)

// answer turns the response into JSON. If it returns an error, resp is closed.
func (c *call) answer(req *protocol.Request, resp *protocol.Response) (*protocol.Response, error) {
	if s, ok := ReadStatus(&resp.Header); ok && s.Code != OK {
		return c.failed(req, resp, s), nil
	}
	if resp.Status != 200 || !isGRPC(resp.Header.Value(protocol.NameContentType)) {
		s := statusOfHTTP(resp)
		return nil, c.refuse(resp, &protocol.Error{
			Status: 502, Code: protocol.CodeUpstreamProtocol, Message: "the service does not answer in gRPC", Cause: &StatusError{s},
		})
	}
	c.answers.reset(resp.Body, c.t.route.MessageLimit, resp.Header.Get(fieldEncoding))
	if c.desc.IsStreamingServer() {
		return c.streamed(req, resp)
	}
	mediaType, err := c.only(resp)
	var failure *StatusError
	switch {
	case errors.As(err, &failure):
		return c.failed(req, resp, failure.Status), nil
	case err != nil:
		return nil, c.refuse(resp, c.answerError(err))
	}
	c.head(resp, mediaType)
	c.give(resp)
	return resp, nil
}

// refuse closes a response because of err.
func (c *call) refuse(resp *protocol.Response, err error) error {
	resp.Fail(err)
	_ = resp.Close()
	return err
}

// only turns the one message of an answer into c.out, and reads its end.
func (c *call) only(resp *protocol.Response) (mediaType string, err error) {
	message, err := c.answers.next()
	switch {
	case errors.Is(err, io.EOF):
		if err := statusAtEnd(resp); err != nil {
			return "", err
		}
		return "", errNoMessage
	case err != nil:
		return "", err
	}
	if c.out, mediaType, err = c.decode(c.out[:0], message); err != nil {
		return "", err
	}
	return mediaType, c.end(resp)
}

// statusAtEnd reads the status from the trailers.
func statusAtEnd(resp *protocol.Response) error {
	s, ok := ReadStatus(&resp.Trailer)
	if !ok {
		s, ok = ReadStatus(&resp.Header)
	}
	switch {
	case !ok:
		return errNoStatus
	case s.Code != OK:
		return &StatusError{s}
	}
	return nil
}

// decode appends a message of the service as JSON, or as what it says it is.
func (c *call) decode(dst, message []byte) (out []byte, mediaType string, err error) {
	if c.binding.out != nil {
		if out, err = c.writer.quick(dst, message, c.binding.out, 0); err == nil {
			return out, "application/json", nil
		}
	}
	m := c.output.New()
	if err := (proto.UnmarshalOptions{AllowPartial: true, Resolver: c.writer.types}).Unmarshal(message, m.Interface()); err != nil {
		return dst, "", err
	}
	if c.response != nil {
		if fd := c.response; fd.Message() == nil || fd.Message().FullName() != httpBody || fd.IsList() {
			out, err = c.writer.field(dst, fd, m.Get(fd), 0)
			return out, "application/json", err
		}
		m = m.Get(c.response).Message()
	}
	if m.Descriptor().FullName() == httpBody {
		out, mediaType = rawBody(dst, m)
		return out, mediaType, nil
	}
	out, err = c.writer.message(dst, m, 0)
	return out, "application/json", err
}

// rawBody appends the content of a google.api.HttpBody.
func rawBody(dst []byte, m protoreflect.Message) (out []byte, mediaType string) {
	fields := m.Descriptor().Fields()
	mediaType = m.Get(fields.ByName("content_type")).String()
	if mediaType == "" || !validField(mediaType) {
		mediaType = "application/octet-stream"
	}
	return append(dst, m.Get(fields.ByName("data")).Bytes()...), mediaType
}

// validField reports whether a text can be the value of a field.
func validField(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return s[0] != ' ' && s[len(s)-1] != ' '
}

// head gives a response the head of the answer; what the service said of itself beside gRPC's fields stays.
func (c *call) head(resp *protocol.Response, mediaType string) {
	if c.connect {
		trailersToHead(resp)
	}
	h := &resp.Header
	cleanHead(h)
	h.AddKnown(protocol.NameContentType, "content-type", mediaType)
	resp.Status = 200
}

// give makes c.out the response's body.
func (c *call) give(resp *protocol.Response) {
	resp.Trailer.Reset()
	c.inner = resp.Body
	a := &wholeAnswer{c: c} // not pooled: somebody may close it twice
	a.SetBytes(c.out)
	resp.Body, resp.ContentLength = a, int64(len(c.out))
}

// wholeAnswer is the body of an answer in memory. The exchange with the service ends with it, so that whoever measures below
// sees it whole.
type wholeAnswer struct {
	protocol.Bytes
	c *call
}

// Close implements protocol.Body.
func (a *wholeAnswer) Close() error {
	c := a.c
	if c == nil {
		return nil
	}
	a.c = nil
	_ = a.Bytes.Close()
	var err error
	if c.inner != nil {
		err = c.inner.Close()
	}
	c.release()
	return err
}

// answerError is the error for an answer that broke off or cannot be used.
func (c *call) answerError(err error) error { return late(answerError(err), c.deadline) }

// answerError is the error for an answer that cannot be turned into JSON.
func answerError(err error) error {
	var known *protocol.Error
	if errors.As(err, &known) {
		return known
	}
	e := &protocol.Error{Status: 502, Code: protocol.CodeUpstreamProtocol, Message: "the answer of the service cannot be read as gRPC", Cause: err}
	var limit *limitError
	if errors.As(err, &limit) {
		e.Message = "the answer of the service is larger than this route allows"
	}
	return e
}
