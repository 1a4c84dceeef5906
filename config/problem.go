package config

import "github.com/sluice-gateway/sluice/strictyaml"

// Problem is one mistake in a document.
type Problem = strictyaml.Problem

// Problems are all mistakes of a document, by position. As an error they are one line each,
// "file:line:column: path: message"; Excerpt also shows the lines of the document.
type Problems = strictyaml.Problems

// RefusedRoute is a route that was left out.
type RefusedRoute struct {
	// Name of the route; "routes[3]" if it has none.
	Name string
	// Pos is where the route stands.
	Pos Position
	// Problems are its mistakes.
	Problems Problems
}
