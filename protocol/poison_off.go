//go:build !race

package protocol

// Poisoning is off outside the race detector's builds.
const Poisoning = false
