package strictyaml

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fields are a struct's keys and the way to each field.
type fields map[string][]int

func (f fields) names() []string { return slices.Sorted(maps.Keys(f)) }

func (d *Decoder) fieldsOf(t reflect.Type) fields {
	if known, ok := d.fields[t]; ok {
		return known
	}
	out := fields{}
	collect(out, t, nil)
	if d.fields == nil {
		d.fields = map[reflect.Type]fields{}
	}
	d.fields[t] = out
	return out
}

func collect(out fields, t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		index := append(slices.Clone(prefix), i)
		switch {
		case name == "" && options == "inline" && f.Type.Kind() == reflect.Struct:
			collect(out, f.Type, index)
		case name != "" && name != "-" && f.IsExported():
			out[name] = index
		}
	}
}
