package registry

import "strings"

// Kind says in which of a registry's layouts a service is looked for.
type Kind uint8

const (
	// Plain is a service named by its application: Spring Cloud services, gRPC services, file entries.
	Plain Kind = iota
	// Dubbo is a Dubbo service, named by its Java interface, group and version.
	Dubbo
)

// ServiceName identifies a service inside one registry. It is comparable and may key a map.
type ServiceName struct {
	Kind Kind
	// Name is the application's name, or the Java interface's.
	Name string
	// Group is, for Plain, the registry's own group (Nacos), empty meaning every configured one; for Dubbo, the service's
	// group, where empty is a value of its own and "*" is any.
	Group string
	// Version is a Dubbo service's version; empty is a value of its own, "*" is any.
	Version string
}

// App names a Plain service.
func App(name string) ServiceName { return ServiceName{Name: name} }

// DubboService names a Dubbo service.
func DubboService(iface, group, version string) ServiceName {
	return ServiceName{Kind: Dubbo, Name: iface, Group: group, Version: version}
}

// String is the form that logs, metrics and the status page show: Dubbo's own service key, [group/]name[:version].
func (n ServiceName) String() string {
	s := n.Name
	if n.Group != "" {
		s = n.Group + "/" + s
	}
	if n.Version != "" {
		s += ":" + n.Version
	}
	return s
}

// ParseServiceName reads the form of String.
func ParseServiceName(kind Kind, s string) ServiceName {
	n := ServiceName{Kind: kind}
	if group, rest, ok := strings.Cut(s, "/"); ok {
		n.Group, s = group, rest
	}
	if name, version, ok := strings.Cut(s, ":"); ok && kind == Dubbo {
		n.Version, s = version, name
	}
	n.Name = s
	return n
}

// Matches reports whether a Dubbo service of this exact group and version is one that n asks for.
func (n ServiceName) Matches(group, version string) bool {
	return (n.Group == "*" || n.Group == group) && (n.Version == "*" || n.Version == version)
}

// String is the word that status shows.
func (k Kind) String() string {
	if k == Dubbo {
		return "dubbo"
	}
	return "plain"
}
