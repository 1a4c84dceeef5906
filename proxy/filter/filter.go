// Package filter says what a filter plug-in is; each folder below holds one.
//
// A filter's configuration struct is its factory: it knows its defaults, checks itself, and builds a protocol.Filter. It is
// built once for each route that names it, and keeps no state of any request.
package filter

import "github.com/sluice-gateway/sluice/protocol"

// Config is a filter's section of the document.
type Config interface {
	// Validate names what is wrong, each message beginning with the field it is about.
	Validate() error
	// Build makes the filter. The section is valid by then, and does not change afterwards.
	Build() (protocol.Filter, error)
}

// Preflighter is implemented by filters that answer CORS preflights: a route that has one gets them whatever methods it
// names.
type Preflighter interface {
	AnswersPreflight() bool
}

// Answerer is implemented by filters that answer every request themselves, so that a route with one needs no target.
type Answerer interface {
	Answers() bool
}
