package upstream

import (
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
)

// Template is a service name with captures of the path in it: "{service}", "team-{team}-api".
type Template struct {
	parts []templatePart
}

type templatePart struct {
	text    string
	capture bool
}

// ParseTemplate splits s. The second result is false when s names no capture: it is a plain name then.
func ParseTemplate(s string) (Template, bool) {
	var t Template
	dynamic := false
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			break
		}
		if open > 0 {
			t.parts = append(t.parts, templatePart{text: s[:open]})
		}
		t.parts = append(t.parts, templatePart{text: s[open+1 : open+end], capture: true})
		dynamic = true
		s = s[open+end+1:]
	}
	if s != "" {
		t.parts = append(t.parts, templatePart{text: s})
	}
	return t, dynamic
}

// Expand fills the captures in. The result is valid until the exchange ends.
func (t *Template) Expand(req *protocol.Request) string {
	out := ""
	for _, p := range t.parts {
		text := p.text
		if p.capture {
			text, _ = req.Param(p.text)
		}
		if out == "" {
			out = text
		} else {
			out = req.Arena.Concat(out, text)
		}
	}
	return out
}
