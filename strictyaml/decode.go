package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Hook reads a type in its own way instead of by the package's conventions.
type Hook func(d *Decoder, n *Node, at *Path, into reflect.Value)

// Decoder fills values from Nodes and gathers every mistake on the way.
type Decoder struct {
	// Hooks by the type that they read.
	Hooks map[reflect.Type]Hook

	problems Problems
	fields   map[reflect.Type]fields
	// spoiled are the paths that have a problem already, or that a misspelled key was meant for: what a Validate says
	// about them only follows from it. True covers all that is below, too: the value has the wrong shape.
	spoiled map[string]bool
}

// Problems are the mistakes so far, by position.
func (d *Decoder) Problems() Problems { return d.problems.Sort() }

// Fault notes a mistake at a node.
func (d *Decoder) Fault(n *Node, at *Path, message string) { d.FaultAt(n.Pos, at.String(), message) }

// FaultAt notes a mistake at a place.
func (d *Decoder) FaultAt(pos Position, path, message string) {
	d.problems = append(d.problems, Problem{Pos: pos, Path: path, Message: message})
	d.spoil(path, false)
}

// Unreadable notes a node of the wrong shape: whatever else would be said about it and what is below only follows.
func (d *Decoder) Unreadable(n *Node, at *Path, message string) {
	d.Fault(n, at, message)
	d.spoil(at.String(), true)
}

func (d *Decoder) spoil(path string, below bool) {
	if d.spoiled == nil {
		d.spoiled = map[string]bool{}
	}
	d.spoiled[path] = d.spoiled[path] || below
}

// follows reports whether a complaint about a path only follows from what is known.
func (d *Decoder) follows(path string) bool {
	if _, known := d.spoiled[path]; known {
		return true
	}
	for end := strings.LastIndexAny(path, ".["); end >= 0; end = strings.LastIndexAny(path[:end], ".[") {
		if d.spoiled[path[:end]] {
			return true
		}
	}
	return d.spoiled[""]
}

// Complain notes what an error says about a section: each of joined errors at the key that its text begins with.
// What is already known to be wrong is not said again.
func (d *Decoder) Complain(n *Node, at *Path, err error) { d.complain(n, at, err, false) }

// complain leaves out what is said of the section as a whole when its keys could not all be read.
func (d *Decoder) complain(n *Node, at *Path, err error, keysOnly bool) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			d.complain(n, at, e, keysOnly)
		}
		return
	}
	if err == nil {
		return
	}
	pos, path, message := n.locate(err.Error())
	if path == "" && keysOnly {
		return
	}
	path = join(at.String(), path)
	if !d.follows(path) {
		d.FaultAt(pos, path, message)
	}
}

// Decode reads n into what into points to, which already holds its defaults (see Defaults). The result is usable only
// if no problem was added.
func (d *Decoder) Decode(n *Node, at *Path, into any) {
	d.value(n, at, reflect.ValueOf(into).Elem())
}

// Defaults applies SetDefaults to a new value: first of the structs in it, then its own.
func Defaults(into any) { setDefaults(reflect.ValueOf(into).Elem()) }

func setDefaults(v reflect.Value) {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Field(i).Kind() == reflect.Struct {
				setDefaults(v.Field(i))
			}
		}
	}
	if s, ok := v.Addr().Interface().(interface{ SetDefaults() }); ok {
		s.SetDefaults()
	}
}

func (d *Decoder) value(n *Node, at *Path, v reflect.Value) {
	for _, b := range n.bad {
		d.FaultAt(b.pos, at.String(), b.message)
		d.spoil(at.String(), n.Kind != Mapping)
	}
	if n.bad != nil && n.Kind != Mapping {
		return
	}
	if hook := d.Hooks[v.Type()]; hook != nil {
		hook(d, n, at, v)
		return
	}
	if v.Kind() == reflect.Pointer {
		if n.Kind == Null {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			setDefaults(v.Elem())
		}
		d.value(n, at, v.Elem())
		return
	}
	if n.Kind == Null {
		d.validate(n, at, v, false)
		return
	}
	if u, ok := v.Addr().Interface().(interface{ UnmarshalConfig(v any) error }); ok {
		if d.deepFaults(n, at) {
			return
		}
		if err := u.UnmarshalConfig(n.Value()); err != nil {
			d.Complain(n, at, err)
			return
		}
		d.validate(n, at, v, false)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && (n.Kind == Scalar || v.Kind() != reflect.Struct || len(d.fieldsOf(v.Type())) == 0) {
		d.text(n, at, v, u)
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d.duration(n, at, v)
		return
	}
	d.kind(n, at, v)
}

func (d *Decoder) kind(n *Node, at *Path, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, at, v)
	case reflect.Slice:
		d.list(n, at, v)
	case reflect.Map:
		d.mapping(n, at, v)
	case reflect.Interface:
		if !d.deepFaults(n, at) {
			if plain := reflect.ValueOf(n.Value()); plain.IsValid() && plain.Type().AssignableTo(v.Type()) {
				v.Set(plain)
			}
		}
	default:
		d.scalar(n, at, v)
	}
}

// validate asks the value itself. unread says that keys of it could not be read.
func (d *Decoder) validate(n *Node, at *Path, v reflect.Value, unread bool) {
	if c, ok := v.Addr().Interface().(interface{ Validate() error }); ok {
		d.complain(n, at, c.Validate(), unread)
	}
}

// deepFaults reports the tree's own mistakes below a node that is read as a plain value.
func (d *Decoder) deepFaults(n *Node, at *Path) bool {
	before := len(d.problems)
	for i, item := range n.Items {
		d.ownFaults(item, at.Index(i))
	}
	for _, f := range n.Fields {
		d.ownFaults(f.Value, at.Key(f.Key))
	}
	return len(d.problems) > before || n.bad != nil
}

func (d *Decoder) ownFaults(n *Node, at *Path) {
	for _, b := range n.bad {
		d.FaultAt(b.pos, at.String(), b.message)
	}
	d.deepFaults(n, at)
}

func (d *Decoder) structure(n *Node, at *Path, v reflect.Value) {
	if n.Kind != Mapping {
		d.Unreadable(n, at, "must be a mapping"+d.keysHint(v.Type())+", not "+n.Kind.String())
		return
	}
	known := d.fieldsOf(v.Type())
	before := len(d.problems)
	for _, f := range n.Fields {
		path := at.Key(f.Key)
		index, ok := known[f.Key]
		if !ok {
			words := known.names()
			d.FaultAt(f.KeyPos, path.String(), Unknown("key", f.Key, words))
			if meant := Nearest(f.Key, words); meant != "" && n.Field(meant) == nil {
				d.spoil(at.Key(meant).String(), true)
			}
			continue
		}
		d.value(f.Value, path, v.FieldByIndex(index))
	}
	d.validate(n, at, v, len(d.problems) > before)
}

func (d *Decoder) keysHint(t reflect.Type) string {
	if names := d.fieldsOf(t).names(); len(names) > 0 && len(names) <= 8 {
		return " with the keys " + strings.Join(names, ", ")
	}
	return ""
}

func (d *Decoder) list(n *Node, at *Path, v reflect.Value) {
	if n.Kind != List {
		d.Unreadable(n, at, "must be a list, not "+n.Kind.String())
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		path := at.Index(i)
		if item.Kind == Null && item.bad == nil && v.Type().Elem().Kind() != reflect.Interface {
			d.Unreadable(item, path, "is empty")
			continue
		}
		setDefaults(out.Index(i))
		d.value(item, path, out.Index(i))
	}
	v.Set(out)
}

func (d *Decoder) mapping(n *Node, at *Path, v reflect.Value) {
	if n.Kind != Mapping {
		d.Unreadable(n, at, "must be a mapping, not "+n.Kind.String())
		return
	}
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("strictyaml: %s: keys of a mapping are strings", v.Type()))
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Fields))
	for _, f := range n.Fields {
		element := reflect.New(v.Type().Elem()).Elem()
		setDefaults(element)
		d.value(f.Value, at.Key(f.Key), element)
		out.SetMapIndex(reflect.ValueOf(f.Key).Convert(v.Type().Key()), element)
	}
	v.Set(out)
}
