package types

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// document is a FullServiceDefinition in its parts.
type document struct {
	service string
	methods []rawMethod
	classes map[string]*rawClass
}

type rawMethod struct {
	name   string
	params []javaType
	result javaType
}

// Bounds of a definition, which comes from a registry that others write to.
const (
	maxDocument = 32 << 20
	maxVisits   = 1 << 20 // of nodes, references followed included
	maxRefDepth = 64
)

var errTangled = errors.New("its references lead too far")

// documentReader follows fastjson's references through the tree of a document.
type documentReader struct {
	root   any
	out    document
	visits int
}

func readDocument(doc []byte) (document, error) {
	r := documentReader{out: document{classes: make(map[string]*rawClass)}}
	if len(doc) > maxDocument {
		return r.out, fmt.Errorf("it has %d bytes, more than %d", len(doc), maxDocument)
	}
	if err := json.Unmarshal(doc, &r.root); err != nil {
		return r.out, err
	}
	root, ok := r.root.(map[string]any)
	if !ok {
		return r.out, errors.New("it is no JSON object")
	}
	r.out.service, _ = root["canonicalName"].(string)
	types, _ := root["types"].([]any)
	for _, t := range types {
		r.typ(t, 0)
	}
	methods, ok := root["methods"].([]any)
	if !ok {
		return r.out, errors.New("it has no methods")
	}
	for _, m := range methods {
		if m, ok := r.resolve(m).(map[string]any); ok {
			r.method(m)
		}
	}
	if r.visits > maxVisits {
		return r.out, errTangled
	}
	return r.out, nil
}

// method reads a method; one whose types make no sense is left out.
func (r *documentReader) method(m map[string]any) {
	var out rawMethod
	out.name, _ = m["name"].(string)
	if out.name == "" {
		return
	}
	params, ok := m["parameterTypes"].([]any)
	if !ok {
		params, _ = m["parameters"].([]any)
	}
	for _, p := range params {
		j, err := parseJavaType(r.typ(p, 0))
		if err != nil {
			return
		}
		out.params = append(out.params, j)
	}
	var err error
	if out.result, err = parseJavaType(r.typ(m["returnType"], 0)); err != nil {
		out.result = javaType{name: objectName}
	}
	r.out.methods = append(r.out.methods, out)
}

// typ reads a type node, remembers what it says about its class, and gives the type's name. A node is a name, a
// reference, or an object with a type and its properties, items or enums.
func (r *documentReader) typ(node any, depth int) string {
	if r.visits++; r.visits > maxVisits || depth > maxRefDepth {
		return objectName
	}
	if name, ok := node.(string); ok {
		return name
	}
	m, ok := r.resolve(node).(map[string]any)
	if !ok {
		return objectName
	}
	name, _ := m["type"].(string)
	if name == "" {
		if ref, ok := m["$ref"].(string); ok && !strings.HasPrefix(ref, "$") {
			return ref
		}
		return objectName
	}
	j, err := parseJavaType(name)
	if err != nil {
		return objectName
	}
	items, _ := m["items"].([]any)
	if jdkCollection(sourceName(j.name)) > 0 || j.dims > 0 {
		if len(j.args) > 0 || j.dims > 0 {
			for _, item := range items {
				r.typ(item, depth+1)
			}
			return name
		}
		for _, item := range items {
			if arg, err := parseJavaType(r.typ(item, depth+1)); err == nil {
				j.args = append(j.args, arg)
			}
		}
		return j.String()
	}
	if _, known := jdkScalar(j.name); !known {
		r.class(sourceName(j.name), m, items, depth)
	}
	return name
}

// class remembers what a node says about a class, if nothing is known yet.
func (r *documentReader) class(name string, m map[string]any, items []any, depth int) {
	if !r.out.classes[name].empty() {
		return
	}
	c := &rawClass{}
	if enums, ok := m["enums"].([]any); ok && len(enums) > 0 {
		for _, e := range enums {
			if e, ok := e.(string); ok {
				c.enums = append(c.enums, e)
			}
		}
		r.out.classes[name] = c
		return
	}
	props, _ := m["properties"].(map[string]any)
	if len(props)+len(items) == 0 {
		return
	}
	c.props = make(map[string]javaType, len(props))
	for p := range props {
		c.props[p] = javaType{name: objectName} // known from now on, so that recursion ends
	}
	r.out.classes[name] = c
	for p, node := range props {
		if p == "class" {
			delete(c.props, p)
			continue
		}
		if j, err := parseJavaType(r.typ(node, depth+1)); err == nil {
			c.props[p] = j
		}
	}
	for _, item := range items {
		if j, err := parseJavaType(r.typ(item, depth+1)); err == nil {
			c.items = append(c.items, j)
		}
	}
}

// resolve follows references until it finds something else.
func (r *documentReader) resolve(node any) any {
	for range maxRefDepth {
		m, ok := node.(map[string]any)
		if !ok {
			return node
		}
		ref, ok := m["$ref"].(string)
		if !ok || !strings.HasPrefix(ref, "$") {
			return node
		}
		r.visits++
		node = r.lookup(ref)
	}
	return nil
}

// lookup follows a path such as $.types[4].properties.status from the root. Where a property's name itself has dots, the
// longest name that exists is taken.
func (r *documentReader) lookup(ref string) any {
	node := r.root
	path := strings.TrimPrefix(ref, "$")
	for path != "" {
		if m, ok := node.(map[string]any); ok {
			if inner, ok := m["$ref"].(string); ok && strings.HasPrefix(inner, "$") && inner != ref && len(inner) < len(ref) {
				node = r.lookup(inner)
			}
		}
		if rest, ok := strings.CutPrefix(path, "["); ok {
			number, rest, _ := strings.Cut(rest, "]")
			i, err := strconv.Atoi(number)
			list, ok := node.([]any)
			if err != nil || !ok || i < 0 || i >= len(list) {
				return nil
			}
			node, path = list[i], rest
			continue
		}
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		name, ok := longestKey(m, strings.TrimPrefix(path, "."))
		if !ok {
			return nil
		}
		node, path = m[name], strings.TrimPrefix(path, ".")[len(name):]
	}
	return node
}

func longestKey(m map[string]any, path string) (string, bool) {
	for end := len(path); end > 0; end-- {
		if end < len(path) && path[end] != '.' && path[end] != '[' {
			continue
		}
		if _, ok := m[path[:end]]; ok {
			return path[:end], true
		}
	}
	return "", false
}
