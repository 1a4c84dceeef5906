package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// Parse reads a document and names all its mistakes in one go. file is only named in positions.
//
// Without Problems the document is good. With Problems the document is nil, unless all of them are inside routes: then
// it is good without these routes, which stand in Refused. A start treats any Problem as fatal; a hot reload applies a
// document that is not nil.
func Parse(file string, data []byte, kinds Kinds) (*Document, Problems) {
	root, problems := strictyaml.Read(file, data, kinds.Env)
	if problems != nil {
		return nil, problems
	}
	r := reader{kinds: kinds, root: root}
	r.Hooks = map[reflect.Type]strictyaml.Hook{
		reflect.TypeFor[Plugin]():   r.plugin,
		reflect.TypeFor[Registry](): r.registry,
	}
	doc := &Document{}
	strictyaml.Defaults(doc)
	r.Decode(root, nil, doc)
	if f := root.Field("routes"); f != nil {
		for i := range doc.Routes {
			doc.Routes[i].Pos = f.Value.Items[i].Pos
		}
	}
	r.check(doc)
	problems = r.Problems()
	return doc.without(problems, root), problems
}

// reader decodes one document.
type reader struct {
	strictyaml.Decoder
	kinds Kinds
	root  *strictyaml.Node
}

// plugin reads a filter: its name alone, or a mapping of its one name to its section.
func (r *reader) plugin(_ *strictyaml.Decoder, n *strictyaml.Node, at *strictyaml.Path, into reflect.Value) {
	p := into.Addr().Interface().(*Plugin)
	section := &strictyaml.Node{Pos: n.Pos}
	switch {
	case n.Kind == strictyaml.Scalar:
		p.Name, p.Pos = n.Text, n.Pos
	case n.Kind == strictyaml.Mapping && len(n.Fields) == 1:
		p.Name, p.Pos, section = n.Fields[0].Key, n.Fields[0].KeyPos, n.Fields[0].Value
	case n.Kind == strictyaml.Mapping && len(n.Fields) > 1:
		r.Unreadable(n, at, "must have one key, the filter's name; is "+strconv.Quote(n.Fields[1].Key)+" indented too little, or a filter of its own?")
		return
	default:
		r.Unreadable(n, at, "must be a filter's name, or a mapping such as stripPrefix: {parts: 1}")
		return
	}
	build, ok := r.kinds.Filters[p.Name]
	if !ok {
		r.FaultAt(p.Pos, at.String(), strictyaml.Unknown("filter", p.Name, slices.Sorted(maps.Keys(r.kinds.Filters))))
		return
	}
	p.Config = build()
	r.Decode(section, at.Key(p.Name), p.Config)
}

// registry reads a registry: its name and type, and whatever keys the type has.
func (r *reader) registry(_ *strictyaml.Decoder, n *strictyaml.Node, at *strictyaml.Path, into reflect.Value) {
	reg := into.Addr().Interface().(*Registry)
	reg.Pos = n.Pos
	if n.Kind != strictyaml.Mapping {
		r.Unreadable(n, at, "must be a mapping with name, type and the type's own keys, not "+n.Kind.String())
		return
	}
	strictyaml.Defaults(&reg.Protection)
	read := []string{"name", "type"}
	for key, into := range map[string]any{
		"name": &reg.Name, "type": &reg.Type, "protection": &reg.Protection, "denyAddresses": &reg.DenyAddresses,
	} {
		if f := n.Field(key); f != nil {
			r.Decode(f.Value, at.Key(key), into)
		}
		if !slices.Contains(read, key) {
			read = append(read, key)
		}
	}
	common, ours := len(read), []string{"name", "type", "protection"} // "addresses" of a type is no misspelt denyAddresses
	for _, f := range n.Fields {
		// The type's section would not know what was meant; and without a type there is none.
		if meant := strictyaml.Nearest(f.Key, ours); meant != "" && n.Field(meant) == nil {
			r.FaultAt(f.KeyPos, at.Key(f.Key).String(), strictyaml.Unknown("key", f.Key, ours))
			read = append(read, f.Key)
		}
	}
	types := slices.Sorted(maps.Keys(r.kinds.Registries))
	types = append(types, Merged)
	build, ok := r.kinds.Registries[reg.Type]
	switch {
	case reg.Type == Merged:
		var section struct {
			Members []string `yaml:"members"`
		}
		r.Decode(n.Without(read...), at, &section)
		reg.Members = section.Members
	case reg.Type == "" && len(read) > common:
	case reg.Type == "":
		r.Complain(n, at, missing("type", types...))
	case !ok:
		r.FaultAt(n.Field("type").Value.Pos, at.Key("type").String(), strictyaml.Unknown("type of registry", reg.Type, types))
	default:
		reg.Config = build()
		r.Decode(n.Without(read...), at, reg.Config)
	}
}

// without moves routes with problems to Refused. It gives nil if there are problems elsewhere.
func (d *Document) without(problems Problems, root *strictyaml.Node) *Document {
	bad := map[int]Problems{}
	for _, p := range problems {
		i, ok := routeOf(p.Path)
		if !ok || i >= len(d.Routes) {
			return nil
		}
		bad[i] = append(bad[i], p)
	}
	if len(bad) == 0 {
		return d
	}
	good := make([]Route, 0, len(d.Routes)-len(bad))
	for i, route := range d.Routes {
		if bad[i] == nil {
			good = append(good, route)
			continue
		}
		name := route.Name
		if name == "" {
			name = "routes[" + strconv.Itoa(i) + "]"
		}
		d.Refused = append(d.Refused, RefusedRoute{Name: name, Pos: root.Field("routes").Value.Items[i].Pos, Problems: bad[i]})
	}
	d.Routes = good
	return d
}

// routeOf is the index of the route that a path leads into.
func routeOf(path string) (int, bool) {
	rest, ok := strings.CutPrefix(path, "routes[")
	digits, _, closed := strings.Cut(rest, "]")
	i, err := strconv.Atoi(digits)
	return i, ok && closed && err == nil
}
