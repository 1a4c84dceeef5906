package registry

import "context"

// Registrar is implemented by registries in which the gateway can register itself.
type Registrar interface {
	// Register announces r, keeps it announced through every loss of the connection, the session or the registry's own
	// data, and withdraws it when ctx ends: then it returns as soon as the registry has taken note, or after WithdrawTimeout.
	//
	// report is called with nil each time the registry has accepted the announcement, and with an error that says what is
	// wrong and what to do each time it has not; Register tries again by itself. It may be called before Run, and waits
	// then. It returns an error only for a registration that can never work.
	Register(ctx context.Context, r Registration, report func(error)) error
}

// Registration is what the gateway says of itself.
type Registration struct {
	// Service is the name under which it is found.
	Service ServiceName
	// Instance is its address, weight, zone and metadata.
	Instance Instance
	// ID tells it from other instances of the service; unique in the registry, the same after a restart.
	ID string
	// HealthURL is where the registry may ask whether it is alive; "" when there is none.
	HealthURL string
}
