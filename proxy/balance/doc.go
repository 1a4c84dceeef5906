// Package balance picks an instance for every request.
//
// A Picker is an immutable value over one service's usable instances; a registry's push replaces it whole. What an
// instance has shown of itself (requests in flight, latency, failures) is its Load, which lives in a store outside, keyed
// by service and instance, so that neither a new configuration nor a blip of the registry makes the gateway forget.
package balance
