//go:build race

package protocol

// Poisoning is on under the race detector: memory of an ended exchange is overwritten, so that whoever kept a string or
// a piece without copying it reads rubbish in every test instead of another user's request once a month.
const Poisoning = true
