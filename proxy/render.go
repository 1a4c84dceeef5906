package proxy

import (
	"strconv"
	"time"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/grpc"
)

// render turns the error of an exchange into its answer. It is the only place where a client is told of one.
func render(req *protocol.Request, err error) *protocol.Response {
	e := protocol.AsError(err)
	req.Record.Code, req.Record.Err = e.Code, err
	if grpc.Speaks(req) {
		return grpc.Respond(req, e)
	}
	resp := req.NewResponse()
	resp.Status = e.Status
	resp.Header.AddKnown(protocol.NameContentType, "Content-Type", protocol.ProblemType)
	if e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		resp.Header.AddKnown(protocol.NameRetryAfter, "Retry-After", strconv.FormatInt(seconds, 10))
	}
	if e.Allow != "" {
		resp.Header.Add("Allow", e.Allow)
	}
	for _, f := range e.Fields {
		resp.Header.Add(f.Name, f.Value)
	}
	body := protocol.AppendProblem(nil, e, req.ID)
	resp.Body, resp.ContentLength = protocol.NewBytes(body), int64(len(body))
	return resp
}
