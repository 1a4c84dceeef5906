// Package upstream hands a request to one instance of a service.
//
// A Store holds every Service that any plan uses. A Service follows one name in one registry: each push of the registry
// becomes an immutable state (instances, their clients, a picker) behind one pointer, so a request never sees half a
// change and never waits for one. Connections and loads outlive both pushes and plans: they are keyed by service and
// instance, and are given up only when nothing names them any more.
//
// A Target is what a route ends in: it chooses the service, picks an instance for this request alone, and tries another
// one when the first cannot have acted on it.
package upstream
