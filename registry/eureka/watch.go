package eureka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-gateway/sluice/registry"
)

// watch is one caller of Watch or WatchServices, who is told that there is something new, and looks himself: so one that is
// slow misses steps between, and holds up nobody.
type watch struct{ news chan struct{} }

func newWatch() *watch { return &watch{news: make(chan struct{}, 1)} }

func wake(group map[*watch]struct{}) {
	for w := range group {
		w.wake()
	}
}

func (w *watch) wake() {
	select {
	case w.news <- struct{}{}:
	default: // it has not yet looked at the last news
	}
}

// Watch reports the instances of an application, or of a virtual host name; upper and lower case are the same.
func (c *client) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	switch {
	case service.Kind == registry.Dubbo:
		return fmt.Errorf("watch %s: Eureka holds applications, and no Dubbo services", service)
	case service.Group != "":
		return fmt.Errorf("watch %s: Eureka has no groups", service)
	case service.Name == "":
		return errors.New("watch service: it has no name")
	}
	name := strings.ToLower(service.Name)
	w := newWatch()
	c.mu.Lock()
	if c.watches[name] == nil {
		c.watches[name] = map[*watch]struct{}{}
	}
	c.watches[name][w] = struct{}{}
	w.wake()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watches[name], w)
		if len(c.watches[name]) == 0 {
			delete(c.watches, name)
		}
	}()
	for w.wait(ctx) {
		c.mu.Lock()
		w.look()
		var in []found
		if c.store != nil {
			in = c.store.find(name)
		}
		// What is not known is not told: without a connection "no such service" would be a guess.
		known := c.live || len(in) > 0
		c.mu.Unlock()
		if known {
			push(snapshot(service, name, in))
		}
	}
	return nil
}

// WatchServices reports the names of all applications that have an instance, in lower case: Eureka keeps them in upper case,
// and nobody writes them so. Virtual host names are not in the list.
func (c *client) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	w := newWatch()
	c.mu.Lock()
	c.lists[w] = struct{}{}
	w.wake()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.lists, w)
	}()
	for w.wait(ctx) {
		c.mu.Lock()
		w.look()
		known := c.live
		var names []string
		if known {
			names = slices.Sorted(maps.Keys(c.store.apps))
		}
		c.mu.Unlock()
		if !known {
			continue
		}
		set := registry.ServiceSet{Services: make([]registry.ServiceName, 0, len(names))}
		for _, n := range names {
			if n == "" { // instances that do not say of what
				continue
			}
			set.Services = append(set.Services, registry.App(n))
		}
		push(set)
	}
	return nil
}

// look takes note that all news until now is seen. The client's lock is held by the caller, as by who wakes.
func (w *watch) look() {
	select {
	case <-w.news:
	default:
	}
}

// wait returns true when there is news, false when ctx has ended.
func (w *watch) wait(ctx context.Context) bool {
	select {
	case <-w.news:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
