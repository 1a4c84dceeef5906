// Package discovery turns what registries say into what the data plane may use.
//
// The Catalogue runs the registries of a document, subscribes to exactly those services that somebody asked for,
// applies the policy that is the same for all registries (who is usable, what a lost connection means, what a sudden
// loss of most instances means), and publishes an immutable Endpoints value per service to that service's subscribers.
//
// A push goes this way: the registry's goroutine hands a complete state to the service's feed, which judges it (see
// holder and guard), swaps a pointer and marks itself at the dispatcher; a teller of the dispatcher calls the
// subscribers. So a registry never waits for a subscriber, and a subscriber hears the newest state only. What is to
// happen later (a storm's next notice, a probe, the end of a hold) waits in one heap, the clock.
//
// Locks are taken in this order: Catalogue.mu, merge.mu, feed.mu, and then one of the leaves (source, guard, prober,
// dispatcher, clock), none of which calls anything while it is locked. feed.telling, held while callbacks run, comes
// before feed.mu and is never taken under any other.
package discovery
