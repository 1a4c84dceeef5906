// Package balance picks an instance for every request.
//
// A Picker is an immutable value over one service's usable instances; a registry's push replaces it whole. What an
// instance has shown of itself (requests in flight, latency, failures, load reports) is its Load, which lives in a store
// outside, keyed by service and instance, so that neither a new configuration nor a blip of the registry makes the gateway
// forget. What a service's pickers share, and what decides on panic, is its Pool.
//
// The policies are of three kinds. peakEWMA and leastRequest compare a few random targets by their price. roundRobin, random
// and orca follow a sequence by weight, of the registry or of the targets' own reports. ringHash and maglev send a key to the
// same target as long as it has no more to do than others. SIMULATION.md tells how they do. Above the policies, targets are
// divided by priority and zone; below them, new targets are held back while they warm up.
package balance
