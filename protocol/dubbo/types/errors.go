package types

import (
	"errors"
	"fmt"
	"strings"
)

// ArgumentError says that a value does not fit a parameter. It is the client's fault and is safe to show.
type ArgumentError struct {
	// Path leads to the value inside the argument, in the style of JSONPath (RFC 9535): $.user.phones[2], $['odd key'].
	Path string
	// Expected describes what the parameter takes, such as "int" or "one of MALE, FEMALE".
	Expected string
	// Got describes the value seen, such as `string "x"`, cut if it is long.
	Got string
}

// Error implements error.
func (e *ArgumentError) Error() string {
	return e.Path + ": expected " + e.Expected + ", got " + e.Got
}

// within puts a step in front of the path of an error that comes from inside a value.
func within(err error, step string) error {
	var e *ArgumentError
	if errors.As(err, &e) {
		e.Path = "$" + step + strings.TrimPrefix(e.Path, "$")
	}
	return err
}

// Prefix returns a copy of the error whose path starts with root instead of "$", for instance "$[1]" or "path.id".
func (e *ArgumentError) Prefix(root string) *ArgumentError {
	c := *e
	c.Path = root + strings.TrimPrefix(e.Path, "$")
	return &c
}

// OverloadError says that no overload of a method, or more than one, takes the arguments of a call.
type OverloadError struct {
	Method     string
	Ambiguous  bool     // more than one does
	Candidates []string // the signatures that were weighed, such as "hello(java.lang.String,int)"
}

// Error implements error.
func (e *OverloadError) Error() string {
	if e.Ambiguous {
		return fmt.Sprintf("the arguments fit several overloads of %s: %s", e.Method, strings.Join(e.Candidates, ", "))
	}
	if len(e.Candidates) == 0 {
		return "there is no such method"
	}
	return fmt.Sprintf("the arguments fit no overload of %s: %s", e.Method, strings.Join(e.Candidates, ", "))
}
