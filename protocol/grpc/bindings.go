package grpc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sluice-gateway/sluice/protocol/grpc/httprule"
)

// method is a method that can be called.
type method struct {
	desc          protoreflect.MethodDescriptor
	path          string // "/pkg.Service/Method"
	input, output protoreflect.MessageType
}

// bodyRule says what of a message the request's body is.
type bodyRule uint8

const (
	bodyNone  bodyRule = iota
	bodyAll            // "*"
	bodyField          // a field's name
)

// binding is one way of calling a method: an HTTP method and a path template.
type binding struct {
	*method
	httpMethod string
	template   *httprule.Template
	body       bodyRule
	field      protoreflect.FieldDescriptor // of the body, for bodyField
	response   protoreflect.FieldDescriptor // that is the answer; nil for all of the message
	vars       [][]protoreflect.FieldDescriptor
	in, out    *plan // of the body's message and of the answer's; nil if they go the slow way
}

// routes are all bindings of a Schema.
type routes struct {
	schema   *Schema
	router   httprule.Router[*binding]
	bindings []*binding
	plans    plans
	problems []error // bindings that cannot be used
}

// newRoutes reads the annotations of the services that are wanted; all if there are none.
func newRoutes(s *Schema, wanted []string) *routes {
	r := &routes{schema: s}
	for _, service := range s.services {
		if len(wanted) > 0 && !slices.Contains(wanted, string(service.FullName())) {
			continue
		}
		for i := range service.Methods().Len() {
			r.addMethod(service.Methods().Get(i))
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(s.services, func(d protoreflect.ServiceDescriptor) bool { return string(d.FullName()) == name }) {
			r.problem(fmt.Errorf("service %s is not described", name))
		}
	}
	return r
}

func (r *routes) problem(err error) { r.problems = append(r.problems, err) }

func (r *routes) addMethod(d protoreflect.MethodDescriptor) {
	if d.Input().IsPlaceholder() || d.Output().IsPlaceholder() {
		r.problem(fmt.Errorf("%s: its messages are not described", d.FullName()))
		return
	}
	m := &method{
		desc: d, path: "/" + string(d.Parent().FullName()) + "/" + string(d.Name()),
		input: dynamicpb.NewMessageType(d.Input()), output: dynamicpb.NewMessageType(d.Output()),
	}
	// Every method can be called by its own path, whatever else it is annotated with.
	r.add(m, "POST", m.path, "*", "")
	rule, ok := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return
	}
	r.addRule(m, rule)
	for _, more := range rule.GetAdditionalBindings() {
		if len(more.GetAdditionalBindings()) > 0 {
			r.problem(fmt.Errorf("%s: additional_bindings within additional_bindings", d.FullName()))
		}
		r.addRule(m, more)
	}
}

func (r *routes) addRule(m *method, rule *annotations.HttpRule) {
	httpMethod, path := "", ""
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		httpMethod, path = "GET", p.Get
	case *annotations.HttpRule_Put:
		httpMethod, path = "PUT", p.Put
	case *annotations.HttpRule_Post:
		httpMethod, path = "POST", p.Post
	case *annotations.HttpRule_Delete:
		httpMethod, path = "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		httpMethod, path = "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		httpMethod, path = p.Custom.GetKind(), p.Custom.GetPath()
	}
	if httpMethod == "" {
		r.problem(fmt.Errorf("%s: google.api.http without a pattern", m.desc.FullName()))
		return
	}
	r.add(m, httpMethod, path, rule.GetBody(), rule.GetResponseBody())
}

func (r *routes) add(m *method, httpMethod, path, body, response string) {
	b, err := newBinding(m, httpMethod, path, body, response)
	if err == nil {
		err = r.router.Add(httpMethod, b.template, b)
	}
	if err != nil {
		r.problem(fmt.Errorf("%s: %w", m.desc.FullName(), err))
		return
	}
	b.in, b.out = r.plans.quick(b)
	r.bindings = append(r.bindings, b)
}

func newBinding(m *method, httpMethod, path, body, response string) (*binding, error) {
	t, err := httprule.Parse(path)
	if err != nil {
		return nil, err
	}
	b := &binding{method: m, httpMethod: httpMethod, template: t}
	switch body {
	case "":
	case "*":
		b.body = bodyAll
	default:
		b.body = bodyField
		if b.field = m.desc.Input().Fields().ByName(protoreflect.Name(body)); b.field == nil {
			return nil, fmt.Errorf("body: the message has no field %q", body)
		}
	}
	if response != "" {
		if b.response = m.desc.Output().Fields().ByName(protoreflect.Name(response)); b.response == nil {
			return nil, fmt.Errorf("response_body: the message has no field %q", response)
		}
	}
	for _, v := range t.Variables {
		fields, err := fieldsOf(m.desc.Input(), v.Path)
		if err == nil {
			err = checkVariable(fields)
		}
		if err != nil {
			return nil, fmt.Errorf("{%s}: %w", v.Path, err)
		}
		b.vars = append(b.vars, fields)
	}
	return b, nil
}

// checkVariable refuses what a part of a path cannot be.
func checkVariable(fields []protoreflect.FieldDescriptor) error {
	last := fields[len(fields)-1]
	switch {
	case last.IsList() || last.IsMap():
		return errors.New("a path cannot be a repeated field")
	case last.Message() != nil && !hasText(last.Message()):
		return errors.New("a path cannot be a message")
	}
	return nil
}

// fieldsOf resolves "a.b.c", each by its name in the .proto file or in JSON.
func fieldsOf(d protoreflect.MessageDescriptor, path string) ([]protoreflect.FieldDescriptor, error) {
	if strings.Count(path, ".") >= maxDepth {
		return nil, errTooDeep
	}
	var out []protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if d == nil {
			return nil, fmt.Errorf("%s has no fields", out[len(out)-1].Name())
		}
		fd := d.Fields().ByTextName(name)
		if fd == nil {
			if fd = d.Fields().ByJSONName(name); fd == nil {
				return nil, fmt.Errorf("%s has no field %q", d.FullName(), name)
			}
		}
		if len(out) > 0 && (out[len(out)-1].IsList() || out[len(out)-1].IsMap()) {
			return nil, fmt.Errorf("%s is repeated", out[len(out)-1].Name())
		}
		out = append(out, fd)
		d = fd.Message()
	}
	return out, nil
}
