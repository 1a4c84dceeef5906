// Package dubbo speaks the Dubbo protocol (hessian2 over TCP, "dubbo://") to providers, and turns HTTP requests into
// calls of their methods.
//
// A request passes two stops here. The Transcoder, above the balancer, turns JSON, path, query and headers into an
// Invocation: encoded arguments with their Java types checked. The Client of the chosen instance, below the balancer,
// puts the Invocation on the instance's connection, waits for the frame with its number, and writes the answer out as JSON.
// The types come from a Catalog, which follows the definitions that providers publish in their registry.
//
// Every call is a generic one ($invoke with generic=true): it is the only form in which all providers, Java 2.7 to 3.3 and
// dubbo-go, convert arguments and accept what their own class lists would refuse otherwise.
package dubbo
