package registry

// Authored is implemented by the sections of registries that people write by hand: what they take away is meant so, however
// much it is, and not doubted.
type Authored interface {
	Config
	// Authored does nothing.
	Authored()
}
