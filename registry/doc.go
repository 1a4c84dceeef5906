// Package registry says what a service registry is to Sluice: something that pushes complete states of services.
//
// One folder below it holds one kind of registry. A registry reports what it saw, and nothing else: it does not merge,
// filter by health, protect against empty answers or keep old states. That is policy, and lives in package discovery,
// the same for all registries.
package registry
