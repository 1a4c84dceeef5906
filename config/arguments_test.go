package config

import (
	"strings"
	"testing"
)

// TestArguments has each form of an argument's template, beside captures "id" and "n".
func TestArguments(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "x": "", "{body}": "", "{body/a/0}": "", "{body/}": "", "{path.id}": "", "{path.id}-{path.n}": "", "{query.q}": "", "{header.X-A}": "", "{cookie.c}": "",
		"{{literal}}": "", "{{{path.id}}}": "", "{query.a.b}": "", "no partner {": "", "no partner }": "",
		"{path.x}":             `unknown capture of the path "x"`,
		"{path.id}{path.nope}": `unknown capture of the path "nope"`,
		"{query}":              "needs a name, as in {query.id}",
		"{cookie.}":            "needs a name, as in {cookie.id}",
		"{body.a}":             "a place in the body is written {body/a}",
		"{qeury.q}":            `did you mean "query"?`,
		"{}":                   `unknown source of an argument ""`,
		"{ path.id }":          `unknown source of an argument " path"`,
	} {
		err := argument(text, []string{"id", "n"})
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
