package main

import _ "embed"

// introduction is the part of the page that no type can say.
//
//go:embed introduction.md
var introduction string

const registriesText = "The keys of each type, beside `name` and `type`."

const filtersText = "The keys of each filter."
