package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/sluice-gateway/sluice/protocol/dubbo/frame"
	"github.com/sluice-gateway/sluice/protocol/dubbo/hessian"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// request is a generic call, decoded.
type request struct {
	key    key
	method string
	params []string
	// anyTypes is true when the client sent null instead of parameter types.
	anyTypes bool
	args     []json.RawMessage
}

// readRequest reads the body of a request: the protocol's version, path, service version, method, its types, the
// arguments, and a map of attachments.
func readRequest(body []byte) (*request, error) {
	var d hessian.Decoder
	d.Reset(body, hessian.Options{})
	var head [5]string
	for i := range head {
		text, ok, err := d.AppendText(nil)
		if err != nil {
			return nil, err
		}
		if ok {
			head[i] = string(text)
		}
	}
	if head[3] != frame.GenericMethod && head[3] != frame.GenericMethod+"Async" {
		return nil, fmt.Errorf("only generic calls are served, not %s", head[3])
	}
	r := &request{key: key{path: head[1], version: head[2]}}
	for _, into := range []any{&r.method, &r.params, &r.args} {
		value, err := d.AppendJSON(nil)
		if err == nil {
			err = json.Unmarshal(value, into)
		}
		if err != nil {
			return nil, fmt.Errorf("arguments of %s: %w", head[3], err)
		}
	}
	r.anyTypes = r.params == nil
	return r, r.readAttachments(&d)
}

func (r *request) readAttachments(d *hessian.Decoder) error {
	if err := d.EnterMap(); err != nil {
		return err
	}
	for d.Entry() {
		name, _, err := d.AppendText(nil)
		if err != nil {
			return err
		}
		value, _, err := d.AppendText(nil)
		if err != nil {
			return err
		}
		if string(name) == "group" {
			r.key.group = string(value)
		}
	}
	return nil
}

// bound is a method with its service.
type bound struct {
	*method
	service *service
}

// find gives the method that a request names, or says what is missing in the words of Java providers.
func (s *Server) find(r *request) (bound, error) {
	svc := s.services[r.key]
	if svc == nil {
		return bound{}, fmt.Errorf("Not found exported service: %s, group %q, version %q", r.key.path, r.key.group, r.key.version) //nolint:staticcheck // clients look for this text
	}
	var found *method
	for _, m := range svc.methods[r.method] {
		if !r.anyTypes && !slices.Equal(m.erased, r.params) {
			continue
		}
		if found != nil {
			return bound{}, fmt.Errorf("Not unique method for method name(%s), please use the parameter types", r.method) //nolint:staticcheck // clients look for this text
		}
		found = m
	}
	switch {
	case found == nil:
		return bound{}, fmt.Errorf("No such method %s%v in %s", r.method, r.params, r.key.path) //nolint:staticcheck // clients look for this text
	case len(r.args) != len(found.Params):
		return bound{}, fmt.Errorf("%d arguments for the %d parameters of %s", len(r.args), len(found.Params), r.method)
	}
	return bound{found, svc}, nil
}

// answer calls the method and encodes what became of it.
func (s *Server) answer(m bound, r *request) []byte {
	body, err := s.result(m, r)
	if err != nil {
		var thrown *Exception
		if !errors.As(err, &thrown) {
			thrown = &Exception{Class: "java.lang.RuntimeException", Message: err.Error()}
		}
		body = appendException(hessian.AppendInt(nil, frame.Exception+frame.Attached), thrown)
	}
	body = hessian.AppendMapStart(body)
	body = hessian.AppendString(body, "dubbo")
	body = hessian.AppendString(body, frame.Version)
	return hessian.AppendMapEnd(body)
}

// result gives the answer's body up to its attachments: maps, lists and scalars, as all generic calls have.
func (s *Server) result(m bound, r *request) ([]byte, error) {
	result, err := s.call(m, r.args)
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	if string(value) == "null" {
		return hessian.AppendInt(nil, frame.Null+frame.Attached), nil
	}
	var e types.Encoder
	body, _, err := e.AppendJSON(hessian.AppendInt(nil, frame.Value+frame.Attached), m.service.object, value)
	return body, err
}

// call keeps a method that panics from taking the other calls with it.
func (s *Server) call(m bound, args []json.RawMessage) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Logger.Error("method panicked", "service", m.service.Interface, "method", m.Name, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return m.Call(s.ctx, args)
}

// appendException appends what Java providers make of an exception in a generic call.
func appendException(dst []byte, e *Exception) []byte {
	dst = hessian.AppendString(append(dst, 'C'), "com.alibaba.dubbo.rpc.service.GenericException")
	dst = hessian.AppendInt(dst, 2)
	dst = hessian.AppendString(dst, "exceptionClass")
	dst = hessian.AppendString(dst, "exceptionMessage")
	dst = append(dst, 0x60) // an object of the class just defined
	dst = hessian.AppendString(dst, e.Class)
	return hessian.AppendString(dst, e.Message)
}
