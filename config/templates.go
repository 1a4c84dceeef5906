package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/strictyaml"
)

func contains(words []string, s string) bool { return slices.Contains(words, s) }

// captures are the names that a path pattern binds: {name}, {name:regex}, {*name}.
func captures(pattern string) []string {
	var out []string
	for depth, start, i := 0, 0, 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '{':
			if depth++; depth == 1 {
				start = i + 1
			}
		case '}':
			if depth--; depth == 0 {
				name, _, _ := strings.Cut(pattern[start:i], ":")
				out = append(out, strings.TrimPrefix(name, "*"))
			}
			depth = max(depth, 0)
		}
	}
	return out
}

// templates checks what a target takes from the request. at is the target's path.
func (r *reader) templates(at string, to *Target, captures []string) {
	r.placeholders(at+".service", to.Service, captures)
	if to.Dubbo == nil {
		return
	}
	r.placeholders(at+".dubbo.interface", to.Dubbo.Interface, captures)
	r.placeholders(at+".dubbo.method", to.Dubbo.Method, captures)
	for i, arg := range to.Dubbo.Args {
		if text, ok := arg.(string); ok {
			if err := argument(text, captures); err != nil {
				r.complain("%s.dubbo.args[%d]: %w", at, i, err)
			}
		}
	}
}

// placeholders checks a text with captures in it, such as "{service}" or "com.example.{name}Service".
func (r *reader) placeholders(at, text string, captures []string) {
	for rest := text; ; {
		before, after, open := strings.Cut(rest, "{")
		name, tail, closed := strings.Cut(after, "}")
		switch {
		case strings.Contains(before, "}") || open && !closed:
			r.complain("%s: has a brace without its partner", at)
			return
		case !open:
			return
		case !contains(captures, name):
			r.complain("%s: %s", at, strictyaml.Unknown("capture of the path", name, captures))
			return
		}
		rest = tail
	}
}

// argument checks one argument's template: each placeholder of a text. The braces of "{{" and "}}" are the characters
// themselves; what is left of them here is the transcoder's to judge.
func argument(text string, captures []string) error {
	for rest := strings.NewReplacer("{{", "", "}}", "").Replace(text); ; {
		_, after, open := strings.Cut(rest, "{")
		inner, tail, closed := strings.Cut(after, "}")
		if !open || !closed {
			return nil
		}
		if err := placeholder(inner, captures); err != nil {
			return err
		}
		rest = tail
	}
}

// placeholder checks what stands between two braces.
func placeholder(inner string, captures []string) error {
	if inner == "body" || strings.HasPrefix(inner, "body/") {
		return nil
	}
	source, name, _ := strings.Cut(inner, ".")
	sources := []string{"path", "query", "header", "cookie", "body"}
	switch {
	case !contains(sources, source):
		return errors.New(strictyaml.Unknown("source of an argument", source, sources))
	case source == "body":
		return fmt.Errorf("a place in the body is written {body/%s}", strings.ReplaceAll(name, ".", "/"))
	case name == "":
		return fmt.Errorf("needs a name, as in {%s.id}", source)
	case source == "path" && !contains(captures, name):
		return errors.New(strictyaml.Unknown("capture of the path", name, captures))
	}
	return nil
}

// Validate checks what the section says about itself.
func (d *Dubbo) Validate() error {
	var errs []error
	if d.Interface == "" {
		errs = append(errs, missing("interface"))
	} else if strings.ContainsAny(d.Interface, "/: \t\r\n") {
		errs = append(errs, fmt.Errorf("interface: must be a Java interface's full name, not %q", d.Interface))
	}
	if d.Method == "" {
		errs = append(errs, missing("method"))
	}
	if len(d.Types) > 0 && d.Args != nil && len(d.Types) != len(d.Args) {
		errs = append(errs, fmt.Errorf("types: has %d types for %d args", len(d.Types), len(d.Args)))
	}
	for i, t := range d.Types {
		if t == "" || strings.ContainsAny(t, " \t\r\n/") {
			errs = append(errs, fmt.Errorf("types[%d]: must be a Java type such as java.lang.String, not %q", i, t))
		}
	}
	for i, name := range d.Attachments {
		if !token(name) {
			errs = append(errs, fmt.Errorf("attachments[%d]: %q is not a header's name", i, name))
		}
	}
	if words := []string{"reject", "ignore"}; d.Unknown != "" && !contains(words, d.Unknown) {
		errs = append(errs, fmt.Errorf("unknown: %s", strictyaml.Unknown("word", d.Unknown, words)))
	}
	return errors.Join(errs...)
}
