package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sluice-gateway/sluice/registry"
)

// How long to wait between attempts to connect: nothing while there are servers not tried yet, then the first delay,
// doubling up to the last one, each shortened by up to a half at random.
const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 2 * time.Second
)

// zooKeeper implements registry.Registry and registry.DefinitionWatcher.
type zooKeeper struct {
	config    *Config
	opts      registry.Options
	set       settings
	addresses []string
	tree      *tree
	metadata  *metadataStore

	mu     sync.Mutex
	state  registry.State
	logged string // the newest trouble, so that the log says it once
}

func newZooKeeper(c *Config, opts registry.Options) *zooKeeper {
	z := &zooKeeper{
		config: c,
		opts:   opts,
		set:    settings{sessionTimeout: c.SessionTimeout, connectTimeout: c.ConnectTimeout, logger: opts.Logger},
		tree:   newTree(),
	}
	for _, a := range c.Addresses {
		full, _ := withPort(a) // validated
		z.addresses = append(z.addresses, full)
	}
	if c.Username != "" {
		z.set.credentials = []byte(c.Username + ":" + c.Password)
	}
	z.metadata = newMetadataStore(c.DubboRoot, z.tree, opts.Dubbo, z.complain)
	return z
}

// Run keeps a session until ctx ends.
func (z *zooKeeper) Run(ctx context.Context) error {
	z.report(registry.Connecting, nil)
	closing := sync.WaitGroup{} // sessions take up to a second to end; the next one need not wait for that
	defer closing.Wait()
	defer z.metadata.stop()
	z.metadata.start(ctx)
	lost := registry.Connecting // what it is called while there is no session
	for ctx.Err() == nil {
		s := z.connect(ctx, lost)
		if s == nil {
			break
		}
		lost = registry.Stale
		z.tree.attach(s)
		z.report(registry.Live, nil)
		select {
		case <-s.lost:
			z.tree.detach()
			z.report(registry.Stale, fmt.Errorf("lost the session: %w", s.reason()))
		case <-ctx.Done():
			z.tree.detach()
		}
		closing.Go(s.close)
	}
	return nil
}

// connect tries one server after the other until there is a session; nil when ctx ended.
func (z *zooKeeper) connect(ctx context.Context, state registry.State) *session {
	delay := firstDelay
	for {
		for _, n := range rand.Perm(len(z.addresses)) {
			s, err := open(ctx, z.addresses[n], z.set, z.tree.changed)
			if err == nil {
				return s
			}
			if ctx.Err() != nil {
				return nil
			}
			z.report(state, err)
		}
		timer := time.NewTimer(delay/2 + rand.N(delay/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		delay = min(2*delay, lastDelay)
	}
}

func (z *zooKeeper) report(state registry.State, err error) {
	line := ""
	if err != nil {
		line = err.Error()
	}
	z.mu.Lock()
	changed := state != z.state || line != z.logged
	z.state, z.logged = state, line
	z.mu.Unlock()
	switch {
	case err != nil && changed:
		z.opts.Logger.Warn("trouble with ZooKeeper", "state", state.String(), "error", err)
	case changed && state == registry.Live:
		z.opts.Logger.Info("connected to ZooKeeper")
	}
	z.opts.Report(state, err)
}

// complain reports trouble that does not change the state.
func (z *zooKeeper) complain(err error) {
	z.mu.Lock()
	state := z.state
	z.mu.Unlock()
	z.report(state, err)
}

// Watch reports every instance of one service: of Kind Dubbo by interface and by application, of Kind Plain those that
// Spring Cloud registers.
func (z *zooKeeper) Watch(ctx context.Context, service registry.ServiceName, push func(registry.Snapshot)) error {
	if err := checkPart(service.Name); err != nil {
		return fmt.Errorf("watch %s: %w", service, err)
	}
	if service.Kind == registry.Dubbo {
		w := newDubboWatch(z, service, push)
		return z.follow(ctx, service.String(), w.build)
	}
	return z.follow(ctx, service.String(), plainWatch(z.config.ServicesRoot, service, push))
}

// WatchServices reports the interfaces that have a provider and the applications that have an instance.
func (z *zooKeeper) WatchServices(ctx context.Context, push func(registry.ServiceSet)) error {
	w := newServicesWatch(z, push)
	return z.follow(ctx, "the list of services", w.build)
}

// WatchDefinition reports the definition that Dubbo's providers store, of an application that has an instance if possible.
func (z *zooKeeper) WatchDefinition(ctx context.Context, service registry.ServiceName, push func([]byte)) error {
	if err := checkPart(service.Name); err != nil {
		return fmt.Errorf("watch the definition of %s: %w", service, err)
	}
	for _, part := range []string{service.Group, service.Version} {
		if err := checkPart(part); part != "" && err != nil {
			return fmt.Errorf("watch the definition of %s: %w", service, err)
		}
	}
	if service.Kind != registry.Dubbo || service.Group == "*" || service.Version == "*" {
		return fmt.Errorf("watch the definition of %s: not one Dubbo service", service)
	}
	w := &definitionWatch{z: z, service: service, push: push}
	return z.follow(ctx, "the definition of "+service.String(), w.build)
}

// How long a follower rests after a run, so that a storm of changes costs little: longer for those that looked at more.
// A change that comes alone is handled at once. What a run took is no measure: on a busy machine that is mostly waiting.
const (
	shortRest = 10 * time.Millisecond
	restEach  = 10 * time.Microsecond // for every name or node looked at
	longRest  = 200 * time.Millisecond
)

// How long a follower waits after a refusal (a node that may not be read) before it asks again.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// follow runs build whenever something that it read has changed, until ctx ends.
func (z *zooKeeper) follow(ctx context.Context, what string, build func(*view) error) error {
	f := z.tree.join()
	defer func() {
		z.tree.leave(f)
		z.metadata.unwant(f, swap(&f.wanted, nil))
	}()
	retry := firstRetry
	for ctx.Err() == nil {
		_, epoch := z.tree.current()
		f.round++
		old := swap(&f.wanted, make(map[revision]*info))
		v := &view{ctx: ctx, tree: z.tree, follower: f, epoch: epoch}
		err := build(v)
		var again <-chan time.Time
		var timer *time.Timer
		switch {
		case ctx.Err() != nil:
			maps.Copy(f.wanted, old)
			return nil
		case err == nil:
			z.tree.sweep(f)
			z.metadata.unwant(f, old)
			retry = firstRetry
			if v.refused {
				timer = time.NewTimer(lastRetry)
				again = timer.C
			}
			rest(ctx, min(shortRest+time.Duration(v.looked)*restEach, longRest))
		case errors.Is(err, errLost): // the next session wakes everybody
			maps.Copy(f.wanted, old)
		default:
			maps.Copy(f.wanted, old)
			z.complain(fmt.Errorf("watch %s: %w", what, err))
			timer = time.NewTimer(retry)
			again = timer.C
			retry = min(2*retry, lastRetry)
		}
		select {
		case <-f.wake:
		case <-again:
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
	return nil
}

func swap[T any](place *T, with T) (old T) {
	old, *place = *place, with
	return old
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// view is what one run of a follower's function reads through.
type view struct {
	ctx      context.Context //nolint:containedctx // lives as long as one run, which it is the argument of
	tree     *tree
	follower *follower
	epoch    uint64 // of the session
	looked   int    // at this many names and nodes
	refused  bool   // something that may not be read was left out
}

// get reads nodes of one kind, those unknown or changed from the server, several at once.
func (v *view) get(k kind, paths ...string) ([]*value, error) {
	values, err := v.tree.values(v.ctx, v.tree.touch(v.follower, k, paths))
	for _, found := range values {
		v.looked += 1 + len(found.names)
	}
	return values, err
}

// list reads the names below a node; none if it does not exist.
func (v *view) list(path string) ([]string, error) {
	values, err := v.get(children, path)
	if err != nil {
		return nil, err
	}
	return values[0].list(path)
}

// list is the names that were found below path.
func (v *value) list(path string) ([]string, error) {
	if v.err != nil {
		return nil, fmt.Errorf("list %s: %w", path, v.err)
	}
	return v.names, nil
}

// optional is what was found below path if that may be read: its absence changes little, so a refusal is reported and costs
// nothing else.
func (v *view) optional(z *zooKeeper, found *value, path string) *value {
	if found.err == nil {
		return found
	}
	v.refused = true
	z.complain(fmt.Errorf("read %s: %w", path, found.err))
	return &value{}
}

// instances reads the instance nodes of applications.
func (v *view) instances(root string, apps []string) ([]registered, error) {
	dirs := make([]string, len(apps))
	for i, app := range apps {
		dirs[i] = root + "/" + app
	}
	lists, err := v.get(children, dirs...)
	if err != nil {
		return nil, err
	}
	var all []registered
	var paths []string
	var refused []registered
	for i, l := range lists {
		if _, err := l.list(dirs[i]); err != nil {
			v.refused = true
			refused = append(refused, registered{app: apps[i], err: err})
		}
		for _, name := range l.names {
			all = append(all, registered{app: apps[i], name: name})
			paths = append(paths, dirs[i]+"/"+name)
		}
	}
	values, err := v.get(instance, paths...)
	if err != nil {
		return nil, err
	}
	alive := refused
	for i, r := range all {
		if !values[i].found && values[i].err == nil {
			continue // gone since it was listed
		}
		r.node, r.err = values[i].node, values[i].err
		alive = append(alive, r)
	}
	return alive, nil
}

// registered is an instance node where it stands; node is nil if it could not be read, for the reason err. Without a name
// it stands for all of an application whose list may not be read.
type registered struct {
	app, name string
	node      *instanceNode
	err       error
}

func (r *registered) entry() string { return r.app + "/" + r.name }
