package dubbo

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
)

// answer is the body of a response: JSON in memory that goes back to its client's pool at Close.
type answer struct {
	protocol.Bytes
	json    []byte
	decoder hessian.Decoder
	owner   *answers
}

// keptAnswer is the largest buffer that is kept for the next answer.
const keptAnswer = 256 << 10

// answers pools answers.
type answers struct{ pool sync.Pool }

func (p *answers) get() *answer {
	if a, ok := p.pool.Get().(*answer); ok {
		a.owner = p
		return a
	}
	return &answer{owner: p}
}

// Close implements protocol.Body.
func (a *answer) Close() error {
	p := a.owner
	if p == nil {
		return nil
	}
	a.owner = nil
	a.SetBytes(nil)
	_ = a.Bytes.Close()
	if protocol.Poisoning {
		for i := range a.json {
			a.json[i] = '#'
		}
	}
	if cap(a.json) > keptAnswer {
		a.json = nil
	}
	p.pool.Put(a)
	return nil
}

// respond turns the frame in cl into the response.
func (c *Client) respond(req *protocol.Request, cl *call, inv *Invocation) (*protocol.Response, error) {
	if s := cl.header.Serialization(); s != frame.Hessian2 {
		return nil, invalidAnswer(fmt.Errorf("answer in serialization %d, which was not asked for", s))
	}
	a := c.answers.get()
	void, err := a.read(cl)
	if err != nil {
		_ = a.Close()
		return nil, err
	}
	resp := req.NewResponse()
	if void && inv.void {
		_ = a.Close()
		resp.Status = 204
		return resp, nil
	}
	resp.Status = 200
	resp.Header.AddKnown(protocol.NameContentType, "content-type", "application/json")
	a.SetBytes(a.json)
	resp.Body, resp.ContentLength = a, int64(len(a.json))
	return resp, nil
}

// read decodes the frame in cl into a.json. null is true if the result is one.
func (a *answer) read(cl *call) (null bool, err error) {
	d := &a.decoder
	d.Reset(cl.body, hessian.Options{})
	if cl.header.Status != frame.StatusOK {
		text, _, _ := d.AppendText(nil) // a text that cannot be read leaves the status, which says enough
		return false, statusError(cl.header.Status, string(text), cl.size)
	}
	kind, err := d.Int()
	if err != nil {
		return false, invalidAnswer(err)
	}
	if kind >= frame.Attached {
		kind -= frame.Attached
	}
	switch kind {
	case frame.Value:
		a.json, err = d.AppendJSON(a.json[:0])
	case frame.Null:
		a.json, null = append(a.json[:0], "null"...), true
	case frame.Exception:
		var e hessian.Exception
		if e, err = d.Exception(); err == nil {
			return false, exceptionError(e)
		}
	default:
		err = fmt.Errorf("answer of unknown kind %d", kind)
	}
	if err != nil {
		return false, answerError(err)
	}
	return null, nil
}

// answerError tells an answer that is too large from one that is no hessian2.
func answerError(err error) *protocol.Error {
	e := invalidAnswer(err)
	if errors.Is(err, hessian.ErrTooLarge) {
		e.Message = "the provider's answer is larger than the gateway allows"
	}
	if errors.Is(err, hessian.ErrCycle) {
		e.Message = "the provider's answer contains itself and cannot be written as JSON"
	}
	return e
}

// exceptionError is the answer for an exception of the service itself. Clients see its class and message, never a stack:
// Dubbo puts one into the message of exceptions that the interface does not declare.
func exceptionError(e hessian.Exception) *protocol.Error {
	err := &protocol.Error{
		Status: 500, Code: protocol.CodeUpstreamException, Message: "the service threw an exception",
		Cause: fmt.Errorf("%s: %s", e.Class, firstLines(e.Message)),
	}
	if e.Class != "" {
		err.Details = append(err.Details, protocol.Detail{Name: "exceptionClass", Value: e.Class})
	}
	err.Details = append(err.Details, protocol.Detail{Name: "exceptionMessage", Value: withoutStack(e.Message)})
	return err
}

// withoutStack cuts a message where a Java stack trace begins.
func withoutStack(message string) string {
	if i := strings.Index(message, "\n\tat "); i >= 0 {
		message = strings.TrimRight(message[:i], "\r\n")
	}
	return message
}
