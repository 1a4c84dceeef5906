// Package provider is the serving side of the Dubbo protocol, small and whole: Go functions answer the generic calls that
// the gateway (or any Dubbo client) makes. The built-in demo is served by it, and so are tests that need a provider which
// costs milliseconds to start. It describes its services as Java providers do, by a FullServiceDefinition.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// Service is what a provider offers under one interface, group and version.
type Service struct {
	Interface, Group, Version string
	Methods                   []Method
	// Beans describe the classes that the methods' parameters and results name.
	Beans []Bean
}

// Method is one overload of a method.
type Method struct {
	Name string
	// Params are the Java types of the parameters; Returns is that of the result. Both may have type arguments.
	Params  []string
	Returns string
	// Call answers one call. args are the arguments as JSON, one for each parameter. The result is what encoding/json makes
	// of it. An *Exception is thrown as the application's own, any other error as a java.lang.RuntimeException.
	Call func(ctx context.Context, args []json.RawMessage) (any, error)
}

// Bean is a class with properties, or an enum.
type Bean struct {
	Name string
	// Properties are Java types by name.
	Properties map[string]string
	// Enums, if not empty, makes it an enum of these constants.
	Enums []string
}

// Exception is an exception of the application.
type Exception struct {
	// Class is the Java class.
	Class   string
	Message string
}

// Error implements error.
func (e *Exception) Error() string { return e.Class + ": " + e.Message }

// Definition gives the service's FullServiceDefinition, as providers put it into a metadata centre.
func (s *Service) Definition() []byte {
	type method struct {
		Name           string   `json:"name"`
		ParameterTypes []string `json:"parameterTypes"`
		ReturnType     string   `json:"returnType"`
		Annotations    []string `json:"annotations"`
	}
	type class struct {
		Type       string            `json:"type"`
		Properties map[string]string `json:"properties,omitempty"`
		Enums      []string          `json:"enums,omitempty"`
	}
	document := struct {
		CanonicalName string            `json:"canonicalName"`
		Methods       []method          `json:"methods"`
		Types         []class           `json:"types"`
		Parameters    map[string]string `json:"parameters"`
	}{CanonicalName: s.Interface, Types: []class{}, Parameters: map[string]string{"side": "provider", "interface": s.Interface}}
	if s.Group != "" {
		document.Parameters["group"] = s.Group
	}
	if s.Version != "" {
		document.Parameters["version"] = s.Version
	}
	for _, m := range s.Methods {
		document.Methods = append(document.Methods, method{m.Name, append([]string{}, m.Params...), m.Returns, []string{}})
	}
	for _, b := range s.Beans {
		document.Types = append(document.Types, class{b.Name, b.Properties, b.Enums})
	}
	out, err := json.Marshal(document)
	if err != nil {
		panic(err) // nothing but strings in it
	}
	return out
}

// service is a Service that has been looked at.
type service struct {
	*Service
	methods map[string][]*method
	// object is the type as which results are written.
	object *types.Type
}

// method is a Method with its parameter types as they are on the wire.
type method struct {
	*Method
	erased []string
}

// compile finds mistakes of the program that made the service.
func compile(s *Service) (*service, error) {
	if s.Interface == "" {
		return nil, errors.New("service without an interface")
	}
	var none *types.Definition
	anything, err := none.Signature("", []string{"java.lang.Object"})
	if err != nil {
		return nil, err
	}
	out := &service{Service: s, methods: map[string][]*method{}, object: anything.Params[0]}
	for i := range s.Methods {
		m := &s.Methods[i]
		if m.Name == "" || m.Call == nil {
			return nil, fmt.Errorf("service %s: method %d has no name or nothing to call", s.Interface, i)
		}
		signature, err := none.Signature(m.Name, m.Params)
		if err != nil {
			return nil, fmt.Errorf("service %s: method %s: %w", s.Interface, m.Name, err)
		}
		for _, other := range out.methods[m.Name] {
			if slices.Equal(other.erased, signature.ErasedTypes) {
				return nil, fmt.Errorf("service %s: method %s is there twice", s.Interface, signature)
			}
		}
		out.methods[m.Name] = append(out.methods[m.Name], &method{m, signature.ErasedTypes})
	}
	return out, nil
}
