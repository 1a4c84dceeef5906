// Package types turns JSON and text into the hessian2 arguments of a Dubbo method, led by the method's Java types.
//
// The types come from the FullServiceDefinition that a Java provider publishes, or from a route that states them. They are
// compiled once into a tree of Type nodes. An Encoder then reads the JSON of a request once, checks every value against
// its node while it writes hessian2, and names the path, the expected type and the value seen when something does not
// fit: providers wrap integers silently, turn maps into empty strings and answer other mistakes with a stack trace, so
// whatever can be refused is refused here.
//
// One key is never forwarded, at any depth: "class". It selects the Java class that the provider instantiates.
package types
