package protocol

// Try is one try of an exchange that was followed by another.
type Try struct {
	// Instance it was sent to. The string outlives the exchange.
	Instance string
	// Nanos is the time until its answer's head, or until it failed.
	Nanos int64
	// Status it was answered with, or 0.
	Status int
	// Code says how it failed, if it did. A try with neither was given up because another was quicker.
	Code Code
}
