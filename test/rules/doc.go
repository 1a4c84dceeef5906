// Package rules holds the house rules as tests: which room may import which, what may not stand at package level, how
// long a file may be. They read the source of the whole module; a rule that must yield somewhere lists the place with
// its reason in the test, so that a reader finds both together.
package rules
