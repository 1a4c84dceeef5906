// Package discovery turns what registries say into what the data plane may use.
//
// The Catalogue runs the registries of a document, subscribes to exactly those services that somebody asked for,
// applies the policy that is the same for all registries (who is usable, what a lost connection means), and publishes
// an immutable Endpoints value per service to that service's subscribers. No subscriber ever waits for another
// service, and a registry's goroutine never waits for a subscriber for longer than it takes to swap a pointer.
package discovery
