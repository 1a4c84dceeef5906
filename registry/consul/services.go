package consul

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/sluice-gateway/sluice/registry"
)

// listPause is the least time between two answers about the list: Consul wakes it for every instance that comes or goes.
const listPause = 150 * time.Millisecond

// ownService is Consul itself, whose port is that of its servers' own protocol.
const ownService = "consul"

// WatchServices reports the names in the catalogue.
func (c *consul) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	l := &list{consul: c, push: push}
	return follow(ctx, c, &question[map[string][]string]{
		what: "the list of services", least: listPause, most: listPause, reserved: true,
		ask: func(s *session, o *api.QueryOptions) (map[string][]string, *api.QueryMeta, error) {
			return s.api.Catalog().Services(o)
		},
		accept: l.accept,
	})
}

// list is the list of services as it was pushed last.
type list struct {
	consul *consul
	push   func(registry.ServiceSet)

	token   string // with which it was read
	whole   bool   // once read without anything hidden
	names   []registry.ServiceName
	skipped string // what was complained about
}

func (l *list) accept(_ context.Context, s *session, services map[string][]string, meta *api.QueryMeta, first bool) (bool, error) {
	if len(services) == 0 && s.wire.token == "" && s.wire.denies.Load() {
		return false, errAnonymous
	}
	names := l.read(services)
	if s.wire.token != l.token {
		l.token, l.whole = s.wire.token, false
	}
	switch {
	case !meta.ResultsFilteredByACLs:
		l.whole = true
	case l.whole:
		// The token has lost rights. What is hidden now is not gone: names are added only.
		names = slices.Compact(slices.SortedFunc(slices.Values(slices.Concat(names, l.names)), compareNames))
		l.consul.complain(fmt.Errorf("%s: the list of services: the ACLs hide a part of it since a while, services are only added (the token of %s needs service:read on all of them)",
			s.at, l.consul.config.tokenField()))
	case first:
		l.consul.complain(fmt.Errorf("%s: the list of services: the ACLs hide a part of it (the token of %s has no service:read on all of them)",
			s.at, l.consul.config.tokenField()))
	}
	if !first && slices.Equal(names, l.names) {
		return false, nil
	}
	l.names = names
	l.push(registry.ServiceSet{Services: slices.Clone(names)})
	return true, nil
}

// read sorts the names, and leaves out those that cannot be asked for.
func (l *list) read(services map[string][]string) []registry.ServiceName {
	names := make([]registry.ServiceName, 0, len(services))
	bad := ""
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if name == ownService {
			continue
		}
		if err := checkName(name); err != nil {
			bad = cmp.Or(bad, err.Error())
			continue
		}
		names = append(names, namesOf(name, services[name])...)
	}
	if bad != l.skipped {
		l.skipped = bad
		if bad != "" {
			l.consul.complain(fmt.Errorf("the list of services: a service is left out: %s", clean(bad)))
		}
	}
	slices.SortFunc(names, compareNames)
	return names
}

// namesOf are the services behind one name. For Dubbo's the list holds the tags of all providers together: with several groups
// and several versions it cannot be told which go together, so every pair is named, and a pair without a provider is a service
// without instances.
func namesOf(name string, tags []string) []registry.ServiceName {
	if !slices.Contains(tags, dubboTag) {
		return []registry.ServiceName{registry.App(intern(name))}
	}
	values := map[string][]string{"group": {}, "version": {}}
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		if have, ok := values[key]; ok && !slices.Contains(have, value) {
			values[key] = append(have, intern(value))
		}
	}
	var names []registry.ServiceName
	for _, group := range orNone(values["group"]) {
		for _, version := range orNone(values["version"]) {
			if len(names) == maxPairs {
				return names
			}
			names = append(names, registry.DubboService(intern(name), group, version))
		}
	}
	return names
}

// maxPairs bounds the groups and versions of one interface.
const maxPairs = 256

func orNone(values []string) []string {
	if len(values) == 0 {
		return []string{""}
	}
	return values
}

func compareNames(a, b registry.ServiceName) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version))
}
