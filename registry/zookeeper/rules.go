package zookeeper

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// maxRule bounds a rule's document: what reads YAML takes a minute for 64 KB of brackets, and a tenth of a second for these.
const maxRule = 8 << 10

// What a rule's node of the configuration centre (/dubbo/config/dubbo) ends with.
const configurators = ".configurators"

// isRouter reports whether a rule's node holds routing rules, and whom they are for.
func isRouter(name string) (of string, ok bool) {
	for _, suffix := range []string{".condition-router", ".tag-router", ".script-router", ".affinity-router"} {
		if of, ok := strings.CutSuffix(name, suffix); ok {
			return of, true
		}
	}
	return "", false
}

// ruleScope is whom a rule's name says that it is for: an application, or a service as interface:version:group, with
// empties kept.
type ruleScope struct {
	name, version, group string
	service              bool // there were colons
}

func parseScope(of string) ruleScope {
	name, rest, service := strings.Cut(of, ":")
	version, group, _ := strings.Cut(rest, ":")
	if before, after, old := strings.Cut(name, "*"); old { // group*interface:version, as early 2.7 writes it
		return ruleScope{name: after, version: version, group: before, service: true}
	}
	return ruleScope{name: name, version: version, group: group, service: service}
}

// concerns reports whether a rule may change what is watched: a service, which has providers of these applications.
func (s ruleScope) concerns(service registry.ServiceName, apps map[string]struct{}) bool {
	if s.name == service.Name {
		return service.Matches(s.group, s.version)
	}
	_, ok := apps[s.name]
	return ok && !s.service
}

// ruleDocument is the YAML of configurators, as Dubbo 2.7 and 3 write it (AbstractConfiguratorListener, ConfigParser).
type ruleDocument struct {
	Enabled *bool      `yaml:"enabled"`
	Configs []ruleItem `yaml:"configs"`
}

type ruleItem struct {
	Side              string            `yaml:"side"`
	Enabled           *bool             `yaml:"enabled"`
	Addresses         []string          `yaml:"addresses"`
	ProviderAddresses []string          `yaml:"providerAddresses"`
	Applications      []string          `yaml:"applications"`
	Services          []string          `yaml:"services"`
	Match             *struct{}         `yaml:"match"`
	Parameters        map[string]string `yaml:"parameters"`
}

// parseRule reads a document of configurators as far as it is about a service. more is true if it says something that is
// not applied.
func parseRule(data []byte, scope ruleScope, service string) (all overrides, more bool, err error) {
	if len(data) > maxRule {
		return nil, false, fmt.Errorf("longer than %d bytes", maxRule)
	}
	doc, err := decodeRule(data)
	if err != nil {
		return nil, false, err
	}
	if doc.Enabled != nil && !*doc.Enabled {
		return nil, false, nil
	}
	for _, item := range doc.Configs {
		if (item.Enabled != nil && !*item.Enabled) || !item.isFor(service) {
			continue
		}
		for key := range item.Parameters {
			more = more || (key != "weight" && key != "disabled")
		}
		addresses := item.Addresses
		if item.Side == "consumer" { // then they are the consumers', and we are every one of them
			if len(addresses) > 0 && !slices.ContainsFunc(addresses, isAny) {
				continue
			}
			addresses = item.ProviderAddresses
		}
		if item.Match != nil {
			more = true
			continue
		}
		all = append(all, item.overrides(scope, addresses)...)
	}
	return all, more, nil
}

// decodeRule reads YAML that anybody may have written: not even a mistake of the library may end the process.
func decodeRule(data []byte) (doc ruleDocument, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("not a rule: it cannot be read")
		}
	}()
	if err := yaml.Unmarshal(data, &doc); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return doc, fmt.Errorf("not a rule: %s", line)
	}
	return doc, nil
}

// isFor reports whether an item of an application's rule names a service, or none.
func (item *ruleItem) isFor(service string) bool {
	return len(item.Services) == 0 || slices.ContainsFunc(item.Services, func(s string) bool {
		return s == "*" || registry.ParseServiceName(registry.Dubbo, s).Name == service
	})
}

func isAny(address string) bool {
	host, _, _ := strings.Cut(address, ":")
	return host == "0.0.0.0"
}

// overrides is one rule for each address and application that an item names.
func (item *ruleItem) overrides(scope ruleScope, addresses []string) (all overrides) {
	base := maps.Clone(item.Parameters)
	if base == nil {
		return nil
	}
	if scope.service {
		base["group"], base["version"] = scope.group, scope.version
	}
	if len(addresses) == 0 {
		addresses = []string{"0.0.0.0"}
	}
	apps := item.Applications
	if len(apps) == 0 {
		apps = []string{"*"}
	}
	for _, address := range addresses {
		for _, app := range apps {
			u := &dubbo.URL{Params: maps.Clone(base)}
			if u.SetAddress(address) != nil {
				continue
			}
			u.Params["application"] = app
			all = append(all, override{url: u, exact: scope.service})
		}
	}
	return all
}

// rules gathers what operators have set for a service: what hangs below its interface, and the rules of the configuration
// centre for its applications and for itself, which count more and more. What is not applied is noted.
func (w *dubboWatch) rules(v *view, old, routers, centre *value, apps map[string]struct{}, s *registry.Snapshot) (overrides, []*value, error) {
	all, more := parseOverrides(old.names)
	for _, name := range more {
		s.Skip("configurators/"+dubbo.Readable(name), only)
	}
	for _, name := range routers.names {
		s.Skip("routers/"+dubbo.Readable(name), only)
	}
	var scopes []ruleScope
	var names []string
	for _, name := range centre.names {
		if of, ok := isRouter(name); ok && parseScope(of).concerns(w.service, apps) {
			s.Skip(name, only)
		}
		of, ok := strings.CutSuffix(name, configurators)
		if scope := parseScope(of); ok && scope.concerns(w.service, apps) {
			scopes, names = append(scopes, scope), append(names, name)
		}
	}
	if len(names) == 0 {
		return all, nil, nil
	}
	keys := make([]key, len(names))
	for i, name := range names {
		keys[i] = key{content, w.z.config.DubboRoot + ruleFolder + "/" + name}
	}
	found, err := v.get(keys...)
	if err != nil {
		return nil, nil, err
	}
	var own overrides
	for i, f := range found {
		data := v.optional(w.z, f, keys[i].path).data
		if len(data) == 0 {
			continue
		}
		parsed, more, err := parseRule(data, scopes[i], w.service.Name)
		switch {
		case err != nil:
			s.Skip(names[i], err.Error())
		case more:
			s.Skip(names[i], only)
		}
		if scopes[i].name == w.service.Name {
			own = append(own, parsed...)
		} else {
			all = append(all, parsed...)
		}
	}
	return append(all, own...), found, nil
}

// ruleFolder is where the configuration centre keeps rules, below Dubbo's root.
const ruleFolder = "/config/dubbo"
