package main

import _ "embed"

// introduction is the part of the page that no type can say.
//
//go:embed introduction.md
var introduction string

const registriesText = "The keys of each type, beside `name` and `type`. The type `merged` has no keys of its own but `members`: a service of it has the\n" +
	"instances of all members, and an address that several of them know is described by the first. It is for moving from one registry to another."

const filtersText = "The keys of each filter."
