package config

import "fmt"

// Kinds is the table of plug-ins that a document may name. Each entry returns a new, default-filled pointer to the
// plug-in's configuration struct, which is then read strictly: unknown keys are mistakes.
//
// If the struct has a method Validate() error it is called afterwards. A message that begins with one of the section's
// keys and a colon ("parts: must be at least 1") is shown at that key; errors.Join gives several.
type Kinds struct {
	Filters    map[string]func() any
	Registries map[string]func() any
}

// Position is a place in a document.
type Position struct {
	File         string
	Line, Column int
}

// String is file:line:column, as editors understand it.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Size is a number of bytes; in YAML a number, or text with a unit: 512B, 64KB, 10MB, 1GB (powers of 1024; KiB and such
// mean the same).
type Size int64
