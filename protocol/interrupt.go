package protocol

import "context"

// Interrupter is a context whose end must be noticed at once. Clients look at an exchange's context only now and then,
// because asking the client's socket costs a system call; with an Interrupter they leave a function that wakes them.
type Interrupter interface {
	context.Context
	// Interrupt makes wake be called when the context ends, once, and at once if it has ended already. nil takes that back:
	// wake is not running any more when it returns, and the result tells whether it was called.
	Interrupt(wake func()) (woken bool)
}
