package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// Watch reports every instance of one service; see registry.Registry. A plain service's Group means nothing here.
func (c *client) Watch(ctx context.Context, name registry.ServiceName, push func(registry.Snapshot)) error {
	if err := checkName(name.Name); err != nil {
		return fmt.Errorf("watch %s: %w", clip(name.String()), err)
	}
	if name.Kind == registry.Dubbo {
		if c.config.DubboRoot == "" && c.config.ServicesRoot == "" {
			return fmt.Errorf("watch %s: dubboRoot and servicesRoot are both turned off", name)
		}
		w := &dubboWatch{client: c, name: name, push: push, began: time.Now()}
		c.follow(ctx, &subject{registry.Dubbo, name.Name}, w.build)
		return nil
	}
	w := &plainWatch{client: c, name: name, push: push}
	c.follow(ctx, &subject{registry.Plain, name.Name}, w.build)
	return nil
}

func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("name is empty")
	case strings.Contains(s, "/"):
		return errors.New("name holds a slash, which separates the parts of a key")
	}
	return nil
}

// follow runs build each time there may be something new, until ctx ends. build returns how long to wait before it runs
// again in any case; 0 is for ever.
func (c *client) follow(ctx context.Context, about *subject, build func(*follower) time.Duration) {
	f := c.index.join(about)
	defer c.index.leave(about, f)
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-again:
		}
		if ctx.Err() != nil {
			return
		}
		again = nil
		if wait := build(f); wait > 0 {
			again = time.After(wait)
		}
	}
}

// known is the state, if it is live and the root asked for may be read. The lock is held.
func (x *index) known(field string) *state {
	if !x.live || x.now.refused[field] != nil {
		return nil
	}
	return x.now
}

// plainWatch turns a service's keys into instances. What was read of a value is kept as long as the value stays.
type plainWatch struct {
	client *client
	name   registry.ServiceName
	push   func(registry.Snapshot)
	read   map[string]plainRead // by key
}

type plainRead struct {
	value    value
	instance registry.Instance
	err      error
}

func (w *plainWatch) build(*follower) time.Duration {
	x := w.client.index
	x.mu.Lock()
	st := x.known("prefix")
	if st == nil {
		x.mu.Unlock()
		return 0
	}
	values := maps.Clone(st.plain[w.name.Name])
	x.mu.Unlock()

	read := make(map[string]plainRead, len(values))
	s := registry.Snapshot{Service: w.name, Instances: make([]registry.Instance, 0, len(values))}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		r, again := w.read[key]
		if !again || r.value != values[key] {
			r = plainRead{value: values[key]}
			r.instance, r.err = parsePlain(r.value)
		}
		read[key] = r
		if r.err != nil {
			s.Skip(key, r.err.Error())
			continue
		}
		s.Add(key, r.instance)
	}
	w.read = read
	w.push(s)
	return 0
}
