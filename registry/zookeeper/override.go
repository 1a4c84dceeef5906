package zookeeper

import (
	"strconv"

	"github.com/sluice-gateway/sluice/registry"
)

// overrides are the rules that operators hang below an interface (override:// nodes, written by Dubbo's consoles): of
// all that they can say, whether a provider is disabled, and its weight. The rules of Dubbo 2.7 and later that stand in
// its configuration centre (/dubbo/config) are not read.
type overrides []*dubboURL

// parseOverrides reads the children of an interface's configurators; what makes no sense is left out, as Dubbo does.
func parseOverrides(names []string) overrides {
	var all overrides
	for _, name := range names {
		u, err := parseURL(name)
		if err != nil || u.protocol != "override" || isFalse(u.params["enabled"]) {
			continue
		}
		all = append(all, u)
	}
	return all
}

// apply changes an instance as the rules say, in the order of their names.
func (o overrides) apply(i *registry.Instance) {
	for _, u := range o {
		if !overrideMatches(u, i) {
			continue
		}
		if d, ok := u.params["disabled"]; ok {
			i.Disabled = isTrue(d)
		}
		if w, err := strconv.Atoi(u.params["weight"]); err == nil {
			i.Weight = min(max(float64(w), 0)/100, 1e9)
		}
	}
}

// overrideMatches compares host, port, group, version and application, each of which may be left open.
func overrideMatches(u *dubboURL, i *registry.Instance) bool {
	switch {
	case u.host != "0.0.0.0" && u.host != "" && u.host != i.Host:
		return false
	case u.port != 0 && u.port != i.Port:
		return false
	}
	return leftOpenOr(u.params["group"], i.Group) && leftOpenOr(u.params["version"], i.Version) &&
		leftOpenOr(u.params["application"], i.Metadata["application"])
}

func leftOpenOr(rule, value string) bool { return rule == "" || rule == "*" || rule == value }
