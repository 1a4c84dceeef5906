package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/sluice-gateway/sluice/strictyaml"
)

// missing says that a key must be given, and optionally what it can be.
func missing(key string, words ...string) error {
	if len(words) > 0 && len(words) <= 16 {
		return fmt.Errorf("%s: is missing; one of %s", key, strings.Join(words, ", "))
	}
	return fmt.Errorf("%s: is missing", key)
}

// complain notes a mistake of the whole document; text begins with the path of the key.
func (r *reader) complain(format string, args ...any) {
	r.Complain(r.root, nil, fmt.Errorf(format, args...))
}

// check is what no type can say about itself: what must be there, be unique, or be named elsewhere.
func (r *reader) check(doc *Document) {
	if len(doc.Listeners) == 0 {
		r.Complain(r.root, nil, missing("listeners"))
	}
	r.addresses(doc)
	names := newNames()
	for i := range doc.Listeners {
		r.named(names, "listeners", i, doc.Listeners[i].Name)
	}
	names = newNames()
	for i := range doc.Registries {
		r.named(names, "registries", i, doc.Registries[i].Name)
	}
	registries := names
	r.merged(doc, registries)
	for i := range doc.Registrations {
		r.registration(fmt.Sprintf("registrations[%d]", i), &doc.Registrations[i], doc, registries)
	}
	names = newNames()
	for i := range doc.Routes {
		r.named(names, "routes", i, doc.Routes[i].Name)
		r.route(fmt.Sprintf("routes[%d]", i), &doc.Routes[i], registries)
	}
	matches := map[ServiceMatch]int{}
	for i, s := range doc.Services {
		if s.Match.Registry != "" && !registries.has(s.Match.Registry) {
			r.complain("services[%d].match.registry: %s", i, strictyaml.Unknown("registry", s.Match.Registry, registries.list))
		}
		if first, twice := matches[s.Match]; twice && s.Match.Service != "" {
			r.complain("services[%d].match: is the same as that of services[%d], which wins", i, first)
		} else {
			matches[s.Match] = i
		}
	}
}

// names are those given in one list.
type names struct {
	list  []string
	index map[string]int
}

func newNames() *names { return &names{index: map[string]int{}} }

func (n *names) has(name string) bool { _, ok := n.index[name]; return ok }

func (r *reader) named(seen *names, list string, i int, name string) {
	if name == "" {
		r.complain("%s[%d].name: is missing", list, i)
		return
	}
	if first, ok := seen.index[name]; ok {
		r.complain("%s[%d].name: %q is already the name of %s[%d]", list, i, name, list, first)
		return
	}
	seen.index[name] = i
	seen.list = append(seen.list, name)
}

// addresses refuses two of ours at one port.
func (r *reader) addresses(doc *Document) {
	type bound struct{ host, port, path string }
	var all []bound
	add := func(path, address string) {
		host, port, err := splitAddress(address)
		if err != nil || port == "0" {
			return // said by Validate, or any free port
		}
		host = strings.ToLower(host)
		if ip, err := netip.ParseAddr(host); err == nil { // one of several spellings
			if host = ip.Unmap().String(); ip.Unmap().IsUnspecified() {
				host = ""
			}
		}
		for _, b := range all {
			if b.port == port && (b.host == host || b.host == "" || host == "") {
				r.complain("%s: %q is already taken by %s", path, address, b.path)
				return
			}
		}
		all = append(all, bound{host, port, path})
	}
	for i, l := range doc.Listeners {
		add(fmt.Sprintf("listeners[%d].address", i), l.Address)
	}
	if doc.Admin.Address != "off" {
		add("admin.address", doc.Admin.Address)
	}
}

// route checks what a route names elsewhere, and how its parts go together.
func (r *reader) route(at string, route *Route, registries *names) {
	captures := captures(route.Match.Path)
	if route.Match.Path != "" {
		if err := r.pattern(route.Match.Path); err != nil {
			r.complain("%s.match.path: %w", at, err)
		}
	}
	answers := ""
	for _, f := range route.Filters {
		if a, ok := f.Config.(interface{ Answers() bool }); ok && a.Answers() {
			answers = f.Name
		}
	}
	to := route.To
	switch {
	case to == nil && answers == "":
		r.complain("%s.to: is missing, and no filter of the route answers itself", at)
		return
	case to == nil:
		return
	case answers != "":
		r.complain("%s.to: is never reached, since the filter %s answers every request", at, answers)
	}
	r.refer(at+".to.registry", "registry", &to.Registry, registries)
	r.templates(at+".to", to, captures)
	r.parts(at+".to", to, captures, registries)
}

func (r *reader) pattern(path string) error {
	if path[0] != '/' {
		return errors.New("must begin with /")
	}
	if r.kinds.Pattern == nil {
		return nil
	}
	return r.kinds.Pattern(path)
}
