package grpc

import (
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-gateway/sluice/protocol"
)

// failed turns a status of the service into the answer. It is the service's own, as an HTTP service's 404 is, and no error of
// the gateway.
func (c *call) failed(req *protocol.Request, resp *protocol.Response, s Status) *protocol.Response {
	if s.Code == Unimplemented {
		c.t.descriptors.hint() // another version may serve there now
	}
	if c.connect {
		c.head(resp, "application/json")
		c.out = appendConnectError(c.out[:0], &s)
	} else {
		c.head(resp, protocol.ProblemType)
		c.out = c.writer.problem(c.out[:0], &s, req.ID)
	}
	resp.Status = s.Code.HTTPStatus()
	c.give(resp)
	return resp
}

// problem appends the problem document of a status.
func (w *writer) problem(dst []byte, s *Status, requestID string) []byte {
	e := protocol.Error{
		Status: s.Code.HTTPStatus(), Code: protocol.CodeUpstreamException, Message: s.Message,
		Details: []protocol.Detail{{Name: "grpcStatus", Value: s.Code.String()}},
	}
	dst = protocol.AppendProblem(dst, &e, requestID)
	details := w.details(s.Details)
	if details == nil {
		return dst
	}
	const end = "}\n"
	dst = append(dst[:len(dst)-len(end)], `,"details":`...)
	dst = append(dst, details...)
	return append(dst, end...)
}

// details writes the details of a status as JSON: those whose types are known, the others by their type alone. It is nil if
// there are none.
func (w *writer) details(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	s := new(status.Status)
	if proto.Unmarshal(raw, s) != nil || len(s.GetDetails()) == 0 {
		return nil
	}
	out := []byte{'['}
	for i, d := range s.GetDetails() {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"@type":`...)
		out = protocol.AppendJSONString(out, d.GetTypeUrl())
		out = w.detail(out, d.GetTypeUrl(), d.GetValue())
		out = append(out, '}')
	}
	return append(out, ']')
}

// detail appends the fields of one detail, behind its type.
func (w *writer) detail(dst []byte, url string, value []byte) []byte {
	t, err := w.types.FindMessageByURL(url)
	if err != nil {
		return dst
	}
	m := t.New()
	if (proto.UnmarshalOptions{AllowPartial: true, Resolver: w.types}).Unmarshal(value, m.Interface()) != nil {
		return dst
	}
	text, err := w.message(nil, m, 0)
	switch {
	case err != nil:
		return dst
	case isWellKnown(t.Descriptor().FullName()):
		return append(append(dst, `,"value":`...), text...)
	case len(text) > len("{}"):
		return append(append(dst, ','), text[1:len(text)-1]...)
	}
	return dst
}
