package zookeeper

import (
	"strconv"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
	"github.com/sluice-gateway/sluice/registry/dubbo"
)

// override is a rule that operators set for providers: of all that it can say, whether they are disabled, and their
// weight.
type override struct {
	url *dubbo.URL // whom it is for, and what it sets
	// exact says that group and version are those of the rule even where they are empty.
	exact bool
}

// overrides are applied one after the other.
type overrides []override

// only is why a rule, or a part of it, is left out.
const only = "not applied: of Dubbo's rules only weight and disabled are"

// parseOverrides reads the children of an interface's configurators (override:// nodes, as Dubbo before 2.7 and its older
// consoles write them); what makes no sense is left out, as Dubbo does. It returns the names of those that say more than
// is applied.
func parseOverrides(names []string) (all overrides, more []string) {
	for _, name := range names {
		u, err := dubbo.ParseEscaped(name)
		if err != nil || u.Protocol != "override" || strings.EqualFold(u.Params["enabled"], "false") {
			continue
		}
		all = append(all, override{url: u})
		for key := range u.Params {
			switch key {
			case "weight", "disabled", "enabled", "group", "version", "application", "category", "dynamic", "side", "compatible_config", "configVersion":
				continue
			}
			more = append(more, name)
			break
		}
	}
	return all, more
}

// apply changes an instance as the rules say.
func (o overrides) apply(i *registry.Instance) {
	for _, r := range o {
		if !r.matches(i) {
			continue
		}
		if d, ok := r.url.Params["disabled"]; ok {
			i.Disabled = strings.EqualFold(d, "true")
		}
		if w, err := strconv.Atoi(r.url.Params["weight"]); err == nil {
			i.Weight = min(max(float64(w), 0)/100, 1e9)
		}
	}
}

// matches compares host, port, group, version and application, each of which may be left open.
func (r override) matches(i *registry.Instance) bool {
	u := r.url
	switch {
	case u.Host != "0.0.0.0" && u.Host != "" && u.Host != i.Host:
		return false
	case u.Port != 0 && u.Port != i.Port:
		return false
	case !leftOpenOr(u.Params["application"], i.Metadata["application"]):
		return false
	case r.exact:
		return u.Params["group"] == i.Group && u.Params["version"] == i.Version
	}
	return leftOpenOr(u.Params["group"], i.Group) && leftOpenOr(u.Params["version"], i.Version)
}

func leftOpenOr(rule, value string) bool { return rule == "" || rule == "*" || rule == value }
