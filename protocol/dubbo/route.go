package dubbo

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gateway/sluice/protocol"
	"github.com/sluice-gateway/sluice/protocol/dubbo/types"
)

// Route says which Dubbo method an HTTP request becomes, and where its arguments come from.
type Route struct {
	// Interface is the Java interface.
	Interface string
	// Method is the Java method; it may hold captures of the path, as in "{method}".
	Method string
	// Group and Version select the service. Where they are empty the headers x-dubbo-group and x-dubbo-version do.
	Group, Version string
	// Args are templates, one for each parameter: text with "{path.id}", "{query.q}", "{header.X-Tenant}", "{cookie.sid}",
	// or the JSON of "{body}" and "{body/pointer}" (RFC 6901), or a constant of any type, or a list or map of all these. Nil
	// means that the request alone says what the arguments are; see Transcoder.
	Args []any
	// Types are the Java types of the parameters. They are needed for services without a definition in the registry, and to
	// choose an overload.
	Types []string
	// Attachments are the request headers that become attachments of the same name, beside traceparent and tracestate.
	Attachments []string
	// Unknown is what to do with an unknown property of a bean: "reject" (also "") or "ignore".
	Unknown string
	// BodyLimit bounds the request's body in bytes. Default 8 MiB.
	BodyLimit int64
}

// Headers by which a client chooses what the route leaves open.
const (
	HeaderGroup   = "x-dubbo-group"
	HeaderVersion = "x-dubbo-version"
	// HeaderSignature chooses an overload by its parameter types: java.lang.String,int.
	HeaderSignature = "x-dubbo-signature"
)

// Service names a Dubbo service exactly.
type Service struct {
	Interface, Group, Version string
}

// String is Dubbo's own form, [group/]interface[:version].
func (s Service) String() string {
	name := s.Interface
	if s.Group != "" {
		name = s.Group + "/" + name
	}
	if s.Version != "" {
		name += ":" + s.Version
	}
	return name
}

// Select says which group and version a request wants: the route's, or the client's. ok is false for what is left open.
func (r *Route) Select(req *protocol.Request) (group string, groupOK bool, version string, versionOK bool) {
	group, groupOK = r.Group, r.Group != ""
	if !groupOK {
		group, groupOK = req.Header.Lookup(HeaderGroup)
	}
	version, versionOK = r.Version, r.Version != ""
	if !versionOK {
		version, versionOK = req.Header.Lookup(HeaderVersion)
	}
	return group, groupOK, version, versionOK
}

// reservedAttachments belong to the protocol itself. A client that set one could redirect a call.
var reservedAttachments = []string{
	"path", "interface", "group", "version", "timeout", "generic", "async", "token", "side", "input", "dubbo", "sent", "return", "oneway",
}

// validate checks what can be checked without a definition.
func (r *Route) validate() error {
	var problems []error
	if r.Interface == "" {
		problems = append(problems, errors.New("interface: is missing"))
	}
	if strings.ContainsAny(r.Interface, "{} ") {
		problems = append(problems, fmt.Errorf("interface: %q is not the name of a Java interface", r.Interface))
	}
	if r.Method == "" {
		problems = append(problems, errors.New("method: is missing"))
	}
	if strings.HasPrefix(r.Method, "$") {
		problems = append(problems, fmt.Errorf("method: %q is not a method of a service", r.Method))
	}
	if r.Args != nil && r.Types != nil && len(r.Args) != len(r.Types) {
		problems = append(problems, fmt.Errorf("types: %d types for %d args", len(r.Types), len(r.Args)))
	}
	switch r.Unknown {
	case "", "reject", "ignore":
	default:
		problems = append(problems, fmt.Errorf(`unknown: %q is neither "reject" nor "ignore"`, r.Unknown))
	}
	for _, name := range r.Attachments {
		for _, reserved := range reservedAttachments {
			if protocol.EqualFold(name, reserved) {
				problems = append(problems, fmt.Errorf("attachments: %q belongs to the protocol", name))
			}
		}
	}
	if _, err := (*types.Definition)(nil).Signature(r.Method, r.Types); err != nil {
		problems = append(problems, fmt.Errorf("types: %w", err))
	}
	return errors.Join(problems...)
}
