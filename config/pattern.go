package config

import (
	"path"
	"slices"
	"strings"
)

// Matches reports whether the section is meant for a service of a registry.
func (m ServiceMatch) Matches(registry, service string) bool {
	return (m.Registry == "" || m.Registry == registry) && matchesName(m.Service, service)
}

// Allows reports whether a name with captures may come to this service.
func (d *Discover) Allows(service string) bool {
	is := func(pattern string) bool { return matchesName(pattern, service) }
	return (len(d.Include) == 0 || slices.ContainsFunc(d.Include, is)) && !slices.ContainsFunc(d.Exclude, is)
}

// matchesName compares a service's name with a pattern in which "*" is any text.
func matchesName(pattern, name string) bool {
	if pattern == "" || pattern == "*" {
		return true
	}
	if !strings.ContainsAny(pattern, "*") {
		return pattern == name
	}
	// A service's name may hold slashes and brackets, which path.Match gives a meaning.
	escape := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `?`, `\?`, `/`, "\x00")
	ok, err := path.Match(escape.Replace(pattern), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}
