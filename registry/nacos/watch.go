package nacos

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-gateway/sluice/registry"
)

// Watch reports the instances of one service; see registry.Registry. Without a group a plain service has the instances of
// all configured groups. A service is pushed first when every part of it has been answered.
func (c *client) Watch(ctx context.Context, name registry.ServiceName, push func(registry.Snapshot)) error {
	if err := checkName(name.Name); err != nil {
		return fmt.Errorf("watch service: %w", err)
	}
	step := c.plain
	if name.Kind == registry.Dubbo {
		step = c.dubbo
	} else if name.Group != "" {
		if err := checkName(name.Group); err != nil {
			return fmt.Errorf("watch service: group: %w", err)
		}
	}
	c.follow(ctx, func(sc *scope) {
		if snapshot, ok := step(sc, name); ok {
			push(snapshot)
		}
	})
	return nil
}

// plain is the state of an ordinary service; false: not all of it is known yet.
func (c *client) plain(sc *scope, name registry.ServiceName) (registry.Snapshot, bool) {
	groups := c.config.Groups
	if name.Group != "" {
		groups = []string{name.Group}
	}
	snapshot := registry.Snapshot{Service: name}
	ready := true
	for _, group := range groups {
		h, known := sc.service(group, name.Name)
		ready = ready && known
		skipBad(&snapshot, h)
		for i := range h.list {
			if h.list[i].in(c.config.Clusters) {
				snapshot.Add(h.list[i].name(), h.list[i].plain())
			}
		}
	}
	return snapshot, ready
}

func skipBad(s *registry.Snapshot, h hosts) {
	for _, b := range h.bad {
		s.Skip(b.Entry, b.Reason)
	}
}

// WatchServices reports the services of all configured groups. Dubbo's interfaces are among them as Dubbo services,
// applications as plain ones; interfaces that are only registered by application are not in Nacos's list.
func (c *client) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	c.follow(ctx, func(sc *scope) {
		var set registry.ServiceSet
		ready := true
		interfaces := map[registry.ServiceName]struct{}{}
		for _, group := range c.config.Groups {
			names, known := sc.list(group)
			ready = ready && known
			for _, n := range names {
				name, ok := serviceName(group, n)
				if !ok {
					continue
				}
				if name.Kind == registry.Dubbo { // the same one may be in several of Nacos's groups
					if _, again := interfaces[name]; again {
						continue
					}
					interfaces[name] = struct{}{}
				}
				set.Services = append(set.Services, name)
			}
		}
		if ready {
			push(set)
		}
	})
	return nil
}

// WatchDefinition reports Dubbo's FullServiceDefinition of a service, which each application that provides it publishes as
// a configuration entry; those of the first application in alphabetical order that has one.
func (c *client) WatchDefinition(ctx context.Context, name registry.ServiceName, push func([]byte)) error {
	if err := checkName(name.Name); err != nil {
		return fmt.Errorf("watch definition: %w", err)
	}
	if name.Kind != registry.Dubbo || name.Group == "*" || name.Version == "*" {
		return errors.New("watch definition: group and version must be exact")
	}
	c.follow(ctx, func(sc *scope) {
		if definition, ok := c.definition(sc, name); ok {
			push(definition)
		}
	})
	return nil
}
