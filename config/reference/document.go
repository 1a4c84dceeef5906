package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/config"
	"github.com/sluice-gateway/sluice/strictyaml"
)

// generate is the whole page.
func generate(root string) (string, error) {
	src, err := read(filepath.Join(root, "config"))
	if err != nil {
		return "", err
	}
	w := &writer{source: src}
	w.WriteString(introduction)
	doc := &config.Document{}
	strictyaml.Defaults(doc)
	w.section("", reflect.ValueOf(doc).Elem())
	if len(w.missing) > 0 {
		return "", fmt.Errorf("no source of the types %s", strings.Join(w.missing, ", "))
	}
	if err := w.plugins(root, "Types of registries", "Registries", registriesText); err != nil {
		return "", err
	}
	if err := w.registryTLS(root); err != nil {
		return "", err
	}
	if err := w.plugins(root, "Kinds of filters", "Filters", filtersText); err != nil {
		return "", err
	}
	return strings.TrimRight(w.String(), "\n") + "\n", nil
}

// writer gathers the page.
type writer struct {
	strings.Builder
	source *source
	// missing are types whose source was not found.
	missing []string
}

// row is one key.
type row struct{ key, typ, fallback, meaning string }

func (w *writer) table(rows []row) {
	w.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		fallback := ""
		if r.fallback != "" {
			fallback = "`" + r.fallback + "`"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", r.key, r.typ, fallback, r.meaning)
	}
	w.WriteString("\n")
}

// section writes the table of a struct, whose value holds its defaults, and then those of the sections in it.
func (w *writer) section(path string, v reflect.Value) {
	t := v.Type()
	src := w.source.types[t.Name()]
	if src == nil {
		w.missing = append(w.missing, t.Name())
		return
	}
	if path != "" {
		fmt.Fprintf(w, "## `%s`\n\n%s\n\n", path, meaning(last(path), t.Name(), src.doc))
	}
	switch t {
	case reflect.TypeFor[config.Registry]():
		field := func(key, name string) string { return meaning(key, name, w.source.field("Registry", name)) }
		w.table([]row{
			{"name", "text", "", field("name", "Name")},
			{"type", "text", "", field("type", "Type") + " See [types of registries](#types-of-registries)."},
			{"members", "list of texts", "", field("members", "Members")},
			{"protection", "[section](#registriesprotection)", "", field("protection", "Protection")},
			{"denyAddresses", "list of networks", "", field("denyAddresses", "DenyAddresses")},
			{"…", "", "", "The type's own keys."},
		})
		protection := config.Protection{}
		strictyaml.Defaults(&protection)
		w.section(path+".protection", reflect.ValueOf(&protection).Elem())
		return
	case reflect.TypeFor[config.Plugin]():
		w.WriteString("Each item is a filter's name alone, or a mapping from its name to its keys. See [kinds of filters](#kinds-of-filters).\n\n")
		return
	}
	type child struct {
		path string
		v    reflect.Value
	}
	var children []child
	shared := map[reflect.Type]string{} // several keys of one type share the section of the first
	var rows []row
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		full := strings.TrimPrefix(path+"."+key, ".")
		typ, below, suffix := describe(f.Type, cmp.Or(shared[f.Type], full))
		rows = append(rows, row{key, typ, fallback(v.Field(i)), meaning(key, f.Name, w.source.field(t.Name(), f.Name))})
		if below == nil || shared[f.Type] != "" {
			continue
		}
		shared[f.Type] = full
		value := v.Field(i)
		if f.Type.Kind() != reflect.Struct {
			value = reflect.New(below)
			strictyaml.Defaults(value.Interface())
			value = value.Elem()
		}
		children = append(children, child{full + suffix, value})
	}
	w.table(rows)
	for _, c := range children {
		w.section(c.path, c.v)
	}
}

// last is a path's last key.
func last(path string) string {
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".NAME"), "[]")
	return path[strings.LastIndexByte(path, '.')+1:]
}

// describe names a type in the reader's words. below is the struct that it holds, and suffix what stands behind the key
// in that section's title.
func describe(t reflect.Type, path string) (text string, below reflect.Type, suffix string) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration", nil, ""
	case reflect.TypeFor[config.Size]():
		return "size", nil, ""
	case reflect.TypeFor[netip.Prefix]():
		return "network", nil, ""
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false", nil, ""
	case reflect.Float64:
		return "number", nil, ""
	case reflect.Int, reflect.Int64:
		return "whole number", nil, ""
	case reflect.Interface:
		return "anything", nil, ""
	case reflect.Pointer:
		return describe(t.Elem(), path)
	case reflect.Slice:
		text, below, suffix = describe(t.Elem(), path+"[]")
		return "list of " + plural(text), below, "[]" + suffix
	case reflect.Map:
		text, below, suffix = describe(t.Elem(), path+".NAME")
		return "mapping of names to " + plural(text), below, ".NAME" + suffix
	case reflect.Struct:
		return "[section](#" + anchor(path) + ")", t, ""
	}
	return "text", nil, ""
}

func plural(s string) string {
	if s == "anything" {
		return s
	}
	if items, ok := strings.CutPrefix(s, "list "); ok {
		return "lists " + items
	}
	if items, ok := strings.CutPrefix(s, "mapping "); ok {
		return "mappings " + items
	}
	if name, link, ok := strings.Cut(s, "]"); ok {
		return name + "s]" + link
	}
	return s + "s"
}

// anchor is the link target that Markdown makes of a title.
func anchor(title string) string {
	return strings.ToLower(strings.NewReplacer(".", "", "[", "", "]", "", "`", "", " ", "-").Replace(title))
}

// fallback is a default as it would be written; empty for what has none.
func fallback(v reflect.Value) string {
	if v.IsZero() || v.Kind() == reflect.Struct || v.Kind() == reflect.Pointer {
		return ""
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return duration(d)
	}
	return fmt.Sprint(v.Interface())
}

// duration leaves the zeros out of Go's form.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return cmp.Or(s, "0s")
}
