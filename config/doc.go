// Package config is the document a user writes: its types with their defaults, strict reading of YAML that names every
// mistake with file, line, column and the nearest right word, and the sources a document can come from.
//
// The package knows the frame of the document only. What a filter or a registry takes is known by the plug-in; the
// caller hands over the table of their names (Kinds), so that a new plug-in is not a change here.
package config
