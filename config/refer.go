package config

import (
	"fmt"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// refer checks a name that stands elsewhere in the document, and fills in the only one when none is given.
func (r *reader) refer(at, what string, name *string, known *names) {
	switch {
	case *name != "" && !known.has(*name):
		r.complain("%s: %s", at, strictyaml.Unknown(what, *name, known.list))
	case *name == "" && len(known.list) == 1:
		*name = known.list[0]
	case *name == "" && len(known.list) == 0:
		r.complain("%s: is missing, and the document has no %s", at, what)
	case *name == "":
		r.Complain(r.root, nil, missing(at, known.list...))
	}
}

// merged checks that registries which are made of others name at least two, each once, and none that is merged itself.
func (r *reader) merged(doc *Document, registries *names) {
	types := map[string]string{}
	for _, reg := range doc.Registries {
		types[reg.Name] = reg.Type
	}
	for i, reg := range doc.Registries {
		if reg.Type != Merged {
			continue
		}
		at := fmt.Sprintf("registries[%d].members", i)
		if len(reg.Members) < 2 {
			r.complain("%s: must name at least two registries, the most trusted first", at)
		}
		seen := map[string]bool{}
		for n, member := range reg.Members {
			switch {
			case !registries.has(member):
				r.complain("%s[%d]: %s", at, n, strictyaml.Unknown("registry", member, registries.list))
			case types[member] == Merged:
				r.complain("%s[%d]: %q is merged itself; name its members instead", at, n, member)
			case seen[member]:
				r.complain("%s[%d]: %q is named twice", at, n, member)
			}
			seen[member] = true
		}
	}
}

// registration checks what a registration names elsewhere.
func (r *reader) registration(at string, reg *Registration, doc *Document, registries *names) {
	r.refer(at+".registry", "registry", &reg.Registry, registries)
	listeners := newNames()
	for _, l := range doc.Listeners {
		if l.Name != "" && !listeners.has(l.Name) {
			listeners.index[l.Name] = len(listeners.list)
			listeners.list = append(listeners.list, l.Name)
		}
	}
	if _, _, err := splitAddress(reg.Address); err != nil { // without a port it is a listener's
		r.refer(at+".listener", "listener", &reg.Listener, listeners)
	}
	for _, other := range doc.Registries {
		if other.Name == reg.Registry && other.Type == Merged {
			r.complain("%s.registry: %q is merged; name one of its members", at, reg.Registry)
		}
	}
}
