package dubbo

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// sourceKind is where a piece of a template comes from.
type sourceKind uint8

const (
	constantSource sourceKind = iota
	pathSource
	querySource
	headerSource
	cookieSource
	bodySource
)

// part is a piece of a template.
type part struct {
	kind sourceKind
	// name is the constant, or what is looked up.
	name string
	// pointer leads into the body.
	pointer []string
	// json is true for a constant that is JSON already; only documents have such parts.
	json bool
}

// template makes one argument of a request.
type template struct {
	parts []part
	// document is true when the parts make a JSON document; otherwise they make a text, or are one part.
	document bool
	// root names the argument in errors: "path.id", "body/user", "args[1]".
	root string
}

// parseTemplates reads a route's args.
func parseTemplates(args []any) ([]template, error) {
	templates := make([]template, len(args))
	var problems []error
	for i, arg := range args {
		t, err := parseTemplate(arg, "args["+strconv.Itoa(i)+"]")
		if err != nil {
			problems = append(problems, fmt.Errorf("args[%d]: %w", i, err))
		}
		templates[i] = t
	}
	return templates, errors.Join(problems...)
}

func parseTemplate(arg any, root string) (template, error) {
	if s, ok := arg.(string); ok {
		parts, err := parseText(s)
		t := template{parts: parts, root: root}
		switch {
		case err != nil:
		case len(parts) == 1:
			t.root = parts[0].describe(root)
		case hasBody(parts):
			err = errors.New("{body} cannot be a part of a text")
		}
		return t, err
	}
	t := template{document: true, root: root}
	err := t.appendDocument(reflect.ValueOf(arg))
	t.merge()
	return t, err
}

func hasBody(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.kind == bodySource })
}

func (p *part) describe(root string) string {
	switch p.kind {
	case pathSource:
		return "path." + p.name
	case querySource:
		return "query." + p.name
	case headerSource:
		return "header." + p.name
	case cookieSource:
		return "cookie." + p.name
	case bodySource:
		return "body" + p.name
	}
	return root
}

// parseText reads a text with placeholders. "{{" and "}}" stand for braces.
func parseText(s string) ([]part, error) {
	var parts []part
	var constant strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c:
			constant.WriteByte(c)
			i++
		case c == '}':
			return nil, fmt.Errorf("%q has a } without a {; write }} for the character itself", s)
		case c == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("%q has a { without a }; write {{ for the character itself", s)
			}
			if constant.Len() > 0 {
				parts = append(parts, part{name: constant.String()})
				constant.Reset()
			}
			p, err := parsePlaceholder(s[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			parts = append(parts, p)
			i += end
		default:
			constant.WriteByte(c)
		}
	}
	if constant.Len() > 0 || len(parts) == 0 {
		parts = append(parts, part{name: constant.String()})
	}
	return parts, nil
}

// parseMethod reads a method's name, in which captures of the path stand by their mere names, as they do in the name of a
// service. It is nil for a name without any.
func parseMethod(s string) ([]part, error) {
	if !strings.ContainsAny(s, "{}") {
		return nil, nil
	}
	var parts []part
	for s != "" {
		text, rest, open := strings.Cut(s, "{")
		name, after, closed := strings.Cut(rest, "}")
		if strings.Contains(text, "}") || open != closed || strings.Contains(name, "{") {
			return nil, fmt.Errorf("%q has a brace without its partner", s)
		}
		if text != "" {
			parts = append(parts, part{name: text})
		}
		if open && (name == "" || strings.Contains(name, ".")) {
			return nil, fmt.Errorf("%q may hold captures of the path only, as in {method}", s)
		}
		if open {
			parts = append(parts, part{kind: pathSource, name: name})
		}
		s = after
	}
	return parts, nil
}

func parsePlaceholder(s string) (part, error) {
	if s == "body" {
		return part{kind: bodySource}, nil
	}
	if pointer, ok := strings.CutPrefix(s, "body/"); ok {
		p := part{kind: bodySource, name: "/" + pointer}
		unescape := strings.NewReplacer("~1", "/", "~0", "~") // RFC 6901 section 4
		for step := range strings.SplitSeq(pointer, "/") {
			p.pointer = append(p.pointer, unescape.Replace(step))
		}
		return p, nil
	}
	kind, name, ok := strings.Cut(s, ".")
	kinds := map[string]sourceKind{"path": pathSource, "query": querySource, "header": headerSource, "cookie": cookieSource}
	if k, known := kinds[kind]; known && ok && name != "" {
		return part{kind: k, name: name}, nil
	}
	return part{}, fmt.Errorf("{%s} is none of {path.NAME}, {query.NAME}, {header.NAME}, {cookie.NAME}, {body} and {body/POINTER}", s)
}

// appendDocument compiles a constant, or a list or map that may hold placeholders.
func (t *template) appendDocument(v reflect.Value) error {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
		t.constant("null")
		return nil
	case v.Kind() == reflect.String:
		return t.appendString(v.String())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		t.constant("[")
		for i := range v.Len() {
			if i > 0 {
				t.constant(",")
			}
			if err := t.appendDocument(v.Index(i)); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		t.constant("]")
		return nil
	case v.Kind() == reflect.Map:
		return t.appendMap(v)
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Errorf("write %v as JSON: %w", v, err)
	}
	t.constant(string(b))
	return nil
}

func (t *template) appendMap(v reflect.Value) error {
	values := map[string]reflect.Value{}
	for it := v.MapRange(); it.Next(); {
		values[fmt.Sprint(it.Key())] = it.Value()
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	t.constant("{")
	for i, k := range keys {
		if i > 0 {
			t.constant(",")
		}
		t.constant(string(protocol.AppendJSONString(nil, k)) + ":")
		if err := t.appendDocument(values[k]); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	t.constant("}")
	return nil
}

// appendString compiles a string inside a document: one placeholder becomes the value it stands for, a text with several
// becomes a string.
func (t *template) appendString(s string) error {
	parts, err := parseText(s)
	if err != nil {
		return err
	}
	if len(parts) > 1 {
		return fmt.Errorf("%q mixes text and placeholders, which only whole arguments may", s)
	}
	if parts[0].kind == constantSource {
		t.constant(string(protocol.AppendJSONString(nil, parts[0].name)))
		return nil
	}
	t.parts = append(t.parts, parts[0])
	return nil
}

func (t *template) constant(s string) { t.parts = append(t.parts, part{name: s, json: true}) }

// merge joins constants that follow each other.
func (t *template) merge() {
	var merged []part
	for _, p := range t.parts {
		if n := len(merged); p.json && n > 0 && merged[n-1].json {
			merged[n-1].name += p.name
			continue
		}
		merged = append(merged, p)
	}
	t.parts = merged
}

// usesBody reports whether the request's body must be read.
func (t *template) usesBody() bool { return hasBody(t.parts) }

// text looks up what a part other than the body stands for.
func (p *part) text(req *protocol.Request) (string, bool) {
	switch p.kind {
	case pathSource:
		return pathValue(req, p.name)
	case querySource:
		return queryValue(req.RawQuery, p.name)
	case headerSource:
		return req.Header.Lookup(p.name)
	case cookieSource:
		return req.Header.Cookie(p.name)
	}
	return p.name, true
}

// find follows the pointer into body. What is not there is nil. Errors are for the client.
func (p *part) find(body []byte) ([]byte, error) {
	for i, step := range p.pointer {
		var err error
		switch types.KindOf(body) {
		case types.Object:
			var found bool
			if body, found, err = types.Member(body, step); err == nil && !found {
				return nil, nil
			}
		case types.Array:
			body, err = element(body, step)
		case types.Null:
			return nil, nil
		default:
			err = &types.ArgumentError{Path: "$", Expected: "an object or an array", Got: "another value"}
		}
		if err != nil || body == nil {
			if err != nil {
				err = argumentError(err, "body"+pathOf(p.pointer[:i]))
			}
			return nil, err
		}
	}
	return body, nil
}

func element(array []byte, step string) ([]byte, error) {
	all, err := types.Elements(nil, array)
	if err != nil {
		return nil, err
	}
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(all) {
		return all[i], nil
	}
	return nil, nil // a step that is no index leads nowhere, like one past the end
}

func pathOf(steps []string) string {
	if len(steps) == 0 {
		return ""
	}
	return "/" + strings.Join(steps, "/")
}
