package config

import "github.com/sluice-gateway/sluice/strictyaml"

// Kinds is the table of plug-ins that a document may name. Each entry returns a new, default-filled pointer to the
// plug-in's configuration struct, which is then read strictly: unknown keys are mistakes.
//
// If the struct has a method Validate() error it is called afterwards. A message that begins with one of the section's
// keys and a colon ("parts: must be at least 1") is shown at that key; errors.Join gives several.
//
// A filter's struct with a method Answers() bool that returns true answers requests itself: its route needs no target.
type Kinds struct {
	Filters    map[string]func() any
	Registries map[string]func() any
	// Pattern checks a route's path; nil checks only that it begins with a slash.
	Pattern func(path string) error
	// Env looks up the variables of ${NAME}; nil is the process's environment.
	Env func(name string) (string, bool)
}

// Position is a place in a document.
type Position = strictyaml.Position

// Size is a number of bytes; in YAML a number, or text with a unit: 512B, 64KB, 10MB, 1GB (powers of 1024; KiB and such
// mean the same).
type Size int64
